"""Stabilities become summaries: one flat document per candidate, for analysts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hts_battery.builders.digests import input_digest
from hts_battery.builders.screening_builder import ScreeningBuilder
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.summary import SummaryDoc, temperature_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maggma.core import Store

    from hts_battery.schemas.thermo import ThermoDoc


class SummaryBuilder(ScreeningBuilder):
    """
    Join what is known of each candidate of one campaign.

    Parameters
    ----------
    candidates
        Candidates.
    entries
        Entries, for the flags of the calculation.
    thermo
        Stabilities.
    summary
        Store that is written, keyed by campaign and candidate.
    campaign
        Name of the campaign.
    """

    def __init__(
        self,
        candidates: Store,
        entries: Store,
        thermo: Store,
        summary: Store,
        *,
        campaign: str,
        chunk_size: int = 500,
    ) -> None:
        self.candidates = candidates
        self.entries = entries
        self.thermo = thermo
        self.summary = summary
        self.campaign = campaign
        super().__init__(
            [candidates, entries, thermo],
            summary,
            key=["candidate_id"],
            scope={"campaign": campaign},
            chunk_size=chunk_size,
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield every candidate whose summary is missing or outdated."""
        groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.thermo.query(
            {"campaign": self.campaign, "state": "successful"}
        ):
            record.pop("_id", None)
            record.pop("_bt", None)
            groups[record["candidate_id"]].append(record)
        items = []
        for name, records in sorted(groups.items()):
            records.sort(key=lambda record: record["temperature"])
            digest = input_digest([record["input_digest"] for record in records])
            items.append(
                {"candidate_id": name, "records": records, "input_digest": digest}
            )
        changed = {
            item["candidate_id"]: item
            for item in self.changed(items, lambda item: item["candidate_id"])
        }
        names = list(changed)
        entry_ids = [item["records"][0]["entry_id"] for item in changed.values()]
        flags = {
            entry["entry_id"]: entry["flags"]
            for entry in self.entries.query(
                {"entry_id": {"$in": entry_ids}}, properties=["entry_id", "flags"]
            )
        }
        for doc in self.candidates.query({"candidate_id": {"$in": names}}):
            doc.pop("_id", None)
            item = changed[doc["candidate_id"]]
            entry_flags = flags.get(item["records"][0]["entry_id"], [])
            yield {**item, "candidate": doc, "flags": entry_flags}

    def process_item(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the summary of one candidate."""
        summary = candidate_summary(
            CandidateDoc.model_validate(item["candidate"]),
            [ThermoRecord.model_validate(record) for record in item["records"]],
            flags=item["flags"],
            digest=item["input_digest"],
        )
        return [summary.model_dump(mode="json")]


def candidate_summary(
    candidate: CandidateDoc,
    records: Sequence[ThermoRecord],
    *,
    flags: Sequence[str],
    digest: str,
) -> SummaryDoc:
    """
    Flatten the stabilities of one candidate.

    Parameters
    ----------
    candidate
        The candidate.
    records
        One successful record per temperature, at least one.
    flags
        Warnings of its calculation.
    digest
        Digest of the inputs.

    Raises
    ------
    ValueError
        If no record is successful.
    """
    results = [record.result for record in records if record.result is not None]
    if not results:
        raise ValueError(f"{candidate.candidate_id} has no successful record")
    first = results[0]
    own = ["releases gas"] if first.releases_gas else []
    if missing := _missing_compounds(first, candidate):
        own.append(f"no reference in {', '.join(missing)}")
    return SummaryDoc(
        campaign=records[0].campaign,
        candidate_id=candidate.candidate_id,
        formula=candidate.formula,
        canonical_formula=candidate.canonical_formula,
        family=candidate.family,
        elements=candidate.elements,
        n_elements=candidate.n_elements,
        engine=records[0].engine,
        calculator=first.calculator,
        energy_per_atom=first.energy_per_atom,
        energy_above_hull=first.energy_above_hull_0k,
        energy_above_hull_at={
            temperature_key(result.temperature): result.energy_above_hull
            for result in results
        },
        entropy=first.entropy,
        entropy_by_sublattice={
            term.sublattice: term.entropy_per_formula_unit
            for term in first.entropy_terms.terms
            if term.counted
        },
        mixing_temperature=first.mixing_temperature,
        decomposition=first.decomposition,
        n_orderings=first.orderings.n_orderings if first.orderings else 1,
        n_references=first.n_references,
        hull_version=first.hull_version,
        flags=tuple(own) + tuple(flags),
        input_digest=digest,
    )


def _missing_compounds(result: ThermoDoc, candidate: CandidateDoc) -> list[str]:
    """Systems of one cation and one anion of the candidate that hold no reference."""
    anions = {
        parse_species(name).element
        for sublattice in candidate.assignments[0].values()
        for name in sublattice
        if parse_species(name).charge < 0
    }
    return [
        system
        for system in result.systems_without_reference
        if len(anions.intersection(system.split("-"))) == 1 and "-" in system
    ]

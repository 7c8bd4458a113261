"""Stabilities become summaries: one flat document per candidate, for analysts."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hts_battery.builders.digests import input_digest
from hts_battery.builders.screening_builder import (
    BATCH_SIZE,
    Options,
    ScreeningBuilder,
    by_key,
    dumped,
)
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_properties
from hts_battery.schemas.summary import SummaryDoc, element_pairs, temperature_key
from hts_battery.thermo.mixing import mixing_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from maggma.core import Store

    from hts_battery.schemas.thermo import ThermoDoc
    from hts_battery.schemas.uncertainty import UncertaintyTerms

_RECORD_FIELDS = (
    "candidate_id",
    "temperature",
    "state",
    "input_digest",
    "hull_version",
)


class SummaryBuilder(ScreeningBuilder):
    """
    Join what is known of each candidate of one campaign.

    A candidate whose records at different temperatures were not made from the same
    inputs, because a build was killed between them, keeps its summary until they are.

    Parameters
    ----------
    candidates
        Candidates.
    thermo
        Stabilities.
    summary
        Store that is written, keyed by campaign and candidate.
    campaign
        Name of the campaign.
    temperatures
        In K: those at which a candidate must have been judged.
    batch_size, shard, retry_failed, run_id
        As in :class:`~hts_battery.builders.screening_builder.Options`.
    """

    def __init__(  # noqa: PLR0913 - maggma hands every argument over by name
        self,
        candidates: Store,
        thermo: Store,
        summary: Store,
        *,
        campaign: str,
        temperatures: Sequence[float],
        batch_size: int = BATCH_SIZE,
        shard: Sequence[int] = (0, 1),
        retry_failed: bool = False,
        run_id: str | None = None,
    ) -> None:
        self.candidates = candidates
        self.thermo = thermo
        self.summary = summary
        self.campaign = campaign
        self.temperatures = tuple(temperatures)
        super().__init__(
            [candidates, thermo],
            [summary],
            key=["candidate_id"],
            scope={"campaign": campaign},
            options=Options(batch_size, shard, retry_failed, run_id),
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield batches of candidates whose summary is missing or outdated."""
        known = {
            doc["candidate_id"]: doc["input_digest"]
            for doc in self.summary.query(
                self.scope, properties=["candidate_id", "input_digest"]
            )
            if self.mine(doc["candidate_id"])
        }
        for name in known:
            self.knows(name)
        digests = self._digests_of_records()
        self.remove("candidate_id", set(known) - set(digests))
        outdated = []
        for name, digest in digests.items():
            self.saw(digest or "")
            if digest in (None, known.get(name)):
                self.unchanged += 1
            else:
                outdated.append(name)
        for names in self.batches(outdated):
            records = by_key(self.thermo, names, "candidate_id", criteria=self.scope)
            docs = by_key(self.candidates, names, "candidate_id", criteria={})
            yield {
                "inputs": [
                    {
                        "candidate": docs[name][0],
                        "records": sorted(
                            records[name], key=lambda record: record["temperature"]
                        ),
                        "input_digest": digests[name],
                    }
                    for name in names
                    if name in docs
                ]
            }

    def _digests_of_records(self) -> dict[str, str | None]:
        """Digest each candidate's records; None while they do not belong together."""
        groups: dict[str, dict[float, tuple[str, str | None]]] = defaultdict(dict)
        failed = set()
        for record in self.thermo.query(self.scope, properties=list(_RECORD_FIELDS)):
            name = record["candidate_id"]
            if not self.mine(name):
                continue
            if record["state"] != "successful":
                failed.add(name)
            groups[name][record["temperature"]] = (
                record["input_digest"],
                record["hull_version"],
            )
        return {
            name: self._digest(group)
            for name, group in groups.items()
            if name not in failed
        }

    def _digest(self, group: Mapping[float, tuple[str, str | None]]) -> str | None:
        whole = set(group) == set(self.temperatures)
        if not whole or len(set(group.values())) > 1:
            return None
        return input_digest(sorted(group.items()))

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        """Return the summaries of one batch."""
        made = [
            candidate_summary(
                CandidateDoc.model_validate(part["candidate"]),
                [ThermoRecord.model_validate(record) for record in part["records"]],
                digest=part["input_digest"],
            )
            for part in item["inputs"]
        ]
        return {"documents": dumped(made), "failed": 0}


def candidate_summary(
    candidate: CandidateDoc,
    records: Sequence[ThermoRecord],
    *,
    digest: str,
    same_cell_as: str | None = None,
) -> SummaryDoc:
    """
    Flatten the stabilities of one candidate.

    Parameters
    ----------
    candidate
        The candidate.
    records
        One successful record per temperature, at least one.
    digest
        Digest of the inputs.
    same_cell_as
        Candidate under which the same calculated cell is ranked; none if under this.

    Raises
    ------
    ValueError
        If no record is successful.
    """
    judged = {
        temperature_key(record.temperature): record.result
        for record in records
        if record.result is not None
    }
    if not judged:
        raise ValueError(f"{candidate.candidate_id} has no successful record")
    record = records[0]
    first = next(iter(judged.values()))
    estimates = first.orderings
    roles = _roles(candidate)
    return SummaryDoc(
        campaign=record.campaign,
        candidate_id=candidate.candidate_id,
        formula=candidate.formula,
        canonical_formula=candidate.canonical_formula,
        family=candidate.family,
        elements=candidate.elements,
        n_elements=candidate.n_elements,
        chemical_system="-".join(sorted(candidate.elements)),
        element_keys=(
            *sorted(candidate.elements),
            *element_pairs(candidate.elements),
        ),
        n_metals=len({el for role in METAL_ROLES for el in roles.get(role, ())}),
        species=_species(candidate),
        roles={role.replace(" ", "_"): symbols for role, symbols in roles.items()},
        engine=record.engine,
        calculator=first.calculator,
        energy_per_atom=first.energy_per_atom,
        energy_above_hull=first.energy_above_hull_0k,
        energy_above_hull_at={
            key: result.energy_above_hull for key, result in judged.items()
        },
        energy_above_hull_upper_at={
            key: result.energy_above_hull_random
            for key, result in judged.items()
            if result.energy_above_hull_random is not None
        },
        label_at={key: result.label for key, result in judged.items()},
        open_at={key: result.open for key, result in judged.items()},
        probability_stable_at={
            key: result.probability_stable
            for key, result in judged.items()
            if result.probability_stable is not None
        },
        uncertainty=first.uncertainty,
        uncertainty_source=_source(first.uncertainty_terms),
        mixing=mixing_words(first.entropy_terms.options),
        other_mixing=_other_mixing(first),
        energy_above_hull_other_at={
            key: result.other_mixings[0].energy_above_hull
            for key, result in judged.items()
            if result.other_mixings
        },
        entropy=first.entropy,
        entropy_by_sublattice={
            term.sublattice: term.entropy_per_formula_unit
            for term in first.entropy_terms.terms
            if term.counted
        },
        mixing_temperature=first.mixing_temperature,
        decomposition=first.decomposition,
        n_orderings=estimates.n_orderings if estimates else 1,
        n_random_orderings=estimates.n_random if estimates else 0,
        lowest_ordering_kind=estimates.lowest_kind if estimates else None,
        ordering_spread=estimates.random_spread if estimates else None,
        entry_id=str(record.entry_id),
        calculated_formula=first.formula,
        deviation=largest_deviation(record.deviation),
        deviation_by_element=record.deviation,
        same_cell_as=same_cell_as,
        n_references=first.n_references,
        excluded_references=first.excluded_references,
        hull_version=first.hull_version,
        previous_at={
            temperature_key(record.temperature): record.previous
            for record in records
            if record.previous is not None
        },
        flags=_flags(candidate, first, record.flags),
        input_digest=digest,
    )


def largest_deviation(deviation: Mapping[str, Fraction]) -> float:
    """
    Say how far a cell is from a candidate, in atoms per formula unit.

    Parameters
    ----------
    deviation
        Element → cell minus candidate, atoms per formula unit.

    Examples
    --------
    >>> from fractions import Fraction
    >>> largest_deviation({"Li": Fraction(-1, 20), "O": Fraction(1, 20)})
    0.05
    """
    return float(max(map(abs, deviation.values()), default=0))


def _source(terms: UncertaintyTerms) -> str:
    named = "; ".join(f"{term.source} ({term.meaning})" for term in terms.sources)
    return named or f"not known: {terms.reason}"


def _other_mixing(result: ThermoDoc) -> str:
    others = result.other_mixings
    return mixing_words(others[0].options) if others else ""


def _species(candidate: CandidateDoc) -> tuple[str, ...]:
    """Species of the chosen assignment; a vacancy is none."""
    found = {name for here in candidate.assignments[0].values() for name in here}
    return tuple(sorted(found - {VACANCY}))


def _roles(candidate: CandidateDoc) -> dict[str, tuple[str, ...]]:
    """Role in the species table → symbols of the chosen assignment."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in _species(candidate):
        role = species_properties(name).role
        if role is not None:
            found[role].add(parse_species(name).element)
    return {role: tuple(sorted(symbols)) for role, symbols in sorted(found.items())}


def _flags(
    candidate: CandidateDoc, result: ThermoDoc, others: Sequence[str]
) -> tuple[str, ...]:
    own = ["releases gas"] if result.releases_gas else []
    if missing := _missing_compounds(result, candidate):
        own.append(f"no reference in {', '.join(missing)}")
    return tuple(dict.fromkeys([*own, *result.flags, *others]))


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

"""Entries become stabilities: one document per candidate and temperature."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hts_battery.builders.digests import input_digest
from hts_battery.builders.screening_builder import ScreeningBuilder
from hts_battery.errors import HTSBatteryError, MixedCalculatorError
from hts_battery.schemas.build import ThermoRecord
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.entry import EntryKind, EntryState
from hts_battery.schemas.thermo import OrderingKind
from hts_battery.thermo.entropy import candidate_entropy
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.stability import (
    CandidateEnergy,
    ordering_estimates,
    stability,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.schemas.thermo import ThermoDoc

_ENTRY_FIELDS = (
    "entry_id",
    "candidate_id",
    "formula",
    "calculator",
    "calculation",
    "energy.energy_per_atom",
    "input_digest",
)


class ThermoBuilder(ScreeningBuilder):
    """
    Judge every candidate of one campaign that has a usable energy.

    Parameters
    ----------
    members
        Which candidates belong to the campaign.
    candidates
        Candidates with their species assignments.
    entries
        Energies of candidates and competing phases.
    thermo
        Store that is written, keyed by campaign, candidate and temperature.
    campaign
        The campaign: engine, relaxation settings and entropy options.
    temperatures
        In K.
    """

    def __init__(  # noqa: PLR0913 - maggma hands every store over by name
        self,
        members: Store,
        candidates: Store,
        entries: Store,
        thermo: Store,
        *,
        campaign: CampaignSpec,
        temperatures: Sequence[float],
        chunk_size: int = 500,
    ) -> None:
        self.members = members
        self.candidates = candidates
        self.entries = entries
        self.thermo = thermo
        self.campaign = (
            campaign
            if isinstance(campaign, CampaignSpec)
            else CampaignSpec.model_validate(campaign)
        )
        self.temperatures = tuple(temperatures)
        self._hulls: dict[str, Hull] | None = None
        super().__init__(
            [members, candidates, entries],
            thermo,
            key=["candidate_id", "temperature"],
            scope={"campaign": self.campaign.name},
            chunk_size=chunk_size,
        )

    def get_items(self) -> Iterator[dict[str, Any]]:
        """Yield every candidate with an energy whose stability is outdated."""
        self._hulls = None
        hulls = self._known_hulls()
        options = {
            "entropy": self.campaign.entropy.model_dump(mode="json"),
            "hulls": {name: hull.digest for name, hull in hulls.items()},
        }
        energies = self._energies()
        items = [
            {
                "candidate_id": name,
                "temperature": temperature,
                "entries": energies[name],
                "input_digest": input_digest(energies[name], options, temperature),
            }
            for name in energies
            for temperature in self.temperatures
        ]
        changed: dict[str, dict[str, Any]] = {}
        for item in self.changed(
            items, lambda item: (item["candidate_id"], item["temperature"])
        ):
            group = changed.setdefault(
                item["candidate_id"], {"entries": item["entries"], "digests": {}}
            )
            group["digests"][item["temperature"]] = item["input_digest"]
        for doc in self.candidates.query({"candidate_id": {"$in": list(changed)}}):
            doc.pop("_id", None)
            yield {"candidate": doc, **changed[doc["candidate_id"]]}

    def _known_hulls(self) -> dict[str, Hull]:
        """Build the hulls when first asked: a worker made from JSON reads no items."""
        if self._hulls is None:
            self._hulls = self._build_hulls()
        return self._hulls

    def _build_hulls(self) -> dict[str, Hull]:
        """One hull per calculator, from the competing phases in use."""
        references: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in self.entries.query(
            {
                "kind": EntryKind.REFERENCE,
                "engine": self.campaign.engine,
                "state": EntryState.USED,
            },
            properties=list(_ENTRY_FIELDS),
        ):
            references[entry["calculator"]].append(entry)
        return {
            calculator: Hull(
                [entry["formula"] for entry in group],
                [entry["energy"]["energy_per_atom"] for entry in group],
                ids=[entry["entry_id"] for entry in group],
            )
            for calculator, group in sorted(references.items())
        }

    def _energies(self) -> dict[str, list[dict[str, Any]]]:
        """Usable entries of each member, made with the campaign's settings."""
        members = self.members.distinct(
            "candidate_id", {"campaign": self.campaign.name}
        )
        relaxation = self.campaign.relaxation.model_dump(mode="json")
        energies: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in self.entries.query(
            {
                "candidate_id": {"$in": members},
                "engine": self.campaign.engine,
                "state": EntryState.USED,
            },
            properties=list(_ENTRY_FIELDS),
        ):
            entry.pop("_id", None)
            if entry["calculation"]["relaxation"] == relaxation:
                energies[entry["candidate_id"]].append(entry)
        for group in energies.values():
            group.sort(key=lambda entry: entry["entry_id"])
        return dict(sorted(energies.items()))

    def process_item(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """Return one record per outdated temperature; a failure is a record too."""
        common = {
            "campaign": self.campaign.name,
            "candidate_id": item["candidate"]["candidate_id"],
            "engine": self.campaign.engine,
        }
        entry_id, results, error = None, {}, None
        try:
            entry_id, docs = self._judge(item, tuple(item["digests"]))
            results = {doc.temperature: doc for doc in docs}
        except HTSBatteryError as err:
            error = str(err)
            self.failed += 1
        return [
            ThermoRecord(
                **common,
                temperature=temperature,
                state="failed" if error else "successful",
                error=error,
                entry_id=entry_id,
                result=results.get(temperature),
                input_digest=digest,
            ).model_dump(mode="json")
            for temperature, digest in item["digests"].items()
        ]

    def _judge(
        self, item: Mapping[str, Any], temperatures: Sequence[float]
    ) -> tuple[str, tuple[ThermoDoc, ...]]:
        hulls = self._known_hulls()
        candidate = CandidateDoc.model_validate(item["candidate"])
        entries = [e for e in item["entries"] if e["calculator"] in hulls]
        if not entries:
            found = sorted({e["calculator"] for e in item["entries"]})
            raise MixedCalculatorError(
                f"computed with {', '.join(found)}, but the competing phases with "
                f"{', '.join(hulls) or 'nothing'}"
            )
        lowest = min(entries, key=lambda e: e["energy"]["energy_per_atom"])
        same = [e for e in entries if e["calculator"] == lowest["calculator"]]
        energy = CandidateEnergy(
            candidate_id=candidate.candidate_id,
            formula=candidate.formula,
            energy_per_atom=lowest["energy"]["energy_per_atom"],
            entropy=candidate_entropy(candidate.to_candidate(), self.campaign.entropy),
            orderings=ordering_estimates(
                {OrderingKind.RANDOM: [e["energy"]["energy_per_atom"] for e in same]}
            ),
        )
        docs = stability(
            energy,
            hulls[lowest["calculator"]],
            calculator=lowest["calculator"],
            temperatures=temperatures,
        )
        return lowest["entry_id"], docs

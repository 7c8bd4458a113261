"""Entries become stabilities: one document per candidate and temperature."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

from hts_battery.builders.own_orderings import campaign_entries
from hts_battery.builders.reasons import (
    REMOVED,
    HullNews,
    change_of,
    reasons,
    stability_numbers,
)
from hts_battery.builders.reference_hulls import (
    ANSWER_FIELDS,
    REFERENCE_FIELDS,
    StoredHulls,
    reference_hulls,
    stored_answer,
    stored_depth,
)
from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    by_key,
    dumped,
)
from hts_battery.builders.stability import (
    ENTRY_FIELDS,
    CandidateStability,
    ReferenceHull,
    StabilityInput,
    candidate_stabilities,
    other_candidates,
)
from hts_battery.connections.database.content_digests import (
    content_digests,
    query_values,
)
from hts_battery.schemas.build import ChangeSet, PreviousStability, ThermoRecord
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.entry import EntryKind, EntryState
from hts_battery.schemas.thermo import ReferencesAtTemperature
from hts_battery.schemas.uncertainty import CalculatorError
from hts_battery.thermo.hull_depth import known_compositions_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import CandidateRow, ThermoRow, UsedEntryRow
    from hts_battery.thermo.competing_phases import OtherCandidate

_OLD_FIELDS = ("candidate_id", "temperature", "state", "input_digest", "hull_version")


class _Part(StabilityInput):
    """One candidate of a batch, with what stands of it."""

    input_digest: str
    temperatures: list[float]
    old: dict[float, ThermoRow]


class _Batch(TypedDict):
    number: int
    options_digest: str
    hulls: Mapping[str, ReferenceHull]
    others: Mapping[str, Sequence[OtherCandidate]] | None
    news: Mapping[str | None, HullNews | None]
    inputs: list[_Part]


class ThermoBuilder(ScreeningBuilder):
    """
    Assess every candidate of one campaign that has a usable energy.

    A record is made again where candidate, orderings, options or code changed, or
    where a change of the references can change its answer; other records keep the
    hull version on which they were assessed.

    ``thermo`` is written, keyed by campaign, candidate and temperature; versions of
    hulls are added to ``hulls``, what was written, replaced and removed to ``changes``.
    ``temperatures`` in K; ``engine_error``: what is known of the error of E_hull.
    """

    code_version = "7"

    def __init__(  # noqa: PLR0913 - maggma hands every argument over by name
        self,
        members: Store,
        candidates: Store,
        entries: Store,
        thermo: Store,
        hulls: Store,
        changes: Store,
        *,
        campaign: CampaignSpec,
        temperatures: Sequence[float],
        engine_error: CalculatorError,
        **options: Unpack[Options],
    ) -> None:
        self.members = members
        self.candidates = candidates
        self.entries = entries
        self.thermo = thermo
        self.hulls = hulls
        self.changes = changes
        self.campaign = CampaignSpec.model_validate(campaign)
        self.temperatures = tuple(temperatures)
        self.engine_error = CalculatorError.model_validate(engine_error)
        self.known_hulls: dict[str, ReferenceHull] = {}
        super().__init__(
            [members, candidates, entries],
            [thermo, hulls, changes],
            key=["candidate_id", "temperature"],
            scope={"campaign": self.campaign.name},
            options=options,
        )

    def as_dict(self) -> dict[str, object]:
        """Serialise documents as plain values: maggma's manager needs them."""
        return {
            **super().as_dict(),
            "campaign": self.campaign.model_dump(mode="json"),
            "engine_error": self.engine_error.model_dump(mode="json"),
        }

    def get_items(self) -> Iterator[_Batch]:
        """Yield batches of candidates whose stability is missing or outdated."""
        self.known_hulls = self._reference_hulls()
        stored = StoredHulls(self.hulls, self.known_hulls)
        stored.add(self.campaign.engine)
        energies = self._energies()
        others = self._others(energies)
        digests = self._digests_of(energies, self._common_digest(others))
        known = self._known()
        self._remove_gone(digests, known)
        outdated = self._outdated(digests, known, stored)
        for number, names in enumerate(self.batches(outdated)):
            docs = by_key(self.candidates, names, "candidate_id", criteria={})
            replaced = [name for name in names if name in known]
            old = by_key(self.thermo, replaced, "candidate_id", criteria=self.scope)
            versions = {
                record["hull_version"] for group in old.values() for record in group
            }
            yield {
                "number": number,
                "options_digest": self._options_digest(),
                "hulls": self.known_hulls,
                "others": others,
                "news": {version: stored.news(version) for version in versions},
                "inputs": [
                    {
                        "candidate": docs[name][0],
                        "entries": energies[name],
                        "input_digest": digests[name],
                        "temperatures": outdated[name],
                        "old": {r["temperature"]: r for r in old.get(name, ())},
                    }
                    for name in names
                    if name in docs
                ],
            }

    def _reference_hulls(self) -> dict[str, ReferenceHull]:
        """One hull per calculator and correction scheme, of the phases in use."""
        criteria = {
            "kind": EntryKind.REFERENCE,
            "engine": self.campaign.engine,
            "state": EntryState.USED,
        }
        found = self.entries.query(criteria, properties=list(REFERENCE_FIELDS))
        return reference_hulls(cast("Iterator[UsedEntryRow]", found))

    def _energies(self) -> dict[str, list[UsedEntryRow]]:
        """Usable entries of each member, of the orderings that are asked for."""
        return campaign_entries(
            self.campaign,
            (self.members, self.entries),
            fields=ENTRY_FIELDS,
            is_wanted=lambda name: (
                self.campaign.stability.other_candidates or self.mine(name)
            ),
        )

    def _others(
        self, energies: Mapping[str, list[UsedEntryRow]]
    ) -> dict[str, list[OtherCandidate]] | None:
        """All candidates as competing phases, by scheme, where the options ask."""
        if not self.campaign.stability.other_candidates:
            return None
        docs = query_values(self.candidates, "candidate_id", energies, criteria={})
        return other_candidates(
            [
                {
                    "candidate": cast("CandidateRow", doc),
                    "entries": energies[doc["candidate_id"]],
                }
                for doc in docs
            ],
            self.known_hulls,
            entropy=self.campaign.entropy,
        )

    def _options_digest(self) -> str:
        return self.digest(
            self.campaign.entropy.model_dump(mode="json"),
            self.campaign.stability.model_dump(mode="json"),
            self.engine_error.model_dump(mode="json"),
        )

    def _common_digest(
        self, others: Mapping[str, Sequence[OtherCandidate]] | None
    ) -> str:
        """Digest options, with whatever makes every answer depend on every input."""
        options = self.campaign.stability
        gibbs = options.references_at_temperature is not ReferencesAtTemperature.NONE
        versions = {name: known.hull.digest for name, known in self.known_hulls.items()}
        return self.digest(
            self._options_digest(),
            # These answers have no certificate that a change of references leaves.
            versions if gibbs or others is not None else sorted(versions),
            others,
            known_compositions_digest(),
        )

    def _digests_of(
        self, energies: Mapping[str, list[UsedEntryRow]], common: str
    ) -> dict[str, str]:
        wanted = {name for name in energies if self.mine(name)}
        some = len(wanted) <= self.batch_size
        criteria = {"candidate_id": {"$in": sorted(wanted)}} if some else {}
        return {
            name: self.digest(digest, energies[name], common)
            for (name,), digest in content_digests(
                self.candidates, criteria, ["candidate_id"]
            )
            if name in wanted
        }

    def _known(self) -> dict[str, dict[float, ThermoRow]]:
        """State of every stored record of this campaign."""
        known: dict[str, dict[float, ThermoRow]] = defaultdict(dict)
        found = self.thermo.query(self.scope, properties=list(_OLD_FIELDS))
        for doc in cast("Iterator[ThermoRow]", found):
            if self.mine(doc["candidate_id"]):
                known[doc["candidate_id"]][doc["temperature"]] = doc
                self.knows(doc["candidate_id"], doc["temperature"])
        return known

    def _outdated(
        self,
        digests: Mapping[str, str],
        known: Mapping[str, Mapping[float, ThermoRow]],
        stored: StoredHulls,
    ) -> dict[str, list[float]]:
        """Temperatures at which each candidate must be assessed again."""
        outdated: dict[str, list[float]] = {}
        doubtful: dict[str | None, list[str]] = defaultdict(list)
        for name, digest in digests.items():
            records = known.get(name, {})
            for _ in self.temperatures:
                self.saw(digest)
            again = [
                temperature
                for temperature in self.temperatures
                if self._must_be_made(records.get(temperature), digest, stored)
            ]
            kept = {
                records[temperature]["hull_version"]
                for temperature in self.temperatures
                if temperature not in again
            }
            # The terms of one candidate are of one hull: what is made now stands on
            # today's, so the rest does not stay on another.
            if len(kept) > 1 or (again and not kept <= stored.current):
                again = list(self.temperatures)
            if again:
                outdated[name] = again
            elif not kept <= stored.current:
                doubtful[kept.pop()].append(name)
        for name in self._affected(doubtful, stored):
            outdated[name] = list(self.temperatures)
        self.unchanged = self.read - sum(map(len, outdated.values()))
        return outdated

    def _must_be_made(
        self, record: ThermoRow | None, digest: str, stored: StoredHulls
    ) -> bool:
        if record is None or record["input_digest"] != digest:
            return True
        if record["state"] == "failed":
            return self.retry_failed or record["hull_version"] not in stored.waiting
        return False

    def _affected(
        self, doubtful: Mapping[str | None, Sequence[str]], stored: StoredHulls
    ) -> set[str]:
        """Candidates of older hull versions whose answer the new one can change."""
        affected: set[str] = set()
        for version, names in doubtful.items():
            change = stored.change(version)
            if change is None:  # its references are not known, or its scheme is gone
                affected |= set(names)
                continue
            answers, depths = {}, {}
            for doc in query_values(
                self.thermo,
                "candidate_id",
                names,
                criteria=self.scope,
                properties=ANSWER_FIELDS,
            ):
                answers[doc["candidate_id"]] = stored_answer(doc["result"])
                depths[doc["candidate_id"]] = stored_depth(doc["result"])
            affected |= change.affected(
                answers,
                depths,
                families=self._families(answers),
                rule=self.campaign.stability.left_out_references,
            )
        return affected

    def _families(self, names: Collection[str]) -> dict[str, str]:
        """Family of each candidate."""
        fields = ["candidate_id", "family"]
        return {
            doc["candidate_id"]: doc["family"]
            for doc in query_values(
                self.candidates, "candidate_id", names, criteria={}, properties=fields
            )
        }

    def _remove_gone(
        self, digests: Mapping[str, str], known: Mapping[str, Mapping[float, ThermoRow]]
    ) -> None:
        gone: dict[float, set[str]] = defaultdict(set)
        for name, records in known.items():
            for temperature in records:
                if name not in digests or temperature not in self.temperatures:
                    gone[temperature].add(name)
        for temperature, names in gone.items():
            left = [name for name in names if name not in digests]
            for number, batch in enumerate(self.batches(left)):
                old = by_key(self.thermo, batch, "candidate_id", criteria=self.scope)
                self._write_changes(
                    f"removed-{temperature:g}-{number}",
                    [
                        change_of(record, None, (REMOVED,))
                        for group in old.values()
                        for record in group
                        if record["temperature"] == temperature
                    ],
                )
            self.remove("candidate_id", names, temperature=temperature)

    def process_item(self, item: _Batch) -> Made:
        """Return the records of one batch; a failure is a record too."""
        outcomes = candidate_stabilities(
            item["inputs"],
            item["hulls"],
            temperatures=self.temperatures,
            entropy=self.campaign.entropy,
            stability=self.campaign.stability,
            engine_error=self.engine_error,
            others=item["others"],
        )
        records, changes = [], []
        for part, outcome in zip(item["inputs"], outcomes, strict=True):
            made = [
                self._record(outcome, temperature, part, item)
                for temperature in part["temperatures"]
            ]
            records += made
            changes += [
                change_of(
                    part["old"].get(record.temperature),
                    record,
                    self._reasons(part["old"].get(record.temperature), record, item),
                )
                for record in made
            ]
        return {
            "documents": dumped(records),
            "changes": dumped(changes),
            "number": str(item["number"]),
            "failed": sum(record.state == "failed" for record in records),
        }

    def _record(
        self, outcome: CandidateStability, temperature: float, part: _Part, item: _Batch
    ) -> ThermoRecord:
        result = outcome.at(temperature)
        record = ThermoRecord(
            campaign=self.campaign.name,
            candidate_id=part["candidate"]["candidate_id"],
            temperature=temperature,
            state="failed" if outcome.error else "successful",
            error=outcome.error,
            entry_id=outcome.entry_id,
            engine=self.campaign.engine,
            orderings=outcome.orderings,
            orderings_by_campaign=Counter(
                one.source for one in outcome.orderings if one.source
            ),
            flags=outcome.flags,
            deviation=dict(outcome.deviation),
            result=result,
            hull_version=outcome.hull_version,
            options_digest=item["options_digest"],
            code_version=self.code_version,
            input_digest=part["input_digest"],
        )
        old = part["old"].get(temperature)
        return record.model_copy(update={"previous": self._previous(old, record, item)})

    def _previous(
        self, old: ThermoRow | None, record: ThermoRecord, item: _Batch
    ) -> PreviousStability | None:
        """Numbers that are overwritten, or those kept from a success before."""
        if old is None:
            return None
        if old["result"] is None:
            kept = old.get("previous")
            return None if kept is None else PreviousStability.model_validate(kept)
        return PreviousStability(
            **stability_numbers(old["result"]).model_dump(),
            reasons=self._reasons(old, record, item),
        )

    def _reasons(
        self, old: ThermoRow | None, record: ThermoRecord, item: _Batch
    ) -> tuple[str, ...]:
        news: HullNews | None = None
        if old is not None and old["hull_version"] != record.hull_version:
            news = item["news"].get(old["hull_version"])
        phases = record.result.decomposition if record.result else ()
        return reasons(
            old,
            orderings=record.orderings,
            phases=[phase.reference_id for phase in phases],
            options_digest=record.options_digest,
            code_version=self.code_version,
            news=news,
        )

    def write_history(self, items: list[Made]) -> None:
        """Write what changes before it changes: a killed build loses no reason."""
        for item in items:
            self._write_changes(item["number"], item["changes"])

    def _write_changes(self, batch: str, changes: Sequence[Any]) -> None:
        if not changes:
            return
        found = ChangeSet(
            change_id=f"{self._run_id}:{self.campaign.name}:{self.shard[0]}:{batch}",
            run_id=self._run_id,
            campaign=self.campaign.name,
            changes=tuple(changes),
        )
        self._about_to_write()
        self.changes.update(found.model_dump(mode="json"), key="change_id")

"""Hulls of the references in use, and the versions of them that were used before."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hts_battery.builders.reasons import HullNews, hull_news
from hts_battery.builders.stability import ReferenceHull, energy_scheme
from hts_battery.schemas.build import HullVersion
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.formula import atomic_fractions
from hts_battery.thermo.hull import Hull
from hts_battery.thermo.hull_depth import Depth
from hts_battery.thermo.reference_changes import (
    DepthChanges,
    ReferenceChanges,
    StoredAnswer,
    StoredDepth,
    reference_changes,
)
from hts_battery.thermo.stability import ReferenceFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maggma.core import Store

    from hts_battery.schemas.rows import ResultRow, UsedEntryRow
    from hts_battery.schemas.thermo import LeftOutReferences

    Phases = Mapping[str, tuple[str, float]]

REFERENCE_FIELDS = (
    "entry_id",
    "formula",
    "calculator",
    "energy",
    "candidate_family",
    "volume_per_atom",
    "oxidation_states",
)
ANSWER_FIELDS = (
    "candidate_id",
    "result.formula",
    "result.chemical_potentials",
    "result.decomposition.reference_id",
    "result.excluded_references",
    "result.hull_depth_risk",
    "result.hull_depth_risk_reported",
    "result.hull_depth_reason",
    "result.missing_compositions",
    "result.needed_systems_without_reference",
)


def reference_hulls(entries: Iterable[UsedEntryRow]) -> dict[str, ReferenceHull]:
    """
    Build one hull per calculator and correction scheme.

    ``entries``: used entries of references, with :data:`REFERENCE_FIELDS`. Returns:
    scheme → hull.
    """
    groups: dict[str, list[UsedEntryRow]] = defaultdict(list)
    for entry in entries:
        groups[energy_scheme(entry["energy"], entry["calculator"])].append(entry)
    return {
        scheme: _reference_hull(scheme, sorted(group, key=lambda e: str(e["entry_id"])))
        for scheme, group in sorted(groups.items())
    }


def _reference_hull(scheme: str, group: list[UsedEntryRow]) -> ReferenceHull:
    families: dict[str, list[str]] = defaultdict(list)
    for entry in group:
        if family := entry.get("candidate_family"):
            families[family].append(entry["entry_id"])
    return ReferenceHull(
        hull=Hull(
            [entry["formula"] for entry in group],
            [entry["energy"]["energy_per_atom"] for entry in group],
            ids=[entry["entry_id"] for entry in group],
        ),
        scheme=scheme,
        calculator=group[0]["calculator"],
        families={name: tuple(ids) for name, ids in families.items()},
        example=ComparableEnergy.model_validate(group[0]["energy"]),
        facts=ReferenceFacts(
            volumes={
                entry["entry_id"]: volume
                for entry in group
                if (volume := entry.get("volume_per_atom")) is not None
            },
            oxidation_states={
                entry["entry_id"]: entry["oxidation_states"]
                for entry in group
                if entry.get("oxidation_states")
            },
        ),
    )


@dataclass(frozen=True)
class VersionChange:
    """What happened between an older version of a hull and the one in use."""

    references: ReferenceChanges
    """Phases that left and arrived."""
    systems: frozenset[frozenset[str]]
    """Small chemical systems that won or lost their only reference."""
    now: ReferenceHull
    """The hull in use."""
    news: HullNews
    """The same in words."""
    depth: DepthChanges
    """Compositions that were won or lost."""
    formulas: Mapping[str, str]
    """Id of each reference, now or before → formula."""

    def affected(
        self,
        answers: Mapping[str, StoredAnswer],
        depths: Mapping[str, Depth],
        *,
        families: Mapping[str, str],
        rule: LeftOutReferences,
    ) -> set[str]:
        """
        Candidates whose answer, or what is said beside it, may be another.

        Beside it stand the references that are left out, those that are missing, and
        how much the hull may fall by these.

        ``answers``: candidate → what the older version said. ``depths``: candidate →
        how deep the hull was said to be. ``families``: candidate → its family.
        ``rule``: what candidates are not compared with.
        """
        names = list(answers)
        left_out = [
            self.now.excluded(families[name], answers[name].formula, rule)
            for name in names
        ]
        flags = self.references.affected(
            [
                replace(answers[name], exclude=gone)
                for name, gone in zip(names, left_out, strict=True)
            ]
        )
        return {
            name
            for name, gone, flag in zip(names, left_out, flags, strict=True)
            if flag
            or frozenset(gone) != frozenset(answers[name].exclude)
            or not self.references.removed.isdisjoint(gone)
            or self._knows_less(answers[name])
        }.union(
            self.depth.affected(
                {
                    name: StoredDepth(
                        formula=answers[name].formula,
                        depth=depths[name],
                        exclude=[self.formulas[one] for one in gone],
                    )
                    for name, gone in zip(names, left_out, strict=True)
                }
            )
        )

    def _knows_less(self, answer: StoredAnswer) -> bool:
        elements = atomic_fractions(answer.formula).keys()
        return any(system <= elements for system in self.systems)


class StoredHulls:
    """
    Hull versions in the database beside the hulls in use.

    ``store``: store of :class:`~hts_battery.schemas.build.HullVersion` documents.
    ``hulls``: scheme → hull in use. ``largest_system``: systems of up to this many
    elements are watched for their only reference.
    """

    def __init__(
        self,
        store: Store,
        hulls: Mapping[str, ReferenceHull],
        *,
        largest_system: int = 2,
    ) -> None:
        self._store = store
        self._hulls = hulls
        self._largest_system = largest_system
        self._changes: dict[str | None, VersionChange | None] = {}
        self.current = frozenset(known.hull.digest for known in hulls.values())
        self.waiting = self.current | {None}

    def add(self, engine: str) -> None:
        """Write the versions in use that the database lacks."""
        for scheme, known in self._hulls.items():
            version = known.hull.digest
            if self._store.query_one({"hull_version": version}, ["hull_version"]):
                continue
            found = HullVersion(
                hull_version=version,
                engine=engine,
                calculator=known.calculator,
                scheme=scheme,
                n_references=len(known.hull),
                references=tuple(
                    (name, formula, energy)
                    for name, (formula, energy) in known.hull.references.items()
                ),
            )
            self._store.update(found.model_dump(mode="json"), key="hull_version")

    def change(self, version: str | None) -> VersionChange | None:
        """
        Compare an older version with the hull in use of the same calculator.

        Returns: None where the older version, or its calculator, is not known any more.
        """
        if version not in self._changes:
            self._changes[version] = self._compare(version)
        return self._changes[version]

    def news(self, version: str | None) -> HullNews | None:
        """Say in words what happened since an older version."""
        change = self.change(version)
        return None if change is None else change.news

    def _compare(self, version: str | None) -> VersionChange | None:
        if version is None:
            return None
        doc = self._store.query_one({"hull_version": version})
        if doc is None:
            return None
        same = [
            known
            for known in self._hulls.values()
            if known.calculator == doc["calculator"]
        ]
        exact = [known for known in same if known.scheme == doc["scheme"]]
        if not same:
            return None
        known = (exact or same)[0]
        before = {
            name: (formula, energy) for name, formula, energy in doc["references"]
        }
        now = known.hull.references
        return VersionChange(
            references=reference_changes(before, now),
            systems=_systems(before, self._largest_system)
            ^ _systems(now, self._largest_system),
            now=known,
            depth=DepthChanges.between(
                (formula for formula, _ in before.values()),
                (formula for formula, _ in now.values()),
                known.depth,
            ),
            formulas={name: formula for name, (formula, _) in (before | now).items()},
            news=hull_news(before, now, recorrected=not exact),
        )


def _systems(references: Phases, largest: int) -> frozenset[frozenset[str]]:
    """Chemical systems that hold a reference, up to a number of elements."""
    return frozenset(
        system
        for formula in {formula for formula, _ in references.values()}
        if len(system := frozenset(atomic_fractions(formula))) <= largest
    )


def stored_answer(result: ResultRow) -> StoredAnswer:
    """Read from a stored stability what a change of the references can change."""
    return StoredAnswer(
        formula=result["formula"],
        chemical_potentials=result["chemical_potentials"],
        phases=tuple(phase["reference_id"] for phase in result["decomposition"]),
        exclude=tuple(result["excluded_references"]),
    )


def stored_depth(result: ResultRow) -> Depth:
    """Read from a stored stability how much its hull may fall."""
    return Depth(
        risk=result["hull_depth_risk"],
        risk_reported=result["hull_depth_risk_reported"],
        reason=result["hull_depth_reason"],
        missing=result["missing_compositions"],
        systems=tuple(result["needed_systems_without_reference"]),
    )

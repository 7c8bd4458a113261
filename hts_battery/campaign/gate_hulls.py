"""The hulls that candidates are compared with at the gate, from the database."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.flows.recipes.gate import hull_snapshot
from hts_battery.schemas.reference import ReferenceEnergy, family_of
from hts_battery.schemas.thermo import LeftOutReferences
from hts_battery.structures.references.library import load_reference_phases
from hts_battery.thermo.competing_phases import left_out_references
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.gate import HullSnapshot


@dataclass
class GateHulls:
    """The competing phases of one engine, and what of them travels with a candidate."""

    hull: Hull
    """All usable phases of one calculator."""
    calculator: str
    """Its name with the version."""
    rule: LeftOutReferences = LeftOutReferences.OWN_COMPOSITION
    """What candidates are not compared with."""
    families: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Family → ids of the phases that are members of it."""
    _known: dict[tuple[str, ...], HullSnapshot] = field(default_factory=dict)

    @classmethod
    def of_campaign(cls, spec: CampaignSpec, stores: Stores) -> GateHulls | None:
        """
        Read the phases that a campaign's gate compares with; None without a gate.

        Where the database holds energies of several versions, the one with most
        phases is taken; a node that computes with another one says so. Where it holds
        none, a :class:`ConfigurationError` says what to do.
        """
        if spec.gate is None or spec.prerelax is None:
            return None
        engine_name = spec.prerelax.engine
        groups: dict[str, list[ReferenceEnergy]] = defaultdict(list)
        for doc in stores.references.query({"engine": engine_name, "rejected": None}):
            doc.pop("_id", None)
            energy = ReferenceEnergy.model_validate(doc)
            groups[energy.calculator].append(energy)
        if not groups:
            raise ConfigurationError(
                f"the gate has no competing phases of the engine {engine_name}: "
                f"`hts references import --engine {engine_name}` or `hts references "
                f"compute --engine {engine_name}`"
            )
        calculator = min(groups, key=lambda name: (-len(groups[name]), name))
        phases = sorted(groups[calculator], key=lambda energy: energy.phase_id)
        hull = Hull(
            [phase.formula for phase in phases],
            [float(phase.energy_per_atom or 0.0) for phase in phases],
            ids=[phase.phase_id for phase in phases],
        )
        rule = spec.stability.left_out_references
        return cls(hull, calculator, rule=rule, families=_families(phases, rule))

    def snapshot(self, candidate: CandidateDoc) -> HullSnapshot:
        """Return the phases that matter to a candidate; every element must have one."""
        family = self.families.get(candidate.family, frozenset())
        exclude = left_out_references(
            self.hull, candidate.canonical_formula, rule=self.rule, family=family
        )
        key = (*sorted(candidate.elements), "", *exclude)
        if key not in self._known:
            self._known[key] = hull_snapshot(
                self.hull,
                candidate.elements,
                calculator=self.calculator,
                exclude=exclude,
                rule=self.rule,
                family=family,
            )
        return self._known[key]


def _families(
    phases: Sequence[ReferenceEnergy], rule: LeftOutReferences
) -> dict[str, frozenset[str]]:
    """Read the members of each family, where the rule asks for them."""
    if rule is LeftOutReferences.OWN_COMPOSITION:
        return {}
    library = {phase.phase_id: phase for phase in load_reference_phases()}
    members: dict[str | None, set[str]] = defaultdict(set)
    for phase in phases:
        members[family_of(phase, library.get(phase.phase_id))].add(phase.phase_id)
    return {name: frozenset(ids) for name, ids in members.items() if name is not None}

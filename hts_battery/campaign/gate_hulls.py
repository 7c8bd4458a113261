"""The hulls that candidates are compared with at the gate, from the database."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError
from hts_battery.flows.gate import hull_snapshot
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.gate import HullSnapshot


class GateHulls:
    """
    The competing phases of one engine, and what of them travels with a candidate.

    Parameters
    ----------
    hull
        All usable phases of one calculator.
    calculator
        Its name with the version.
    """

    def __init__(self, hull: Hull, calculator: str) -> None:
        self.hull = hull
        self.calculator = calculator
        self._known: dict[tuple[str, ...], HullSnapshot] = {}

    @classmethod
    def of_engine(cls, engine_name: str, stores: Stores) -> GateHulls:
        """
        Read the phases of an engine.

        Where the database holds energies of several versions, the one with most
        phases is taken; a node that computes with another one says so.

        Raises
        ------
        ConfigurationError
            If the database holds none.
        """
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
        return cls(hull, calculator)

    def snapshot(self, elements: Collection[str]) -> HullSnapshot:
        """
        Return the phases that matter to candidates of some elements.

        Raises
        ------
        MissingReferenceError
            If an element has no phase.
        """
        system = tuple(sorted(elements))
        if system not in self._known:
            self._known[system] = hull_snapshot(
                self.hull, system, calculator=self.calculator
            )
        return self._known[system]

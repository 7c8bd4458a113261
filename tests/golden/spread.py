"""A relaxation whose energies differ from ordering to ordering, and are no draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fakes import FakeRelaxMaker
from jobflow import job

if TYPE_CHECKING:
    from pymatgen.core import Structure

_WIDTH, _STEPS = 0.02, 97


@dataclass
class FakeSpreadRelaxMaker(FakeRelaxMaker):
    """As its parent, with an energy that depends on which species is on which site."""

    name: str = "fake spread relax"

    @job
    def make(self, structure: Structure) -> dict[str, Any]:
        places = sum(
            number * site.specie.Z for number, site in enumerate(structure, start=1)
        )
        energy = self.energy_per_atom + _WIDTH * (places % _STEPS) / _STEPS
        told = replace(self, energy_per_atom=energy)
        return FakeRelaxMaker.make.original(told, structure)  # type: ignore[attr-defined]

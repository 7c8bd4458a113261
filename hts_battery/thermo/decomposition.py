"""What a composition decomposes into: the answer of a hull."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.thermo.atomic_fractions import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.thermo.atomic_fractions import Formula


@dataclass(frozen=True)
class Decomposition:
    """The lowest mixture of reference phases at one composition."""

    energy: float
    """Energy of the mixture, eV/atom."""
    amounts: Mapping[str, float]
    """Formula of each phase → atomic fraction of the mixture in it."""
    phases: Mapping[str, float]
    """Id of each phase → atomic fraction of the mixture in it."""
    formulas: Mapping[str, str]
    """Id of each phase → its formula."""
    chemical_potentials: Mapping[str, float]
    """Element → chemical potential, eV/atom, on the scale of the references."""

    def lowered_by(self, formula: Formula, energy_per_atom: float) -> bool:
        """
        Whether a new or lowered reference could change this answer.

        Exact in one direction: False means that the answer stands. True also
        occurs where the answer is degenerate and in fact stands.

        Parameters
        ----------
        formula
            Composition of the reference.
        energy_per_atom
            Its energy, eV/atom.
        """
        potentials = self.chemical_potentials
        fractions = atomic_fractions(formula)
        if not fractions.keys() <= potentials.keys():
            return False
        plane = sum(potentials[el] * amount for el, amount in fractions.items())
        return energy_per_atom < plane

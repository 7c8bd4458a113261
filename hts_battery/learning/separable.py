"""A score of compositions that is a sum over elements and the entropy of mixing."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isinf, log
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import common_divisor
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.thermo.entropy import KB_EV_PER_K, candidate_entropy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from hts_battery.compositions.mixture import Frame
    from hts_battery.schemas.candidate import Candidate

    Integers = NDArray[np.integer[Any]]

QUANTUM_EV = 2.0**-46
"""Sums are whole multiples of it (1.4e-14 eV): exact whatever their order."""
_LARGEST_EV = 2.0**11


@dataclass(frozen=True)
class SeparableSurrogate:
    r"""
    Energies that add up over elements, less the entropy of ideal mixing.

    .. math:: f = c + \sum_e x_e w_e - T S

    Parameters
    ----------
    weights
        Element → eV, multiplied by its atomic fraction.
    intercept
        eV per atom.

    Examples
    --------
    >>> from hts_battery.compositions import load_space
    >>> space = load_space("workflows/spaces/latp.yaml")
    >>> weights = {"Li": -0.1, "Al": -0.2, "Ti": 0, "P": 0, "O": 0}
    >>> round(SeparableSurrogate(weights).score(space[0], temperature=0), 6)
    -0.005556
    """

    weights: Mapping[str, float]
    intercept: float = field(default=0.0, kw_only=True)

    def check(self, elements: Iterable[str]) -> None:
        """
        Refuse elements that have no weight.

        Raises
        ------
        CompositionError
            Naming them.
        """
        if missing := sorted(set(elements) - set(self.weights)):
            raise CompositionError(
                f"the surrogate has no weight for {', '.join(missing)}: fit it on "
                "compositions that hold them, or leave them out of the space"
            )

    def score(self, candidate: Candidate, *, temperature: float) -> float:
        """
        Score one candidate, eV per atom; its entropy counts elements and anions.

        Raises
        ------
        CompositionError
            If an element of it has no weight.
        """
        self.check(candidate.amounts)
        atoms = float(sum(candidate.amounts.values()))
        energy = sum(
            float(amount) / atoms * self.weights[element]
            for element, amount in candidate.amounts.items()
        )
        entropy = candidate_entropy(candidate).entropy if temperature else 0.0
        return self.intercept + energy - temperature * entropy


class FrameScores(NamedTuple):
    """
    What each amount of a frame adds to the score of a formula unit.

    Energies are whole numbers of :data:`QUANTUM_EV`, atoms whole numbers of
    ``atom_unit``, so that equal sums are equal.
    """

    energies: tuple[tuple[int, ...], ...]
    """By item, then by its units."""
    atoms: tuple[int, ...]
    """Of one unit of each item."""
    empty: tuple[tuple[int, ...], ...]
    """By group of sites, then by its empty units."""
    fixed_energy: int
    fixed_atoms: int
    atom_unit: Fraction

    def per_atom(
        self, energies: Integers, atoms: Integers | int
    ) -> NDArray[np.float64]:
        """Turn sums into eV per atom."""
        found: NDArray[np.float64] = (
            energies * QUANTUM_EV / (atoms * float(self.atom_unit))
        )
        return found

    def below(self, score: float, atoms: int) -> int:
        """Whole number that no sum of a score up to this one exceeds."""
        if isinf(score):
            return 2**62
        exact = score * atoms * float(self.atom_unit) / QUANTUM_EV
        return int(exact + 2 + abs(exact) * 1e-15)


class _Terms:
    """Energies of amounts on the sublattices of one frame."""

    def __init__(
        self,
        surrogate: SeparableSurrogate,
        heat: float,
        sites: Mapping[str, Fraction],
        unit: Fraction,
    ) -> None:
        self._surrogate = surrogate
        self._heat = heat
        self._sites = sites
        self._unit = unit

    def energy(self, element: str, sublattice: str, amount: Fraction) -> int:
        """Energy of an amount per formula unit, in whole quanta."""
        if not amount:
            return 0
        here = float(amount)
        mixing = self._heat * here * log(here / float(self._sites[sublattice]))
        each = 0.0
        if element != VACANCY:
            one = self._surrogate
            each = float(self._unit) * (one.weights[element] + one.intercept)
        if not abs(mixing) + abs(each * here / float(self._unit)) < _LARGEST_EV:
            raise CompositionError(
                f"{here:g} {element} adds too much to a formula unit: weights must "
                f"be finite and sums below {_LARGEST_EV:g} eV"
            )
        # Whole for each unit, so that equal weights give equal sums.
        whole = int(amount / self._unit) * round(each / QUANTUM_EV)
        return whole + round(mixing / QUANTUM_EV)


def frame_scores(
    frame: Frame,
    sites: Mapping[str, Fraction],
    surrogate: SeparableSurrogate,
    *,
    temperature: float,
) -> FrameScores:
    """
    Tabulate a separable score over the amounts of a frame.

    Every item sits on one sublattice, and no fixed element on two: the terms of
    elements then add up.

    Raises
    ------
    CompositionError
        If a weight is not finite.
    """
    mixture = frame.mixture
    fixed: dict[tuple[str, str], Fraction] = {}
    for sublattice, species, amount in frame.fixed:
        key = (parse_species(species).element, sublattice)
        fixed[key] = fixed[key] + amount if key in fixed else amount
    held = [item.unit for item in mixture.items] + [n for _, n in frame.amounts]
    unit = common_divisor(held)
    terms = _Terms(surrogate, KB_EV_PER_K * temperature, sites, unit)
    return FrameScores(
        energies=tuple(
            tuple(
                terms.energy(
                    item.element,
                    mixture.groups[item.shares[0].group].sublattice,
                    units * item.unit,
                )
                for units in range(max(item.allowed, default=0) + 1)
            )
            for item in mixture.items
        ),
        atoms=tuple(int(item.unit / unit) for item in mixture.items),
        empty=tuple(
            tuple(
                terms.energy(VACANCY, group.sublattice, units * group.unit)
                for units in range(group.units + 1)
            )
            for group in mixture.groups
        ),
        fixed_energy=sum(terms.energy(*key, amount) for key, amount in fixed.items()),
        fixed_atoms=int(sum(n for _, n in frame.amounts) / unit),
        atom_unit=unit,
    )

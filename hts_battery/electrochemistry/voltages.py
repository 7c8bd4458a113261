r"""
Voltage profile of a framework from energies of its states with more and less carrier.

Per framework the states are points :math:`(n, E)`; between two that lie on the lower
envelope both are present, and the carrier moves at

.. math:: V = -\frac{E(n_2) - E(n_1) - (n_2 - n_1) \mu_\text{metal}}
          {z (n_2 - n_1)} .

One dimension is enough: no other phase, no sign and no zero of energy plays a part, so
totals of an all-electron code, one state, or negative voltages are as good as any.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

from hts_battery.electrochemistry.carriers import carrier_charge
from hts_battery.electrochemistry.open_system import finite_energies
from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import display_formula, integer_amounts, parse_formula

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    State = tuple[Fraction, float]
    """Carriers and energy in eV, both per framework."""

ONE_STATE = "one state with another amount of carrier is needed for a voltage"


@dataclass(frozen=True)
class VoltageProfile:
    """Steps of a framework against the metal of its carrier."""

    framework: str
    """What stays, per which amounts are counted: smallest whole numbers."""
    carrier: str
    amounts: tuple[Fraction, ...]
    """Carriers per framework of each state on the lower envelope, rising."""
    voltages: tuple[float, ...]
    """Between each amount and the next, V; never rising."""
    used: tuple[int, ...]
    """Which of the given states each amount stands for."""
    reason: str | None = None
    """Why there is no voltage."""

    @property
    def average(self) -> float | None:
        """Voltage between the least and the most carriers, V."""
        if not self.voltages:
            return None
        return self.between(self.amounts[0], self.amounts[-1])

    def between(self, low: Fraction, high: Fraction) -> float:
        """
        Average voltage over a range of carriers per framework, V.

        Raises
        ------
        ValueError
            If the range is empty or leaves the states that are known.
        """
        if not self.amounts[0] <= low < high <= self.amounts[-1]:
            raise ValueError(
                f"{float(low):g} to {float(high):g} {self.carrier} per "
                f"{self.framework}: give a range inside {float(self.amounts[0]):g} to "
                f"{float(self.amounts[-1]):g}"
            )
        steps = zip(pairwise(self.amounts), self.voltages, strict=True)
        total = sum(
            float(max(Fraction(0), min(high, b) - max(low, a))) * voltage
            for (a, b), voltage in steps
        )
        return total / float(high - low)


def voltage_profile(
    formulas: Sequence[str],
    energies_per_atom: ArrayLike,
    metal_energy: float,
    *,
    carrier: str,
) -> VoltageProfile:
    """
    Voltages of one framework from its states.

    Parameters
    ----------
    formulas
        States of the framework, of any cell size and in any order; of those with one
        amount of carrier the lowest counts.
    energies_per_atom
        Their energies in eV/atom, from one calculator.
    metal_energy
        Of the metal of the carrier, eV/atom, from the same calculator.
    carrier
        Element that passes through the circuit.

    Returns
    -------
    VoltageProfile
        Without voltages, and with the reason, for a single amount of carrier.

    Raises
    ------
    CompositionError
        If the states are not of one framework.
    ValueError
        If there are no states, the lengths differ, an energy is not finite or the
        carrier is none.

    Examples
    --------
    >>> profile = voltage_profile(
    ...     ["LiCoO2", "CoO2"], [-5.0, -5.0], -2.0, carrier="Li"
    ... )
    >>> profile.framework, profile.voltages, profile.average
    ('CoO2', (3.0,), 3.0)
    """
    charge = carrier_charge(carrier)
    framework, states = _states(formulas, energies_per_atom, carrier)
    if not isfinite(metal_energy):
        raise ValueError(f"energy of {carrier} metal is {metal_energy}, not a number")
    numbers = _lower_envelope(states)
    amounts = tuple(states[number][0] for number in numbers)
    voltages = tuple(
        (metal_energy - _slope(states[a], states[b])) / charge
        for a, b in pairwise(numbers)
    )
    return VoltageProfile(
        framework=framework,
        carrier=carrier,
        amounts=amounts,
        voltages=voltages,
        used=tuple(numbers),
        reason=None if voltages else ONE_STATE,
    )


def _states(
    formulas: Sequence[str], energies_per_atom: ArrayLike, carrier: str
) -> tuple[str, list[State]]:
    """Bring every state to one framework, refusing what is none."""
    energies = finite_energies(energies_per_atom, formulas)
    if not formulas:
        raise ValueError("a voltage profile needs at least one state")
    kept = [_without(formula, carrier) for formula in formulas]
    framework = integer_amounts(kept[0])
    states = []
    for formula, rest, energy in zip(formulas, kept, energies.tolist(), strict=True):
        if integer_amounts(rest) != framework:
            raise CompositionError(
                f"{formula} and {formulas[0]} differ by more than {carrier}: a profile "
                "needs the states of one framework"
            )
        every = parse_formula(formula)
        units = next(iter(rest.values())) / framework[next(iter(rest))]
        states.append(
            (
                every.get(carrier, Fraction(0)) / units,
                energy * float(sum(every.values()) / units),
            )
        )
    return display_formula({el: Fraction(n) for el, n in framework.items()}), states


def _without(formula: str, carrier: str) -> Mapping[str, Fraction]:
    rest = {el: n for el, n in parse_formula(formula).items() if el != carrier}
    if not rest:
        raise CompositionError(f"{formula} has no framework beside {carrier}")
    return rest


def _lower_envelope(states: Sequence[State]) -> list[int]:
    """Find the states on the lower envelope, by rising amount of carriers."""
    lowest: dict[Fraction, int] = {}
    for number, (amount, energy) in enumerate(states):
        best = lowest.get(amount)
        if best is None or energy < states[best][1]:
            lowest[amount] = number
    found: list[int] = []
    for _, number in sorted(lowest.items()):
        while len(found) > 1 and _slope(states[found[-2]], states[found[-1]]) >= _slope(
            states[found[-1]], states[number]
        ):
            found.pop()
        found.append(number)
    return found


def _slope(first: State, second: State) -> float:
    """Energy that one carrier more costs, eV."""
    return (second[1] - first[1]) / float(second[0] - first[0])

r"""
Between which voltages a candidate neither takes in nor gives off its carrier.

With the carrier open at :math:`\mu = \mu_\text{metal} - z e V` a candidate of energy
:math:`e` at composition :math:`x` stays as it is as long as no mixture that differs
from it by carriers is lower. The two limits are the slopes of the hull on both sides,

.. math:: \mu_\pm = \pm \min_{t, \lambda \ge 0} (c \cdot \lambda - t e), \quad
          A^T \lambda = t x \pm \hat{e}_\text{carrier},

where :math:`t` is the amount of the candidate that one carrier turns into products.
Written so, with more of the candidate as a column, no step to either side is chosen and
no kink can lie inside it; the products are those of the balanced reaction.

Method: W. D. Richards et al., Chemistry of Materials 28, 266 (2016),
10.1021/acs.chemmater.5b04082; Y. Zhu, X. He, Y. Mo, ACS Applied Materials and
Interfaces 7, 23685 (2015), 10.1021/acsami.5b07517.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from hts_battery.electrochemistry.carriers import other_alkali
from hts_battery.electrochemistry.open_system import (
    OpenElement,
    finite_energies,
    hull_energies,
)
from hts_battery.electrochemistry.oxygen import with_oxygen_gas
from hts_battery.electrochemistry.reactions import (
    Reaction,
    atoms_of,
    phases_reaction,
)
from hts_battery.schemas.formula import parse_formula
from hts_battery.thermo.envelope import fraction_rows
from hts_battery.thermo.exchanges import Exchanged, Exchanges, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.electrochemistry.oxygen import OxygenGas
    from hts_battery.thermo.hull import Hull

    Floats = NDArray[np.float64]

FAR_BELOW_HULL = 0.05
"""A candidate farther below the hull, in eV/atom, says that the hull has a gap."""
_SAME_VOLTAGE = 1e-7
_NO_AMOUNT = 1e-9

PLATEAU = "plateau"
"""Flag: the composition lies on a two-phase plateau, the window has no width."""
BELOW_HULL = "far_below_hull"
"""Flag: so far below the hull that phases are missing; the window is not ranked."""
METASTABLE = "metastable"
"""Flag: above the hull by more than the tolerance; the window of its products."""
SECOND_ALKALI = "second_alkali"
"""Flag: another alkali metal is inside and counts as framework."""
AT_THE_METAL = "stable_at_the_metal"
"""Flag: nothing is reduced before the metal of the carrier is plated, at 0 V."""


@dataclass(frozen=True)
class StabilityWindow:
    """The window of one candidate; voltages against the metal of the carrier."""

    formula: str
    carrier: str
    reduction: float | None
    """Below this voltage the candidate takes in carriers and decomposes, V."""
    oxidation: float | None
    """Above this voltage it gives off carriers and decomposes, V."""
    energy_above_hull: float
    """Signed, eV/atom; 0 where no energy was given."""
    reduction_slope: float | None
    """How far the limit rises with the candidate's energy, V per eV/atom."""
    oxidation_slope: float | None
    """How far the limit falls with the candidate's energy, V per eV/atom."""
    reduction_reaction: Reaction | None
    """What one formula unit becomes just below; None if the metal is plated first."""
    oxidation_reaction: Reaction | None
    """What one formula unit becomes just above."""
    flags: tuple[str, ...] = ()
    reason: str | None = None
    """Why a limit is missing."""

    @property
    def reduction_products(self) -> Mapping[str, float]:
        """Formula → formula units from one unit of the candidate."""
        metal = None if self.reduction is None else self.carrier
        return _products(self.reduction_reaction, self.carrier, default=metal)

    @property
    def oxidation_products(self) -> Mapping[str, float]:
        """Formula → formula units from one unit of the candidate; no carriers."""
        return _products(self.oxidation_reaction, self.carrier)

    @property
    def width(self) -> float | None:
        """Oxidation minus reduction limit, V."""
        if self.reduction is None or self.oxidation is None:
            return None
        return self.oxidation - self.reduction

    @property
    def rankable(self) -> bool:
        """Whether the width may be compared with that of others."""
        return self.width is not None and BELOW_HULL not in self.flags


def _products(
    reaction: Reaction | None, carrier: str, default: str | None = None
) -> Mapping[str, float]:
    if reaction is None:
        return {} if default is None else {default: 1.0}
    return {f: float(n) for f, n in reaction.products.items() if f != carrier}


class _Side(NamedTuple):
    """One limit of every candidate."""

    voltages: Floats
    taken: Floats
    """Atoms of the candidate that one carrier turns into products."""
    solved: Exchanged


@dataclass(frozen=True, eq=False)
class StabilityWindows:
    """Windows of many candidates as arrays; an item is a :class:`StabilityWindow`."""

    formulas: tuple[str, ...]
    carrier: str
    reduction: Floats
    """V; NaN where there is none."""
    oxidation: Floats
    """V; NaN where there is none."""
    energy_above_hull: Floats
    """Signed, eV/atom."""
    reduction_slope: Floats
    """V per eV/atom."""
    oxidation_slope: Floats
    """V per eV/atom."""
    flags: tuple[tuple[str, ...], ...]
    reasons: tuple[str | None, ...]
    """Why a limit is missing, by candidate."""
    _hull: Hull = field(repr=False)
    _sides: tuple[_Side, _Side] = field(repr=False)

    def __len__(self) -> int:
        return len(self.formulas)

    def __iter__(self) -> Iterator[StabilityWindow]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> StabilityWindow:
        if not -len(self) <= number < len(self):
            raise IndexError(f"window {number} of {len(self)}")
        return StabilityWindow(
            formula=self.formulas[number],
            carrier=self.carrier,
            reduction=_number(self.reduction[number]),
            oxidation=_number(self.oxidation[number]),
            energy_above_hull=float(self.energy_above_hull[number]),
            reduction_slope=_number(self.reduction_slope[number]),
            oxidation_slope=_number(self.oxidation_slope[number]),
            reduction_reaction=self._reaction(number, 0),
            oxidation_reaction=self._reaction(number, 1),
            flags=self.flags[number],
            reason=self.reasons[number],
        )

    @cached_property
    def reduction_products(self) -> tuple[Mapping[str, float], ...]:
        """Of each candidate: formula → formula units."""
        return tuple(
            _products(
                self._reaction(number, 0),
                self.carrier,
                default=None if np.isnan(voltage) else self.carrier,
            )
            for number, voltage in enumerate(self.reduction)
        )

    @cached_property
    def oxidation_products(self) -> tuple[Mapping[str, float], ...]:
        """Of each candidate: formula → formula units."""
        return tuple(
            _products(self._reaction(number, 1), self.carrier)
            for number in range(len(self))
        )

    def _reaction(self, number: int, side: int) -> Reaction | None:
        """Balance the reaction at one limit, None where there is none."""
        found = self._sides[side]
        taken = found.taken[number]
        if np.isnan(found.voltages[number]) or taken < _NO_AMOUNT:
            return None
        formula = self.formulas[number]
        if set(parse_formula(formula)) == {self.carrier}:
            return None  # its metal: what is plated or stripped is itself
        return phases_reaction(
            {
                formula: taken / atoms_of(formula),
                self.carrier: 1.0 if side == 0 else -1.0,
            },
            found.solved.made(number, self._hull.formulas),
        )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@overload
def stability_window(
    hull: Hull,
    formulas: str,
    energies_per_atom: ArrayLike | None = None,
    *,
    carrier: str,
    tolerance: float = 0.0,
    oxygen: OxygenGas | None = None,
) -> StabilityWindow: ...
@overload
def stability_window(
    hull: Hull,
    formulas: list[str] | tuple[str, ...],
    energies_per_atom: ArrayLike | None = None,
    *,
    carrier: str,
    tolerance: float = 0.0,
    oxygen: OxygenGas | None = None,
) -> StabilityWindows: ...
def stability_window(
    hull: Hull,
    formulas: str | list[str] | tuple[str, ...],
    energies_per_atom: ArrayLike | None = None,
    *,
    carrier: str,
    tolerance: float = 0.0,
    oxygen: OxygenGas | None = None,
) -> StabilityWindow | StabilityWindows:
    """
    Electrochemical stability window of candidates against the metal of a carrier.

    Parameters
    ----------
    hull
        Reference phases. One of the candidate's own composition takes part.
    formulas
        One candidate or a sequence.
    energies_per_atom
        Their energies in eV/atom, on the scale of the references. Without them, and
        for a candidate above the hull, the window is that of the candidate moved onto
        the hull, which is the window of its products.
    carrier
        Element that passes through the circuit.
    tolerance
        Decomposition energy in eV per atom of the candidate that still counts as
        stable.
    oxygen
        Temperature and pressure of released O2; by default its energy of 0 K.

    Returns
    -------
    StabilityWindow or StabilityWindows
        For one formula, or for a sequence. In a sequence a candidate that cannot be
        answered has NaN and its reason; a candidate without carriers has no oxidation
        limit.

    Raises
    ------
    MissingReferenceError
        If the references hold no metal of the carrier, or, for one formula, not all
        of its elements.
    ValueError
        If the carrier is none, an energy is not finite, or the tolerance negative.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> hull = Hull(["Li", "O2", "Li2O", "Li2O2"], [0.0, 0.0, -2.0, -1.7])
    >>> window = stability_window(hull, "Li2O2", carrier="Li")
    >>> round(window.reduction, 6), round(window.oxidation, 6)
    (2.6, 3.4)
    >>> window.reduction_reaction.equation
    'Li2O2 + 2 Li -> 2 Li2O'
    """
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"tolerance {tolerance} eV/atom: give 0 or more")
    hull = with_oxygen_gas(hull, oxygen)
    opened = OpenElement(hull, carrier)
    listed = (formulas,) if isinstance(formulas, str) else tuple(formulas)
    rows, inside = fraction_rows(listed, hull.elements)
    rows[~inside] = 0.0
    lowest = hull_energies(hull, rows)
    if isinstance(formulas, str) and np.isnan(lowest[0]):
        raise hull.missing_reference(formulas)
    energies = lowest
    if energies_per_atom is not None:
        given = finite_energies(energies_per_atom, listed)
        energies = given - rows @ hull.element_energies
    sides = _sides(hull, opened, rows, np.minimum(energies - tolerance, lowest))
    windows = _windows(hull, opened, listed, sides, energies - lowest, tolerance)
    return windows[0] if isinstance(formulas, str) else windows


def _sides(
    hull: Hull, opened: OpenElement, rows: Floats, energies: Floats
) -> tuple[_Side, _Side]:
    """Solve both limits of every candidate in one batch; NaN where there is none."""
    known = np.flatnonzero(~np.isnan(energies))
    holds = known[rows[known, opened.column] > 0]
    numbers = np.concatenate([known, holds])
    sign = np.repeat([1.0, -1.0], [len(known), len(holds)])
    # The least of the candidate that can take in, or give off, one carrier.
    least = np.repeat([0.0, 1.0], [len(known), len(holds)])
    least[len(known) :] /= rows[holds, opened.column]
    targets = least[:, None] * rows[numbers] + sign[:, None] * opened.unit
    targets[len(known) :, opened.column] = 0.0
    solved = hull.exchanges(
        Exchanges(
            systems=(rows[numbers] + opened.unit) > 0,
            targets=targets,
            columns=-rows[numbers][:, None, :],
            costs=-energies[numbers][:, None],
        )
    )
    potentials = sign * (solved.costs - least * energies[numbers])
    taken = least + solved.exchanged[:, 0]
    parts = slice(None, len(known)), slice(len(known), None)
    first, second = (
        _Side(
            spread(-potentials[part] / opened.charge, numbers[part], len(rows)),
            spread(taken[part], numbers[part], len(rows)),
            solved.spread(part, numbers[part], len(rows)),
        )
        for part in parts
    )
    return first, second


def _windows(
    hull: Hull,
    opened: OpenElement,
    formulas: tuple[str, ...],
    sides: tuple[_Side, _Side],
    above: Floats,
    tolerance: float,
) -> StabilityWindows:
    """Join both limits with what they mean."""
    below, beyond = sides
    reduction = np.maximum(below.voltages, 0.0) + 0.0  # never -0.0
    oxidation = np.maximum(beyond.voltages, reduction)
    marks = {
        PLATEAU: oxidation - reduction < _SAME_VOLTAGE,
        AT_THE_METAL: below.taken < _NO_AMOUNT,
        METASTABLE: above > tolerance + _SAME_VOLTAGE,
        BELOW_HULL: above < -FAR_BELOW_HULL,
        SECOND_ALKALI: [bool(other_alkali(f, opened.carrier)) for f in formulas],
    }
    return StabilityWindows(
        formulas=formulas,
        carrier=opened.carrier,
        reduction=reduction,
        oxidation=oxidation,
        energy_above_hull=above,
        reduction_slope=below.taken / opened.charge,
        oxidation_slope=beyond.taken / opened.charge,
        flags=tuple(
            tuple(flag for flag, true in zip(marks, row, strict=True) if true)
            for row in zip(*marks.values(), strict=True)
        ),
        reasons=tuple(
            _reason(hull, opened.carrier, formula, low, high)
            for formula, low, high in zip(formulas, reduction, oxidation, strict=True)
        ),
        _hull=hull,
        _sides=sides,
    )


def _reason(
    hull: Hull, carrier: str, formula: str, reduction: float, oxidation: float
) -> str | None:
    """Say why a limit is missing."""
    if np.isnan(reduction):
        return str(hull.missing_reference(formula))
    if not np.isnan(oxidation):
        return None
    if carrier not in parse_formula(formula):
        return f"{formula} holds no {carrier} to give off: no oxidation limit"
    return f"no mixture of the references is {formula} with less {carrier}"

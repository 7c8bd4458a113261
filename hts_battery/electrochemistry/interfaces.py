r"""
What a candidate and an electrode do where they touch.

At the mixing ratio :math:`f`, a fraction of atoms, the two give off

.. math:: E(f) = \min_\lambda c \cdot \lambda - f e_1 - (1 - f) e_2 ,

convex and piecewise linear, and the reaction energy is its minimum. The total starts
from the energies of the two, the mutual one from the mixtures into which each would
decompose alone: without a voltage and with both on the hull the two are the same.
At a voltage the carrier is exchanged with the circuit, its amount is no part of a
composition, and every energy is per atom without it.

Method: W. D. Richards et al., Chemistry of Materials 28, 266 (2016),
10.1021/acs.chemmater.5b04082.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from hts_battery.electrochemistry.open_system import (
    OpenElement,
    finite_energies,
    hull_energies,
    open_energies,
)
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

    from hts_battery.thermo.hull import Hull

    Floats = NDArray[np.float64]

_NO_REACTION = 1e-9
_SAME = 1e-12


@dataclass(frozen=True)
class InterfaceReaction:
    """What one candidate does at an electrode."""

    formula: str
    electrode: str
    carrier: str | None
    """Element exchanged with the circuit; None where nothing is."""
    voltage: float | None
    """Against the metal of the carrier, V."""
    mutual: float | None
    """Lowest reaction energy of the two beyond what each does alone; not above 0."""
    total: float | None
    """The same with what each does alone."""
    fraction: float | None
    """Atoms of the candidate among all at the mutual minimum; None without reaction."""
    total_fraction: float | None
    """The same at the minimum of the total."""
    reaction: Reaction | None
    """What one formula unit of the candidate does at the mutual minimum."""
    reason: str | None = None
    """Why there is no answer."""

    @property
    def products(self) -> Mapping[str, float]:
        """Formula → formula units from one unit of the candidate; no carriers."""
        found = {} if self.reaction is None else self.reaction.products
        return {f: float(n) for f, n in found.items() if f != self.open_carrier}

    @property
    def open_carrier(self) -> str | None:
        """The element that is exchanged, if a voltage is given."""
        return None if self.voltage is None else self.carrier

    @property
    def unit(self) -> str:
        """Unit of both energies."""
        return "eV/atom" if self.voltage is None else f"eV/atom without {self.carrier}"


@dataclass(frozen=True, eq=False)
class InterfaceReactions:
    """Reactions of many candidates as arrays; an item is an `InterfaceReaction`."""

    formulas: tuple[str, ...]
    electrode: str
    carrier: str | None
    voltage: float | None
    mutual: Floats
    """eV/atom, at a voltage without the carrier; NaN where there is no answer."""
    total: Floats
    fraction: Floats
    """By atoms; NaN where nothing reacts."""
    total_fraction: Floats
    reasons: tuple[str | None, ...]
    _hull: Hull = field(repr=False)
    _mixed: _Mixed = field(repr=False)

    def __len__(self) -> int:
        return len(self.formulas)

    def __iter__(self) -> Iterator[InterfaceReaction]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> InterfaceReaction:
        if not -len(self) <= number < len(self):
            raise IndexError(f"reaction {number} of {len(self)}")
        return InterfaceReaction(
            formula=self.formulas[number],
            electrode=self.electrode,
            carrier=self.carrier,
            voltage=self.voltage,
            mutual=_number(self.mutual[number]),
            total=_number(self.total[number]),
            fraction=_number(self.fraction[number]),
            total_fraction=_number(self.total_fraction[number]),
            reaction=self._reaction(number),
            reason=self.reasons[number],
        )

    @property
    def products(self) -> tuple[Mapping[str, float], ...]:
        """Of each candidate: formula → formula units."""
        return tuple(reaction.products for reaction in self)

    def _reaction(self, number: int) -> Reaction | None:
        fraction, solved = self.fraction[number], self._mixed.solved
        if np.isnan(fraction):
            return None
        atoms = self._mixed.atoms[number]
        first, second = self.formulas[number], self.electrode
        used = {first: atoms * fraction / atoms_of(first)}
        used[second] = used.get(second, 0.0) + atoms * (1 - fraction) / atoms_of(second)
        if self.carrier is not None and self.voltage is not None:
            taken_in = solved.exchanged[number, 2] - solved.exchanged[number, 1]
            used[self.carrier] = used.get(self.carrier, 0.0) + taken_in
        return phases_reaction(used, solved.made(number, self._hull.formulas))


class _Mixed(NamedTuple):
    """The lowest mixing ratio of every candidate with the electrode."""

    energies: Floats
    fractions: Floats
    """Of the first, by atoms; NaN where nothing reacts."""
    atoms: Floats
    """All atoms of the two for one atom that counts."""
    solved: Exchanged


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


@overload
def interface_reaction(
    hull: Hull,
    formulas: str,
    electrode: str,
    *,
    carrier: str | None = None,
    voltage: float | None = None,
    energies_per_atom: ArrayLike | None = None,
) -> InterfaceReaction: ...
@overload
def interface_reaction(
    hull: Hull,
    formulas: list[str] | tuple[str, ...],
    electrode: str,
    *,
    carrier: str | None = None,
    voltage: float | None = None,
    energies_per_atom: ArrayLike | None = None,
) -> InterfaceReactions: ...
def interface_reaction(
    hull: Hull,
    formulas: str | list[str] | tuple[str, ...],
    electrode: str,
    *,
    carrier: str | None = None,
    voltage: float | None = None,
    energies_per_atom: ArrayLike | None = None,
) -> InterfaceReaction | InterfaceReactions:
    """
    Lowest reaction energy of candidates with an electrode.

    Parameters
    ----------
    hull
        Reference phases.
    formulas
        One candidate or a sequence.
    electrode
        Formula of the electrode; it stands on the hull.
    carrier, voltage
        Element exchanged with the circuit, and the voltage against its metal in V;
        without a voltage nothing is exchanged.
    energies_per_atom
        Energies of the candidates in eV/atom, for the total; by default they stand on
        the hull.

    Returns
    -------
    InterfaceReaction or InterfaceReactions
        For one formula, or for a sequence, where a candidate that cannot be answered
        has NaN and its reason.

    Raises
    ------
    MissingReferenceError
        If the references do not hold all elements of the electrode or, for one
        formula, of the candidate, or no metal of the carrier.
    ValueError
        If a voltage is given without carrier or is below 0, if the electrode holds
        nothing but the open carrier (so, for one formula, the candidate), or an
        energy is not finite.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> hull = Hull(["Li", "P", "O2", "Li2O", "P2O5"], [0, 0, 0, -2.0, -2.2])
    >>> found = interface_reaction(hull, "P2O5", "Li")
    >>> round(found.mutual, 4), round(found.fraction, 4), found.reaction.equation
    (-0.8588, 0.4118, 'P2O5 + 10 Li -> 5 Li2O + 2 P')
    """
    opened = _opened(hull, electrode, carrier, voltage)
    listed = (formulas,) if isinstance(formulas, str) else tuple(formulas)
    rows, inside = fraction_rows([*listed, electrode], hull.elements)
    rows[~inside] = 0.0
    sides = _Sides.of(hull, opened, rows, _given(energies_per_atom, listed))
    if np.isnan(sides.alone[-1]):
        raise hull.missing_reference(electrode)
    if isinstance(formulas, str) and np.isnan(sides.alone[0]):
        if opened is not None and sides.weights[0] < _SAME:
            raise ValueError(_reason(hull, opened, formulas))
        raise hull.missing_reference(formulas)
    mutual = _mixed(hull, opened, sides, sides.alone)
    total = _mixed(hull, opened, sides, sides.start)
    known = ~np.isnan(sides.alone[:-1])
    found = InterfaceReactions(
        formulas=listed,
        electrode=electrode,
        carrier=carrier,
        voltage=voltage,
        mutual=mutual.energies,
        total=total.energies,
        fraction=mutual.fractions,
        total_fraction=total.fractions,
        reasons=tuple(
            None if there else _reason(hull, opened, formula)
            for there, formula in zip(known, listed, strict=True)
        ),
        _hull=hull,
        _mixed=mutual,
    )
    return found[0] if isinstance(formulas, str) else found


class _Opened(NamedTuple):
    """A carrier at the chemical potential of a voltage, relative to its metal."""

    element: OpenElement
    potential: float


def _opened(
    hull: Hull, electrode: str, carrier: str | None, voltage: float | None
) -> _Opened | None:
    """Open the carrier if a voltage is given, refusing what has no answer."""
    if voltage is None:
        return None
    if carrier is None:
        raise ValueError(f"a voltage of {voltage} V: say of which carrier")
    element = OpenElement(hull, carrier)
    if set(parse_formula(electrode)) == {carrier}:
        raise ValueError(
            f"the electrode {electrode} is the open carrier: at a voltage nothing else "
            "is there; leave the voltage out"
        )
    return _Opened(element, element.potential(voltage))


def _given(
    energies_per_atom: ArrayLike | None, formulas: tuple[str, ...]
) -> Floats | None:
    if energies_per_atom is None:
        return None
    return finite_energies(energies_per_atom, formulas)


class _Sides(NamedTuple):
    """Candidates, the electrode last, per atom that counts."""

    rows: Floats
    """Composition without the open carrier."""
    weights: Floats
    """Atoms that count, for each atom."""
    alone: Floats
    """Energy after each has decomposed alone, relative to the elements."""
    start: Floats
    """Energy before."""

    @classmethod
    def of(
        cls,
        hull: Hull,
        opened: _Opened | None,
        rows: Floats,
        energies: Floats | None,
    ) -> _Sides:
        closed = hull_energies(hull, rows)
        start = closed.copy()
        if energies is not None:
            start[:-1] = energies - rows[:-1] @ hull.element_energies
            start[np.isnan(closed)] = np.nan
        if opened is None:
            return cls(rows, np.ones(len(rows)), closed, start)
        element, potential = opened
        carried = rows[:, element.column]
        weights = 1.0 - carried
        alone = open_energies(hull, element, rows, np.full(len(rows), potential))
        counted = np.where((weights > _SAME) & ~np.isnan(closed), weights, np.nan)
        reduced = rows / counted[:, None]
        reduced[:, element.column] = 0.0
        carriers = potential * carried
        return cls(
            reduced, weights, (alone - carriers) / counted, (start - carriers) / counted
        )


def _mixed(
    hull: Hull, opened: _Opened | None, sides: _Sides, energies: Floats
) -> _Mixed:
    """Find the mixing ratio of lowest energy for each candidate with the electrode."""
    count, elements = len(sides.rows) - 1, sides.rows.shape[1]
    known = np.flatnonzero(~np.isnan(sides.alone[:-1]))
    first, second = sides.rows[known], np.repeat(sides.rows[-1:], len(known), 0)
    step = second - first
    raised = energies[-1] - energies[known]
    # One composition twice mixes to nothing new, at no gain.
    raised[np.abs(step).max(axis=1, initial=0.0) < _SAME] = 0.0
    columns, costs = step[:, None, :], raised[:, None]
    systems = (first > 0) | (second > 0)
    if opened is not None:
        unit, potential = opened.element.unit, opened.potential
        pair = np.broadcast_to(np.stack([unit, -unit]), (len(known), 2, elements))
        columns = np.concatenate([columns, pair], axis=1)
        both = np.tile([potential, -potential], (len(known), 1))
        costs = np.concatenate([costs, both], axis=1)
        systems |= unit > 0
    solved = hull.exchanges(Exchanges(systems, second, columns, costs))
    ratio = solved.exchanged[:, 0]
    lowest = solved.costs - energies[-1]
    # Convex in the ratio: a minimum beyond the pure candidate stands at the candidate.
    end = sides.alone[known] - energies[known]
    beyond = (ratio > 1.0) | (end < lowest)
    lowest, ratio = np.where(beyond, end, lowest), np.where(beyond, 1.0, ratio)
    reacts = lowest < -_NO_REACTION
    ours = ratio / sides.weights[known]
    atoms = ours + (1.0 - ratio) / sides.weights[-1]
    return _Mixed(
        spread(np.where(reacts, lowest, 0.0), known, count),
        spread(np.where(reacts, ours / atoms, np.nan), known, count),
        spread(atoms, known, count),
        solved.spread(slice(None), known, count),
    )


def _reason(hull: Hull, opened: _Opened | None, formula: str) -> str:
    """Say why a candidate has no answer."""
    if opened is not None and set(parse_formula(formula)) == {opened.element.carrier}:
        return f"{formula} is the open carrier: at a voltage nothing else is there"
    return str(hull.missing_reference(formula))

"""Reactions: formulas with exact amounts, balanced, gases marked."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from hts_battery.schemas.formula import (
    common_divisor,
    display_formula,
    parse_formula,
)
from hts_battery.thermo.competing_phases import is_gas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_DIATOMIC = frozenset({"H", "N", "O", "F", "Cl"})
_LARGEST_DENOMINATOR = 10**6
_NO_AMOUNT = 1e-8
_LARGEST_COEFFICIENT = 24
_NONE = Fraction(0)


@dataclass(frozen=True)
class Reaction:
    """What becomes of one formula unit of the first reactant."""

    reactants: Mapping[str, Fraction]
    """Formula → formula units."""
    products: Mapping[str, Fraction]
    """Formula → formula units."""

    @property
    def gases(self) -> tuple[str, ...]:
        """Products that are gases at the temperatures at which samples are made."""
        return tuple(formula for formula in self.products if is_gas(formula))

    @property
    def equation(self) -> str:
        """
        The reaction as text, gases with an arrow.

        Examples
        --------
        >>> Reaction({"Li2O": 1}, {"O2": Fraction(1, 2), "Li": Fraction(2)}).equation
        '2 Li2O -> O2(g) + 4 Li'
        """
        sides = self.reactants, self.products
        step = common_divisor([n for side in sides for n in side.values()])
        # Small whole numbers read best; of a long formula one unit does.
        if (
            max(n / step for side in sides for n in side.values())
            > _LARGEST_COEFFICIENT
        ):
            step = Fraction(1)
        return " -> ".join(
            " + ".join(_term(formula, n / step) for formula, n in side.items())
            for side in sides
        )


def _term(formula: str, amount: Fraction) -> str:
    shown = f"{formula}(g)" if is_gas(formula) else formula
    return shown if amount == 1 else f"{amount} {shown}"


@lru_cache(maxsize=65536)
def molecule(formula: str) -> str:
    """
    Name a phase as people do: gases of one element by their molecule.

    Examples
    --------
    >>> molecule("O"), molecule("Na3P1O4")
    ('O2', 'Na3PO4')
    """
    amounts = parse_formula(formula)
    if len(amounts) == 1:
        symbol = next(iter(amounts))
        return f"{symbol}2" if symbol in _DIATOMIC else symbol
    return display_formula(amounts)


def balanced(formulas: Sequence[str], amounts: Sequence[float]) -> Reaction:
    """
    Balance a reaction whose amounts are known up to rounding.

    Parameters
    ----------
    formulas
        What takes part; the first is used up, and the amounts are made its.
    amounts
        Formula units of each; negative where it is used up.

    Returns
    -------
    Reaction
        Exact; what has no amount is left out.

    Examples
    --------
    >>> balanced(["Li3PO4", "Li", "P", "Li2O"], [-1, -5, 1, 4]).equation
    'Li3PO4 + 5 Li -> P + 4 Li2O'
    """
    floats = {
        f: n for f, n in zip(formulas, amounts, strict=True) if abs(n) > _NO_AMOUNT
    }
    first = next(iter(floats))
    # The last columns of an elimination are the free ones: the first reactant is one.
    names = [*(name for name in floats if name != first), first]
    parsed = [parse_formula(name) for name in names]
    elements = sorted({symbol for one in parsed for symbol in one})
    pivots = _eliminated([[one.get(el, _NONE) for one in parsed] for el in elements])
    scale = abs(floats[first])
    exact = {
        name: Fraction(floats[name] / scale).limit_denominator(_LARGEST_DENOMINATOR)
        for column, name in enumerate(names)
        if column not in pivots
    }
    free = dict(exact)
    for column, row in pivots.items():
        entries = dict(zip(names, row, strict=True))
        exact[names[column]] = -sum((entries[f] * n for f, n in free.items()), _NONE)
    return Reaction(
        {name: -exact[name] for name in floats if exact[name] < 0},
        {name: exact[name] for name in floats if exact[name] > 0},
    )


def _eliminated(rows: list[list[Fraction]]) -> dict[int, list[Fraction]]:
    """Reduce rows by Gauss and Jordan, exactly: column of each pivot → its row."""
    pivots: dict[int, list[Fraction]] = {}
    for column in range(len(rows[0])):
        used = list(pivots.values())
        row = next((r for r in rows if r[column] and r not in used), None)
        if row is None:
            continue
        lead = row[column]
        row[:] = [value / lead for value in row]
        pivots[column] = row
        for other in rows:
            if other is not row and other[column]:
                factor = other[column]
                other[:] = [a - factor * b for a, b in zip(other, row, strict=True)]
    return pivots


@lru_cache(maxsize=65536)
def atoms_of(formula: str) -> float:
    """Atoms of a formula unit as it is written."""
    return float(sum(parse_formula(formula).values()))


def phases_reaction(
    reactants: Mapping[str, float], made: Iterable[tuple[str, float]]
) -> Reaction:
    """
    Balance what is used up, in formula units, against phases made, in atoms.

    A negative reactant is given off.
    """
    amounts = {formula: -units for formula, units in reactants.items()}
    for phase, atoms in sorted(made, key=lambda one: (-round(one[1], 9), one[0])):
        name = molecule(phase)
        amounts[name] = amounts.get(name, 0.0) + atoms / atoms_of(name)
    return balanced(list(amounts), list(amounts.values()))

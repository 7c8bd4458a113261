"""Formulas as trees: their text, LaTeX, Python source, complexity, units and values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Units = Mapping[str, Fraction]
    """Base unit → exponent; empty for a pure number."""


class Operator(NamedTuple):
    """One operator: how it is computed and written, and what units it allows."""

    apply: Callable[..., Array]
    text: str
    latex: str
    python: str
    power: Fraction | None = None
    """What it does to units; None: takes and gives pure numbers."""


UNARY: dict[str, Operator] = {
    "exp": Operator(np.exp, "exp({})", r"\exp\left({}\right)", "np.exp({})"),
    "log": Operator(np.log, "log({})", r"\ln\left({}\right)", "np.log({})"),
    "inv": Operator(
        np.reciprocal, "1/{}", r"\frac{{1}}{{{}}}", "np.reciprocal({})", Fraction(-1)
    ),
    "square": Operator(np.square, "{}^2", r"{}^2", "np.square({})", Fraction(2)),
    "cube": Operator(
        lambda x: np.power(x, 3), "{}^3", r"{}^3", "np.power({}, 3)", Fraction(3)
    ),
    "sqrt": Operator(
        np.sqrt, "sqrt({})", r"\sqrt{{{}}}", "np.sqrt({})", Fraction(1, 2)
    ),
    "cbrt": Operator(
        np.cbrt, "cbrt({})", r"\sqrt[3]{{{}}}", "np.cbrt({})", Fraction(1, 3)
    ),
}
BINARY: dict[str, Operator] = {
    "+": Operator(np.add, "({} + {})", r"\left({} + {}\right)", "({} + {})"),
    "-": Operator(np.subtract, "({} - {})", r"\left({} - {}\right)", "({} - {})"),
    "|-|": Operator(
        lambda a, b: np.abs(a - b),
        "|{} - {}|",
        r"\left|{} - {}\right|",
        "np.abs({} - {})",
    ),
    "*": Operator(np.multiply, "({} * {})", r"{} \, {}", "({} * {})"),
    "/": Operator(np.divide, "({} / {})", r"\frac{{{}}}{{{}}}", "({} / {})"),
}
SUMS = ("+", "-", "|-|")
_WHOLE = ("square", "cube", "inv")
"""Operators whose operand is set in brackets where it is no single name."""


@dataclass(frozen=True)
class Expression:
    """
    A column, or an operator on expressions.

    Examples
    --------
    >>> x, y = column("x", {}), column("y", {"eV": Fraction(1)})
    >>> both = Expression("*", (Expression("exp", (x,)), y))
    >>> both.text, both.complexity, both.units
    ('(exp(x) * y)', 2, {'eV': Fraction(1, 1)})
    """

    operator: str
    operands: tuple[Expression, ...]
    name: str = ""
    units: Units | None = None
    """None where units are not asked about."""

    def __post_init__(self) -> None:
        if self.operands:
            object.__setattr__(self, "units", self._units())

    def _units(self) -> Units | None:
        first = self.operands[0].units
        if first is None:
            return None
        if self.operator in UNARY:
            power = UNARY[self.operator].power
            return {} if power is None else {u: n * power for u, n in first.items()}
        if self.operator in SUMS:
            return first
        sign = 1 if self.operator == "*" else -1
        second = self.operands[1].units or {}
        total = {
            unit: first.get(unit, Fraction(0)) + sign * second.get(unit, Fraction(0))
            for unit in {**first, **second}
        }
        return {unit: power for unit, power in total.items() if power}

    @cached_property
    def complexity(self) -> int:
        """Number of operators."""
        return sum(one.complexity for one in self.operands) + bool(self.operands)

    @cached_property
    def columns(self) -> frozenset[str]:
        """Columns that it is made of."""
        if not self.operands:
            return frozenset((self.name,))
        return frozenset().union(*(one.columns for one in self.operands))

    @cached_property
    def text(self) -> str:
        """The formula as people type it."""
        return self._written("text")

    @cached_property
    def latex(self) -> str:
        """The formula as it is printed."""
        return self._written("latex")

    @cached_property
    def python(self) -> str:
        """Source over a mapping ``columns`` of arrays, with numpy as ``np``."""
        return self._written("python")

    def _written(self, how: str) -> str:
        if not self.operands:
            if how == "python":
                return f"columns[{self.name!r}]"
            return self.name if how == "text" else rf"\mathrm{{{_escaped(self.name)}}}"
        operator = (UNARY | BINARY)[self.operator]
        parts = [one._written(how) for one in self.operands]  # noqa: SLF001 - our own
        if how != "python" and self.operator in _WHOLE and self.operands[0].operands:
            parts = [rf"\left({parts[0]}\right)" if how == "latex" else f"({parts[0]})"]
        return str(getattr(operator, how)).format(*parts)

    def __call__(self, columns: Mapping[str, Array]) -> Array:
        """Evaluate over columns; what is not defined is NaN or infinite."""
        if not self.operands:
            return np.asarray(columns[self.name], dtype=float)
        values = [one(columns) for one in self.operands]
        with np.errstate(all="ignore"):  # the caller drops what is not finite
            return np.asarray((UNARY | BINARY)[self.operator].apply(*values))


def column(name: str, units: Units | None = None) -> Expression:
    """Return the expression of one column."""
    return Expression("", (), name, units)


def _escaped(name: str) -> str:
    return "".join(rf"\{one}" if one in "_%&#$" else one for one in name)


def allowed(operator: str, *operands: Expression) -> bool:
    """Whether units allow an operator: sums of one unit, exp and log of numbers."""
    units = [one.units for one in operands]
    if units[0] is None:
        return True
    if operator in SUMS:
        return units[0] == units[1]
    if operator in UNARY and UNARY[operator].power is None:
        return not units[0]
    return True


def rounded(value: float, digits: int = 6) -> float:
    """Round to significant digits, for formulas that people read."""
    return (
        round(value, digits - 1 - math.floor(math.log10(abs(value)))) if value else 0.0
    )

"""Numbers as people write them, and what a file should hold instead."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NUMBER = re.compile(
    r"(?P<number>[-+]?(?:\d[\d.,_' ]*\d|\d|[.,]\d+)(?:[eE][-+]?\d+)?)\s*(?P<unit>\D.*)?"
)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:[,' ]\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?(?:\d{1,3}(?:[.' ]\d{3})+|\d+)?,\d+(?:[eE][-+]?\d+)?")
_ZERO_CELSIUS = Fraction("273.15")

_CONVERSIONS: Mapping[str, Mapping[str, Callable[[Fraction], Fraction]]] = {
    "K": {
        "k": lambda value: value,
        "kelvin": lambda value: value,
        "c": lambda value: value + _ZERO_CELSIUS,
        "celsius": lambda value: value + _ZERO_CELSIUS,
        "f": lambda value: (value - 32) * 5 / 9 + _ZERO_CELSIUS,
        "fahrenheit": lambda value: (value - 32) * 5 / 9 + _ZERO_CELSIUS,
    },
    "eV/atom": {
        "mev": lambda value: value / 1000,
        "mev/atom": lambda value: value / 1000,
        "ev": lambda value: value,
        "ev/atom": lambda value: value,
    },
    "eV/angstrom": {
        "ev/a": lambda value: value,
        "ev/angstrom": lambda value: value,
        "mev/a": lambda value: value / 1000,
        "mev/angstrom": lambda value: value / 1000,
    },
    "angstrom": {
        "a": lambda value: value,
        "angstrom": lambda value: value,
        "nm": lambda value: value * 10,
        "pm": lambda value: value / 100,
    },
}
"""Unit of a field → other unit, lower case → conversion."""
_SPELLINGS = str.maketrans({"Å": "A", "Å": "A", "°": "", "º": "", "℃": "C"})  # noqa: RUF001 - two characters look like one


def number_advice(value: object, *, unit: str | None = None) -> str | None:
    """
    Say how a number is written that stands in a file as text; None where it is none.

    Parameters
    ----------
    value
        What the file holds.
    unit
        Unit of the field, which numbers stand in without saying so.

    Examples
    --------
    >>> number_advice("0,05"), number_advice("10 %")
    ('write 0.05', 'write 0.1')
    >>> number_advice("1200 °C", unit="K")
    'write 1473.15 (in K, without the unit)'
    """
    if not isinstance(value, str):
        return None
    match = _NUMBER.fullmatch(value.strip())
    if match is None:
        return None
    number, said = _exact(match["number"]), match["unit"]
    if number is None:
        return None
    if not said:
        return f"write {plain(number)}"
    if said.strip() == "%":
        return f"write {plain(number / 100)}"
    if unit is None:
        return f"write {plain(number)}, without a unit"
    name = said.translate(_SPELLINGS).strip().lower()
    convert = _CONVERSIONS.get(unit, {}).get(name)
    if convert is None:
        return f"write a number in {unit}, without the unit"
    return f"write {plain(convert(number))} (in {unit}, without the unit)"


def plain_number(text: str) -> str | None:
    """
    Write a number as YAML reads it, that has a decimal comma or thousands marked.

    Examples
    --------
    >>> plain_number("1473,5"), plain_number("18,810"), plain_number("x")
    ('1473.5', '18810', None)
    """
    number = _exact(text.strip())
    return None if number is None else plain(number)


def _exact(text: str) -> Fraction | None:
    if _THOUSANDS.fullmatch(text):
        text = re.sub("[,' ]", "", text)
    elif _DECIMAL_COMMA.fullmatch(text):
        text = re.sub("[.' ]", "", text).replace(",", ".")
    try:
        return Fraction(text)
    except ValueError:
        return None


def plain(number: Fraction) -> str:
    """
    Write a rational as a decimal if that is short, otherwise as a fraction.

    Examples
    --------
    >>> plain(Fraction("1473.15")), plain(Fraction(1, 3)), plain(Fraction(500))
    ('1473.15', '1/3', '500')
    """
    if number.denominator == 1:
        return str(number.numerator)
    short = Fraction(f"{float(number):.6g}")
    return f"{float(short):g}" if short == number else _long(number)


def _long(number: Fraction) -> str:
    exact = Fraction(repr(float(number)))
    return repr(float(number)) if exact == number else str(number)

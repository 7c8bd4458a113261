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
_DECIMAL_COMMA = re.compile(
    r"[-+]?(?:\d{1,3}(?:[.' ]\d{3})+|\d+)?,\d+(?:[eE][-+]?\d+)?"
)
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
    "mV": {"mv": lambda value: value, "v": lambda value: value * 1000},
    "angstrom": {
        "a": lambda value: value,
        "angstrom": lambda value: value,
        "nm": lambda value: value * 10,
        "pm": lambda value: value / 100,
    },
}
"""Unit of a field → other unit, lower case → conversion."""
_SPELLINGS = str.maketrans(
    {"\u00c5": "A", "\u212b": "A", "\u00b0": "", "\u00ba": "", "\u2103": "C"}
)
"""Angstrom and degrees as they are typed."""


def number_advice(
    value: object, *, unit: str | None = None, whole: bool = False
) -> str | None:
    """
    Say how a number is written that stands in a file as text; None where it is none.

    Parameters
    ----------
    value
        What the file holds.
    unit
        Unit of the field, which numbers stand in without saying so.
    whole
        Whether a whole number is wanted.

    Examples
    --------
    >>> number_advice("0,05"), number_advice("10 %")
    ('write 0.05', 'write 0.1')
    >>> number_advice("1200 °C", unit="K")
    'write 1473.15 (in K, without the unit)'
    """
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    number = _exact(match["number"]) if match else None
    if match is None or number is None:
        return None
    said = (match["unit"] or "").strip()
    ending = ""
    if re.fullmatch(r"/\s*0*[1-9]\d*", said):
        number /= int(said[1:])
    elif said == "%":
        number /= 100
    elif said:
        converted = _converted(number, said, unit)
        if converted is None:
            words = "the number alone" if unit is None else f"a number in {unit}"
            return f"write {words}, without {'words' if unit is None else 'the unit'}"
        number, ending = converted, f" (in {unit}, without the unit)"
    if whole and number.denominator != 1:
        return None
    return f"write {plain(number)}{ending}"


def _converted(number: Fraction, said: str, unit: str | None) -> Fraction | None:
    """Convert a number to the unit of its field, to six digits; None if unknown."""
    name = said.translate(_SPELLINGS).strip().lower()
    name = re.sub(r"deg(rees?)?\b\.?\s*|deg(?=[cf]$)", "", name)
    convert = _CONVERSIONS.get(unit or "", {}).get(name)
    return None if convert is None else Fraction(f"{float(convert(number)):.6g}")


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
    if re.search(r"[eE][-+]?\d{3,}$", text):
        return None  # no quantity, and thousands of digits
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

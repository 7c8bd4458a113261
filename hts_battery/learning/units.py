"""Units of columns as powers of base units, from text."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PART = re.compile(r"\s*([*/]?)\s*([A-Za-zµÅ%]\w*|1)\s*(?:\^\s*(-?\d+(?:/\d+)?))?\s*")


def read_units(units: Mapping[str, str]) -> dict[str, dict[str, Fraction]]:
    """
    Read the unit of each column.

    Parameters
    ----------
    units
        Column → text such as ``eV``, ``eV/angstrom^2`` or ``1``. Names are only
        compared: columns share a unit where their texts mean the same powers.

    Raises
    ------
    ConfigurationError
        If a text is no unit.

    Examples
    --------
    >>> read_units({"E": "eV", "f": "eV/angstrom^2", "n": "1"})["f"]
    {'eV': Fraction(1, 1), 'angstrom': Fraction(-2, 1)}
    """
    return {name: _powers(name, str(text)) for name, text in units.items()}


def _powers(name: str, text: str) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    position = 0
    while position < len(text.strip()):
        match = _PART.match(text, position)
        if match is None or not match.group(0) or (position and not match[1]):
            raise ConfigurationError(
                f"unit {text!r} of {name}: write eV, eV/angstrom^2, or 1 for a number"
            )
        position = match.end()
        if match[2] != "1":
            power = Fraction(match[3] or 1) * (-1 if match[1] == "/" else 1)
            found[match[2]] = found.get(match[2], Fraction(0)) + power
    return {unit: power for unit, power in found.items() if power}

"""Species: an element with an integer charge, or a vacancy."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import ELEMENTS

VACANCY = "Vac"
_SPECIES = re.compile(r"(?P<element>[A-Z][a-z]?)(?P<size>\d*)(?P<sign>[+-])")


class Species(NamedTuple):
    """An element in one oxidation state; a vacancy has the element ``Vac``."""

    element: str
    charge: int

    def __str__(self) -> str:
        if self.element == VACANCY:
            return VACANCY
        size = abs(self.charge) if abs(self.charge) > 1 else ""
        return f"{self.element}{size}{'+' if self.charge > 0 else '-'}"


@lru_cache(maxsize=4096)
def parse_species(text: str) -> Species:
    """
    Read ``Mn3+``, ``Li+``, ``O2-`` or ``Vac``.

    Raises
    ------
    CompositionError
        If the text is none of these or the element is unknown.

    Examples
    --------
    >>> parse_species("Mn3+")
    Species(element='Mn', charge=3)
    >>> str(parse_species("Li1+"))
    'Li+'
    """
    if text == VACANCY:
        return Species(VACANCY, 0)
    match = _SPECIES.fullmatch(text)
    if match is None or match["element"] not in ELEMENTS or match["size"] == "0":
        raise CompositionError(f"{text!r} is not a species{_advice(text)}")
    size = int(match["size"] or 1)
    return Species(match["element"], size if match["sign"] == "+" else -size)


_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻−–", "0123456789+---")  # noqa: RUF001 - as papers print charges
_LOOSE = re.compile(
    r"(?P<element>[A-Za-z]{1,2}?)[\s_^{(]*(?:"
    r"(?P<before>\d*)(?P<sign>[+-])|(?P<after>[+-])(?P<size>\d+)|"
    r"(?P<roman>VIII|VII|VI|IV|V|I{1,3})(?P<minus>-?)|(?P<repeated>\+{2,}|-{2,})"
    r")[\s})]*"
)
_ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4, "V": 5, "VI": 6, "VII": 7, "VIII": 8}
_EMPTY_SITES = frozenset(("□", "v", "va", "vac", "vacancy", "x", "null"))


def _advice(text: str) -> str:
    """Say how a species is written that somebody has written in another way."""
    plain = text.translate(_RAISED).strip()
    if plain.lower() in _EMPTY_SITES:
        return f": write {VACANCY} for a vacancy"
    match = _LOOSE.fullmatch(plain)
    if match is not None:
        element = match["element"].capitalize()
        if element not in ELEMENTS:
            return f": {match['element']} is no element"
        if match["repeated"]:
            size, sign = len(match["repeated"]), match["repeated"][0]
        elif match["roman"]:
            size, sign = _ROMAN[match["roman"]], match["minus"] or "+"
        else:
            size = int(match["before"] or match["size"] or 1)
            sign = match["sign"] or match["after"]
        if size:
            return f": write {Species(element, size if sign == '+' else -size)}"
    if plain.capitalize() in ELEMENTS:
        return f": write its charge, like {plain.capitalize()}3+"
    return (
        "; write the element and its charge, like Mn3+, Li+, O2-, or "
        f"{VACANCY} for a vacancy"
    )

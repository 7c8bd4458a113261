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
        raise CompositionError(
            f"{text!r} is not a species; write the element and its charge, "
            f"like Mn3+, Li+, O2-, or {VACANCY} for a vacancy"
        )
    size = int(match["size"] or 1)
    return Species(match["element"], size if match["sign"] == "+" else -size)

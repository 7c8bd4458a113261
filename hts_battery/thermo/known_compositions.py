"""Which compositions are known to lie near the hull, with formation energies."""

from __future__ import annotations

import csv
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple


class KnownComposition(NamedTuple):
    """One row of the table."""

    formula: str
    """Smallest integers; for people."""
    formation_energy: float
    """Machine-learned, eV/atom, elements at zero, rounded to 0.1 meV/atom."""
    reported: bool
    """Whether a source at hand says that it was made; unknown counts as not."""
    source: str
    """Of the energy, then who reports it."""


@lru_cache(maxsize=1)
def known_compositions() -> tuple[KnownComposition, ...]:
    """
    Return the shipped table: what lies within 50 meV/atom of the hull of them all.

    The energies are those of 10.1038/s41524-020-00362-y for compositions of the
    Materials Project; ``workflows/known_compositions.py`` makes the table.

    Examples
    --------
    >>> next(row for row in known_compositions() if row.formula == "Li4MoO5")[:3]
    ('Li4MoO5', -2.3249, True)
    """
    lines = [line for line in _text().splitlines() if not line.startswith("#")]
    return tuple(
        KnownComposition(formula, float(energy), reported == "1", source)
        for formula, energy, reported, source in list(csv.reader(lines))[1:]
    )


@lru_cache(maxsize=1)
def known_compositions_digest() -> str:
    """Digest of the table, which is part of what answers are made from."""
    return sha256(_text().encode()).hexdigest()[:16]


def _text() -> str:
    path = files("hts_battery.thermo") / "data" / "known_compositions.csv"
    return path.read_text("utf-8")

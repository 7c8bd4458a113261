"""
Terms of a regression on what disordered rock salts are made of.

Li, F and the metals are told apart: of the metals only their shares among each other
count, so that a metal does not answer for the lithium whose place it takes.
"""

from __future__ import annotations

from itertools import combinations
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.compositions.filters import metals, octahedral_radius, size_mismatch
from hts_battery.compositions.redox import package_scale
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.candidate import Assignment

CARRIER, ANIONS = "Li", ("O", "F")
TENTHS = 10
"""Amounts are in tenths of an atom per formula unit."""
_COMPENSATES = 4
"""Least charge of a d0 ion that compensates Li and low-valent redox centres."""
_D0_GROUPS = frozenset("Ti Zr Hf V Nb Ta Cr Mo W".split())  # noqa: SIM905 - groups 4 to 6


def composition_terms(
    formulas: Sequence[str],
) -> tuple[dict[str, list[float]], tuple[str, ...]]:
    """
    Write compositions as amounts of Li and F and shares of the metals.

    Parameters
    ----------
    formulas
        Per formula unit of two cations and two anions.

    Returns
    -------
    terms, symbols
        ``Li`` and ``F`` in tenths per formula unit and each metal's share among the
        metals, row by row; and the metals, whose shares add up to one.

    Examples
    --------
    >>> composition_terms(["Li1.2Mn0.6Ti0.2O1.8F0.2"])
    ({'Li': [12.0], 'F': [2.0], 'Mn': [0.75], 'Ti': [0.25]}, ('Mn', 'Ti'))
    """
    rows = [parse_formula(formula) for formula in formulas]
    beside = {CARRIER, *ANIONS}
    symbols = tuple(sorted({element for row in rows for element in row} - beside))
    terms = {
        element: [float(TENTHS * row.get(element, 0)) for row in rows]
        for element in (CARRIER, "F")
    }
    for symbol in symbols:
        terms[symbol] = [
            float(row.get(symbol, 0) / sum(n for el, n in row.items() if el in symbols))
            for row in rows
        ]
    return terms, symbols


def chemistry_terms(
    formulas: Sequence[str], assignments: Sequence[Assignment]
) -> dict[str, list[float]]:
    """
    Describe compositions by what their chemistry says, row by row.

    Parameters
    ----------
    formulas
        Per formula unit of two cations and two anions.
    assignments
        Sublattice → species → amount per formula unit, one for each formula.

    Returns
    -------
    dict
        ``Li``, ``F``, ``redox`` (redox centres) and ``d0`` (d0 ions of charge four and
        more) in tenths per formula unit, what is left being other closed shells;
        ``metals`` (their number), ``mismatch`` of the metals' octahedral radii in
        percent and their mean ``radius`` in pm, and ``incompatible`` (1 where two
        species would react with each other).
    """
    composition, symbols = composition_terms(formulas)
    rows = [_described(assignment) for assignment in assignments]
    found = {
        CARRIER: composition[CARRIER],
        "F": composition["F"],
        "metals": np.count_nonzero([composition[s] for s in symbols], axis=0),
    }
    return {name: [float(n) for n in column] for name, column in found.items()} | {
        name: [row[name] for row in rows] for name in rows[0]
    }


def _described(assignment: Assignment) -> dict[str, float]:
    here = metals(assignment)
    amounts = [float(amount) for amount in here.values()]
    radii = [octahedral_radius(species) or nan for species in here]
    redox = sum(n for s, n in here.items() if species_properties(s).role == _REDOX)
    return {
        "redox": float(TENTHS * redox),
        "d0": float(TENTHS * sum(n for s, n in here.items() if _is_d0(s))),
        "mismatch": 100 * size_mismatch(amounts, radii),
        "radius": 100 * float(np.average(radii, weights=amounts)),
        "incompatible": float(
            any(package_scale().react(*pair) for pair in combinations(sorted(here), 2))
        ),
    }


_REDOX = "redox centre"


def _is_d0(species: str) -> bool:
    found = parse_species(species)
    return (
        found.element in _D0_GROUPS
        and found.charge >= _COMPENSATES
        and species_properties(species).role != _REDOX
    )

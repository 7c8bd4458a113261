"""Linear regression of a property on what candidates are made of, with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from hts_battery.compositions.filters import metals
from hts_battery.compositions.radii import octahedral_radius, size_mismatch
from hts_battery.compositions.redox import package_scale
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species
from hts_battery.schemas.species_table import species_properties

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.schemas.candidate import Assignment

CARRIER, ANIONS = "Li", ("O", "F")
TENTHS = 10
"""Amounts are in tenths of an atom per formula unit."""
_COMPENSATES = 4
"""Least charge of a d0 ion that compensates Li and low-valent redox centres."""
_D0_GROUPS = frozenset("Ti Zr Hf V Nb Ta Cr Mo W".split())  # noqa: SIM905 - groups 4 to 6

_REDOX = "redox centre"


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


def _is_d0(species: str) -> bool:
    found = parse_species(species)
    return (
        found.element in _D0_GROUPS
        and found.charge >= _COMPENSATES
        and species_properties(species).role != _REDOX
    )


@dataclass(frozen=True)
class LinearFit:
    """Coefficients of a linear regression, in units of the property over the term's."""

    coefficients: Mapping[str, float]
    """Term → change of the property with one unit of it, the others kept."""
    errors: Mapping[str, float]
    """Term → standard error of the same, for errors of any size from row to row."""
    n: int
    """Number of rows."""
    r_squared: float
    """Share of the variance that is explained."""
    cross_validated_error: float
    """Root mean square error of each row predicted from all others."""
    residuals: NDArray[np.float64]
    """Property minus fit, row by row."""


def least_squares(
    terms: Mapping[str, ArrayLike], values: ArrayLike, *, shares: tuple[str, ...] = ()
) -> LinearFit:
    r"""
    Fit a property by ordinary least squares.

    .. math:: \hat\beta = (X^T X)^{-1} X^T y

    Standard errors are robust (HC3), :math:`(X^T X)^{-1} X^T \mathrm{diag}
    (e_i^2/(1-h_i)^2) X (X^T X)^{-1}` with leverages :math:`h_i`; the error of
    cross-validation leaves out one row at a time, :math:`e_i/(1-h_i)`, which is exact.
    Rows must be drawn independently.

    Parameters
    ----------
    terms
        Name of each term → its value row by row.
    values
        The property row by row.
    shares
        Terms that add up to one in every row, such as fractions of metals. They take
        the place of the intercept, and their coefficients are given against the mean
        composition: what it changes to put this one in the place of the average.
        Without any a term ``intercept`` is added.

    Raises
    ------
    ValueError
        If lengths differ, shares do not add up to one, there are not more rows than
        terms, or a term is a combination of others.

    Examples
    --------
    >>> fit = least_squares({"x": [0.0, 1.0, 2.0, 3.0]}, [1.0, 3.0, 5.0, 7.0])
    >>> {name: round(value, 6) for name, value in fit.coefficients.items()}
    {'x': 2.0, 'intercept': 1.0}
    """
    y = np.asarray(values, dtype=float)
    columns = {name: np.asarray(column, dtype=float) for name, column in terms.items()}
    if any(column.shape != y.shape or y.ndim != 1 for column in columns.values()):
        raise ValueError(f"each term needs {y.size} values, one for each row")
    if not shares:
        columns["intercept"] = np.ones_like(y)
    elif not np.allclose(sum(columns[name] for name in shares), 1.0):
        raise ValueError(f"shares {', '.join(shares)} do not add up to one in each row")
    names = list(columns)
    x = np.column_stack(list(columns.values()))
    if len(y) <= len(names):
        raise ValueError(f"{len(y)} rows do not determine {len(names)} terms")
    if np.linalg.matrix_rank(x) < len(names):
        raise ValueError(f"the terms {', '.join(names)} are not independent")
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ y
    residuals = y - x @ beta
    left_out = residuals / (1.0 - np.einsum("ij,jk,ik->i", x, inverse, x))
    weighted = x * left_out[:, None]
    covariance = inverse @ (weighted.T @ weighted) @ inverse
    contrast = _against_the_mean(names, shares, x)
    return LinearFit(
        coefficients=dict(zip(names, (contrast @ beta).tolist(), strict=True)),
        errors=dict(
            zip(
                names,
                np.sqrt(np.diag(contrast @ covariance @ contrast.T)).tolist(),
                strict=True,
            )
        ),
        n=len(y),
        r_squared=float(1.0 - residuals.var() / y.var()) if y.var() else 1.0,
        cross_validated_error=float(np.sqrt(np.mean(left_out**2))),
        residuals=residuals,
    )


def _against_the_mean(
    names: list[str], shares: tuple[str, ...], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Matrix that takes from the coefficient of each share that of the mean mixture."""
    contrast = np.eye(len(names))
    places = [names.index(name) for name in shares]
    for place in places:
        contrast[place, places] -= x[:, places].mean(axis=0)
    return contrast

"""Linear regression of a property on what candidates are made of, with its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray


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
    terms: Mapping[str, ArrayLike],
    values: ArrayLike,
    *,
    shares: tuple[str, ...] = (),
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

"""Conductivity of a mixture of phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import label
from scipy.optimize import brentq
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import cg, spsolve

from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_array

MODELS = ("voxels", "series", "parallel", "bruggeman", "hashin-shtrikman")
"""Models that can be asked for."""

_DIMENSIONS = 3
_SUM_TOLERANCE = 1e-6
_DIRECT = 20_000  # unknowns


def effective_conductivity(
    fractions: ArrayLike, sigmas: Sequence[float], *, model: str, axis: int = 0
) -> float | tuple[float, float]:
    r"""
    Conductivity of a mixture from those of its phases.

    Parameters
    ----------
    fractions
        Volume fractions that add up to one; for ``voxels`` a three-dimensional array of
        phase numbers, 0, 1, and so on.
    sigmas
        Conductivity of each phase in S/cm.
    model
        ``series`` and ``parallel``: layers across and along the current (Wiener's
        bounds). ``bruggeman``: the effective medium of spheres,
        :math:`\sum_i f_i (\sigma_i - \sigma) / (\sigma_i + 2 \sigma) = 0`.
        ``hashin-shtrikman``: bounds of any isotropic mixture, (lower, upper).
        ``voxels``: currents through cubic voxels between two plates, nothing through
        the other sides.
    axis
        Direction of the current through voxels.

    Returns
    -------
    float, or tuple of float for ``hashin-shtrikman``
        In the unit of the conductivities.

    Raises
    ------
    OrderingError
        Unknown model, negative conductivities, fractions that do not add up to one, or
        phase numbers without a conductivity.

    References
    ----------
    Z. Hashin, S. Shtrikman, J. Appl. Phys. 33, 3125 (1962), 10.1063/1.1728579.
    D. A. G. Bruggeman, Ann. Phys. 416, 636 (1935), 10.1002/andp.19354160705.

    Examples
    --------
    >>> round(effective_conductivity([0.5, 0.5], [1, 10], model="series"), 6)
    1.818182
    >>> effective_conductivity([0.5, 0.5], [1, 10], model="parallel")
    5.5
    """
    conductivities = np.asarray(sigmas, dtype=float)
    if model not in MODELS:
        raise OrderingError(f"no model {model!r}; there are {', '.join(MODELS)}")
    if conductivities.ndim != 1 or not np.all(conductivities >= 0):
        raise OrderingError(f"conductivities {list(sigmas)}: numbers of at least zero")
    if model == "voxels":
        return _through_voxels(np.asarray(fractions), conductivities, axis)
    shares, present = _present(np.asarray(fractions, dtype=float), conductivities)
    if model == "hashin-shtrikman":
        bound = _hashin_shtrikman(shares, present)
        return bound(float(present.min())), bound(float(present.max()))
    if model == "parallel":
        return float(shares @ present)
    if model == "series":
        return float(1 / (shares / present).sum()) if present.all() else 0.0
    return _bruggeman(shares, present)


def _present(
    shares: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Check the fractions, and leave out phases that are not there."""
    if shares.shape != sigmas.shape:
        raise OrderingError(
            f"{shares.size} fractions and {sigmas.size} conductivities: one each"
        )
    if abs(shares.sum() - 1) > _SUM_TOLERANCE or shares.min() < 0:
        raise OrderingError(f"fractions {shares.tolist()} do not add up to one")
    return shares[shares > 0], sigmas[shares > 0]


def _hashin_shtrikman(
    shares: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> Callable[[float], float]:
    """Return the bound as a function of the phase that surrounds the others."""

    def bound(matrix: float) -> float:
        if matrix == 0:
            return 0.0
        inside = (shares / (sigmas + 2 * matrix)).sum()
        return float(1 / inside - 2 * matrix)

    return bound


def _bruggeman(shares: NDArray[np.float64], sigmas: NDArray[np.float64]) -> float:
    """Solve for the effective medium."""
    highest, lowest = float(sigmas.max()), float(sigmas.min())
    if lowest == highest:
        return highest

    def balance(sigma: float) -> float:
        return float((shares * (sigmas - sigma) / (sigmas + 2 * sigma)).sum())

    floor = max(lowest, 1e-15 * highest)
    if balance(floor) <= 0:  # the conducting phase does not reach through
        return floor if lowest > 0 else 0.0
    return float(brentq(balance, floor, highest, xtol=1e-15 * highest, rtol=1e-13))


def _through_voxels(
    phases: NDArray[np.int64], sigmas: NDArray[np.float64], axis: int
) -> float:
    """Solve for the potential between two plates, one unknown a voxel."""
    _check_voxels(phases, len(sigmas), axis)
    sigma = _between_plates(np.moveaxis(sigmas[phases], axis, 0))
    inside = sigma > 0
    if not inside.any():
        return 0.0
    number = np.full(sigma.shape, -1)
    number[inside] = np.arange(int(inside.sum()))
    matrix, source = _conductances(sigma, number)
    potential = _solve(matrix, source)
    last = number[-1][inside[-1]]
    current = float((2 * sigma[-1][inside[-1]] * potential[last]).sum())
    return float(current * len(sigma) / sigma[0].size)


def _conductances(
    sigma: NDArray[np.float64], number: NDArray[np.int64]
) -> tuple[csr_array, NDArray[np.float64]]:
    """Write Kirchhoff's rule for every voxel between plates at one and at zero volt."""
    rows, columns, values = [], [], []
    for along in range(_DIMENSIONS):
        one, names = np.moveaxis(sigma, along, 0), np.moveaxis(number, along, 0)
        a, b = one[:-1], one[1:]
        joined = (a > 0) & (b > 0)
        through = 2 * a[joined] * b[joined] / (a[joined] + b[joined])
        first, second = names[:-1][joined], names[1:][joined]
        rows += [first, second, first, second]
        columns += [second, first, first, second]
        values += [-through, -through, through, through]
    source = np.zeros(number.max() + 1)
    for end in (0, -1):  # half a voxel from a plate to the middle of the first
        held = sigma[end] > 0
        touched, through = number[end][held], 2 * sigma[end][held]
        rows.append(touched)
        columns.append(touched)
        values.append(through)
        if end == 0:
            source[touched] = through
    places = (np.concatenate(rows), np.concatenate(columns))
    return coo_array((np.concatenate(values), places)).tocsr(), source


def _check_voxels(phases: NDArray[np.int64], known: int, axis: int) -> None:
    """Refuse an array that is no picture of known phases."""
    if phases.ndim != _DIMENSIONS or not np.issubdtype(phases.dtype, np.integer):
        raise OrderingError("voxels are a three-dimensional array of phase numbers")
    if phases.min() < 0 or phases.max() >= known:
        raise OrderingError(
            f"phase numbers run from {phases.min()} to {phases.max()}, with "
            f"{known} conductivities"
        )
    if axis not in range(_DIMENSIONS):
        raise OrderingError(f"axis {axis}: 0, 1 or 2")


def _between_plates(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep the voxels that a way of conducting ones joins to both plates."""
    labels, _ = label(sigma > 0)
    both = np.intersect1d(labels[0], labels[-1])
    return np.where(np.isin(labels, both[both > 0]), sigma, 0.0)


def _solve(matrix: csr_array, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve a symmetric positive definite system, directly as long as that is quick."""
    if len(right) <= _DIRECT:
        return np.asarray(spsolve(matrix.tocsc(), right))
    scale = diags_array(1 / matrix.diagonal())
    found, failed = cg(matrix, right, rtol=1e-10, maxiter=20_000, M=scale)
    if failed:
        raise OrderingError(
            f"the potential of {len(right)} voxels did not converge: take a smaller "
            "array or a smaller contrast"
        )
    return np.asarray(found)

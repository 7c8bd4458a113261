"""
Bulk modulus and volume from energies at several volumes.

The equations and their fit are pymatgen's; the error is that of the parameters in the
same least squares. Birch-Murnaghan: 10.1103/PhysRev.71.809; Vinet:
10.1029/JB092iB09p09319; how equations differ over a range of volumes:
10.1103/PhysRevB.70.224107.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
from pymatgen.analysis.eos import EOS, EOSError
from scipy.constants import elementary_charge
from scipy.optimize import curve_fit

from hts_battery.errors import CalculationError
from hts_battery.schemas.equation_of_state import (
    PARAMETERS,
    EquationFit,
    EquationModel,
)
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

GPA_PER_EV_ANGSTROM3 = elementary_charge * 1e21
"""One eV per cubic angstrom in GPa, 160.22."""


def equation_fit(
    volumes: Sequence[float],
    energies: Sequence[float],
    *,
    model: EquationModel = "birch_murnaghan",
) -> EquationFit:
    r"""
    Fit an equation of state to energies at several volumes.

    For Birch-Murnaghan, with :math:`\eta = (V_0/V)^{1/3}`,

    .. math:: E = E_0 + \frac{9 B V_0}{16} (\eta^2 - 1)^2
              \left[6 + B' (\eta^2 - 1) - 4 \eta^2\right]

    Parameters
    ----------
    volumes
        In angstrom^3 per atom, five at least, on both sides of the minimum.
    energies
        In eV/atom, one each.
    model
        Equation, by pymatgen's name.

    Returns
    -------
    EquationFit
        Errors are standard errors of the fit: what the points scatter about the
        equation, not what is wrong with the energies.

    Raises
    ------
    ValueError
        If there are too few volumes to tell an error.
    CalculationError
        If the energies have no minimum between the volumes, or nothing fits.

    Examples
    --------
    >>> volumes = np.linspace(9, 11, 7)
    >>> fit = equation_fit(volumes, 0.5 / 2 / 10 * (volumes - 10) ** 2 - 4)
    >>> round(fit.bulk_modulus, 1), round(fit.volume, 2)
    (79.9, 10.0)
    """
    v, e = np.asarray(volumes, dtype=float), np.asarray(energies, dtype=float)
    if len(v) <= PARAMETERS or len(v) != len(e):
        raise ValueError(
            f"a fit with an error needs {PARAMETERS + 1} volumes or more, each with an "
            f"energy; there are {len(v)} and {len(e)}"
        )
    if e.argmin() in {v.argmin(), v.argmax()}:
        raise _no_minimum(v)
    parameters, errors, residual = _least_squares(v, e, model)
    energy, modulus, derivative, volume = parameters
    if not v.min() < volume < v.max() or modulus <= 0:
        raise _no_minimum(v)
    return EquationFit(
        model=model,
        bulk_modulus=modulus * GPA_PER_EV_ANGSTROM3,
        bulk_modulus_error=errors[1] * GPA_PER_EV_ANGSTROM3,
        derivative=derivative,
        volume=volume,
        volume_error=errors[3],
        energy=energy,
        residual=residual,
    )


def _least_squares(
    v: NDArray[np.float64], e: NDArray[np.float64], model: EquationModel
) -> tuple[list[float], list[float], float]:
    """Return parameters, their standard errors and the residual in eV/atom."""
    try:
        found = EOS(eos_name=model).fit(v.tolist(), e.tolist())
    except EOSError as err:
        raise _no_minimum(v) from err

    def predicted(_: object, *parameters: float) -> NDArray[np.float64]:
        found.eos_params = parameters
        curve: NDArray[np.float64] = found.func(v)  # type: ignore[no-untyped-call] # pymatgen is not typed here
        return curve

    best, covariance = curve_fit(predicted, v, e, p0=found.eos_params)
    residuals = e - predicted(v, *best)
    errors = np.sqrt(np.diag(covariance))
    return best.tolist(), errors.tolist(), float(np.sqrt(np.mean(residuals**2)))


def _no_minimum(volumes: NDArray[np.float64]) -> CalculationError:
    return CalculationError(
        FailureClass.BAD_INPUT,
        f"the energies have no minimum between {volumes.min():.2f} and "
        f"{volumes.max():.2f} angstrom^3 per atom, or the atoms rearrange "
        "there: choose another largest_strain",
    )


def other_fits(
    volumes: Sequence[float], energies: Sequence[float], *, besides: EquationModel
) -> dict[EquationModel, float]:
    """Return the bulk modulus in GPa by every other equation that fits."""
    found: dict[EquationModel, float] = {}
    for model in get_args(EquationModel):
        if model == besides:
            continue
        try:
            fit = equation_fit(volumes, energies, model=model)
        except CalculationError:
            continue
        found[model] = fit.bulk_modulus
    return found

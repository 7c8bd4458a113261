"""How far a candidate is from what it decomposes into while its carrier is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.electrochemistry.open_system import (
    OpenElement,
    finite_energies,
    hull_energies,
    open_energies,
)
from hts_battery.electrochemistry.oxygen import with_oxygen_gas
from hts_battery.thermo.envelope import fraction_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hts_battery.electrochemistry.oxygen import OxygenGas
    from hts_battery.thermo.hull import Hull

    Floats = NDArray[np.float64]


def decomposition_energy(
    hull: Hull,
    formula: str,
    energy_per_atom: float | None = None,
    *,
    carrier: str,
    voltages: ArrayLike,
    oxygen: OxygenGas | None = None,
) -> Floats:
    r"""
    Energy that a candidate loses by decomposing while its carrier is open.

    .. math:: d(V) = e - \min_{\lambda \ge 0, r}
              (c \cdot \lambda + \mu(V) r), \quad A^T \lambda + r
              \hat{e}_\text{carrier} = x

    It is convex in the voltage, and its minimum is the energy above the hull.

    Parameters
    ----------
    hull
        Reference phases.
    formula, energy_per_atom
        The candidate and its energy in eV/atom; without it that of the hull.
    carrier
        Element that passes through the circuit.
    voltages
        Against the metal of the carrier, V; none below 0.
    oxygen
        Temperature and pressure of released O2; by default its energy of 0 K.

    Returns
    -------
    ndarray
        eV per atom of the candidate, in the shape of the voltages; positive where it
        decomposes, negative where it is stable by more than nothing.

    Raises
    ------
    MissingReferenceError
        If the references hold no metal of the carrier, or not all elements.
    ValueError
        If a voltage is below 0 or the energy is not finite.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> hull = Hull(["Li", "O2", "Li2O"], [0.0, 0.0, -2.0])
    >>> decomposition_energy(hull, "Li2O", carrier="Li", voltages=[0.0, 3.0, 4.5])
    array([0., 0., 1.])
    """
    hull = with_oxygen_gas(hull, oxygen)
    opened = OpenElement(hull, carrier)
    asked = np.asarray(voltages, dtype=float)
    potentials = np.array([opened.potential(one) for one in asked.ravel()])
    rows, inside = fraction_rows([formula], hull.elements)
    if not inside[0]:
        raise hull.missing_reference(formula)
    lowest = open_energies(
        hull, opened, np.repeat(rows, len(potentials), 0), potentials
    )
    if energy_per_atom is None:
        energies = hull_energies(hull, rows)
    else:
        given = finite_energies(energy_per_atom, [formula])
        energies = given - rows @ hull.element_energies
    answer: Floats = energies - lowest
    if np.isnan(answer).any():
        raise hull.missing_reference(formula)
    return answer.reshape(asked.shape) + 0.0

"""How strongly elements scatter neutrons, X-rays and electrons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.diffraction.neutron import ATOMIC_SCATTERING_LEN
from pymatgen.analysis.diffraction.xrd import ATOMIC_SCATTERING_PARAMS
from pymatgen.core import Element

from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RADIATIONS = {"neutron": "fm", "xray": "electrons", "electron": "angstrom"}
"""Kinds of radiation, each with the unit of its scattering power."""

# Mott-Bethe: turns electron into X-ray scattering factors.
_MOTT_BETHE = 41.78214  # electrons per angstrom times angstrom squared


def scattering_power(
    element: str, radiation: str, wave_number: ArrayLike = 0.0
) -> NDArray[np.float64]:
    r"""
    Scattering length or factor of an element.

    Neutrons: the coherent length. X-rays: :math:`f(s) = Z - 41.78214 s^2 \sum_i a_i
    e^{-b_i s^2}`, electrons: the sum alone, with :math:`s = Q / 4 \pi`, of the neutral
    atom; the tables are pymatgen's.

    Parameters
    ----------
    element
        Symbol.
    radiation
        ``neutron`` (fm), ``xray`` (electrons) or ``electron`` (angstrom).
    wave_number
        Q in 1/angstrom, of any shape.

    Raises
    ------
    OrderingError
        Unknown radiation, or an element that the tables do not hold.

    Examples
    --------
    >>> float(scattering_power("Li", "neutron")), float(scattering_power("O", "xray"))
    (-1.9, 8.0)
    """
    waves = np.asarray(wave_number, dtype=float)
    if radiation not in RADIATIONS:
        raise OrderingError(
            f"no radiation {radiation!r}; there are {', '.join(RADIATIONS)}"
        )
    table = (
        ATOMIC_SCATTERING_LEN if radiation == "neutron" else ATOMIC_SCATTERING_PARAMS
    )
    if element not in table:
        raise OrderingError(f"no {radiation} scattering power of {element!r} is tabled")
    if radiation == "neutron":
        return np.full(waves.shape, float(table[element]))
    squared = (waves / (4 * np.pi)) ** 2
    total = np.zeros(waves.shape)
    for height, width in table[element]:
        total += height * np.exp(-width * squared)
    if radiation == "electron":
        return total
    return np.asarray(Element(element).Z - _MOTT_BETHE * squared * total)

r"""
The cheap potential of the stand-in: pairs of ions, and nothing of quantum mechanics.

.. math::

    E = -\sum_i c_i
        + \sum_{i<j} D \left[e^{-2a(r-r_0)} - 2be^{-a(r-r_0)}\right] s(r)
        + k \sum_{i<j} q_i q_j \left[\frac{1}{r} - \frac{2}{R} + \frac{r}{R^2}\right]
        - \sum_i \left[ g + 0.1\,U_i\right] n_i

with :math:`r_0` the sum of two ionic radii times a factor that brings rocksalts near
their volume, :math:`b` one (0.15 between ions of one sign), :math:`q` half the usual
charges made neutral, :math:`R` the cut-off, :math:`s` a function that falls smoothly to
zero there, :math:`n` the unpaired electrons and :math:`U` the Hubbard parameter.
Energies depend on volume, ordering, moments and U, and are the same on every machine;
their values mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.vasp_standin.vasp_inputs import Poscar

CUTOFF_ANGSTROM = 6.0
COULOMB_EV_ANGSTROM = 14.399645
_DEPTH_EV, _STEEPNESS = 0.35, 2.0
_STRETCH, _LIKE_CHARGES = 1.07, 0.15
_RADIUS_UNKNOWN_ANGSTROM = 1.2
_SELF_SQUARED = 1e-8
_CHARGE_SHARE = 0.5
_ANIONS = {"F": -1.0, "O": -2.0, "Cl": -1.0, "Br": -1.0, "I": -1.0, "N": -3.0}
_CHALCOGENS = {"S": -2.0, "Se": -2.0, "Te": -2.0}
_GAIN_PER_ELECTRON_EV, _GAIN_PER_U = 0.05, 0.1
_MOMENT_PER_ELECTRON = 0.93
_MAGNETIC = (*range(21, 31), *range(39, 49), *range(57, 81), *range(89, 95))


@dataclass(frozen=True)
class Response:
    """Energy in eV, forces in eV/angstrom and virial stress in eV/angstrom^3."""

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    """Derivative of the energy by strain over the volume; positive pulls together."""


@lru_cache(maxsize=128)
def _element(symbol: str) -> tuple[int, float, float]:
    """Atomic number, ionic radius in angstrom and usual positive charge."""
    from pymatgen.core import Element  # noqa: PLC0415 - a third of the start-up time

    element = Element(symbol)
    states = sorted(state for state in element.common_oxidation_states if state > 0)
    usual = states[(len(states) - 1) // 2] if states else 0
    sizes = element.ionic_radii
    radius = sizes.get(int(_ANIONS.get(symbol, usual))) or element.average_ionic_radius
    return element.Z, float(radius) or _RADIUS_UNKNOWN_ANGSTROM, float(usual)


def charges(symbols: tuple[str, ...]) -> NDArray[np.float64]:
    """Give every atom a charge such that the cell is neutral."""
    anions = dict(_ANIONS)
    if not anions.keys() & set(symbols):
        anions = _CHALCOGENS
    formal = [anions.get(symbol, _element(symbol)[2]) for symbol in symbols]
    signed = _CHARGE_SHARE * np.array(formal)
    positive, negative = signed[signed > 0].sum(), signed[signed < 0].sum()
    if positive == 0 or negative == 0:
        return np.zeros(len(symbols))
    signed[signed > 0] *= -negative / positive
    return signed


def final_moments(
    symbols: tuple[str, ...], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the moments at the end, in Bohr magnetons; a second run keeps them."""
    numbers = np.array([_element(symbol)[0] for symbol in symbols])
    electrons = np.round(start / _MOMENT_PER_ELECTRON)
    moments = np.where(np.isin(numbers, _MAGNETIC), electrons, 0.0)
    return np.asarray(moments * _MOMENT_PER_ELECTRON)


def evaluate(
    cell: Poscar, *, moments: NDArray[np.float64], hubbard: NDArray[np.float64]
) -> Response:
    """Evaluate the potential; moments in Bohr magnetons, U in eV, of every atom."""
    first, second, vectors = _pairs(cell)
    lengths = np.linalg.norm(vectors, axis=1)
    radii = np.array([_element(symbol)[1] for symbol in cell.symbols])
    charge = charges(cell.symbols)
    products = charge[first] * charge[second]
    # Ions of one sign have no bond between them, only their repulsion.
    bonded = np.where(products > 0, _LIKE_CHARGES, 1.0)
    optimum = _STRETCH * (radii[first] + radii[second])
    pair, slope = _pair_energy(lengths, optimum, bonded)
    coulomb, coulomb_slope = _shifted_coulomb(lengths, products)
    pull = (slope + coulomb_slope)[:, None] * vectors / lengths[:, None]
    forces = np.zeros((len(cell.symbols), 3))
    np.add.at(forces, first, pull)
    # Every pair is listed from both ends, so each end counts half its energy.
    stress = 0.5 * vectors.T @ pull / cell.volume
    electrons = np.abs(moments) / _MOMENT_PER_ELECTRON
    onsite = -float(np.sum((_GAIN_PER_ELECTRON_EV + _GAIN_PER_U * hubbard) * electrons))
    cohesion = -sum(_cohesion(symbol) for symbol in cell.symbols)
    energy = 0.5 * float(np.sum(pair + coulomb)) + onsite + cohesion
    return Response(energy, forces, stress)


def _cohesion(symbol: str) -> float:
    """Energy of a lone atom below zero in eV: only to look like VASP's numbers."""
    return 1.0 + 0.02 * (_element(symbol)[0] % 37)


def _pairs(
    cell: Poscar,
) -> tuple[NDArray[np.int_], NDArray[np.int_], NDArray[np.float64]]:
    """List all pairs within the cut-off, images included, from both ends."""
    heights = cell.volume / np.linalg.norm(
        np.cross(np.roll(cell.lattice, -1, axis=0), np.roll(cell.lattice, -2, axis=0)),
        axis=1,
    )
    reach = [int(np.ceil(CUTOFF_ANGSTROM / height)) + 1 for height in heights]
    ranges = [np.arange(-n, n + 1) for n in reach]
    images = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    wrapped = cell.fractional % 1.0
    between = wrapped[None, :, :] - wrapped[:, None, :]
    vectors = (between[:, :, None, :] + images[None, None]) @ cell.lattice
    squares = np.einsum("ijkx,ijkx->ijk", vectors, vectors)
    found = (squares < CUTOFF_ANGSTROM**2) & (squares > _SELF_SQUARED)
    first, second, _ = np.nonzero(found)
    return first, second, vectors[found]


def _pair_energy(
    lengths: NDArray[np.float64],
    optimum: NDArray[np.float64],
    depth: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Morse bond, smoothly ended at the cut-off: energy and its slope."""
    decay = np.exp(-_STEEPNESS * (lengths - optimum))
    bond = _DEPTH_EV * (decay**2 - 2 * depth * decay)
    bond_slope = _DEPTH_EV * _STEEPNESS * (-2 * decay**2 + 2 * depth * decay)
    share = lengths / CUTOFF_ANGSTROM
    end = (1 - share**2) ** 2
    end_slope = -4 * share * (1 - share**2) / CUTOFF_ANGSTROM
    return bond * end, bond_slope * end + bond * end_slope


def _shifted_coulomb(
    lengths: NDArray[np.float64], products: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coulomb energy whose value and slope vanish at the cut-off, and its slope."""
    strength = COULOMB_EV_ANGSTROM * products
    value = 1 / lengths - 2 / CUTOFF_ANGSTROM + lengths / CUTOFF_ANGSTROM**2
    slope = -1 / lengths**2 + 1 / CUTOFF_ANGSTROM**2
    return strength * value, strength * slope

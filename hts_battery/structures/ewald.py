"""Ewald sums of unit charges on the sites of a cell, each distinct pair once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.constants import e as elementary_charge
from scipy.constants import epsilon_0
from scipy.special import erfc

from hts_battery.structures.cells import build_cell
from hts_battery.structures.neighbours import (
    lattice_points_within,
    lattice_vectors,
    nearest_image,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.structures.cells import IntMatrix

COULOMB_EV_ANGSTROM = 1e10 * elementary_charge / (4 * np.pi * epsilon_0)
"""Energy of two unit charges one angstrom apart, in eV."""
# Both sums end where erfc(x) and exp(-x^2) have fallen to 1e-14.
_REACH = 5.6
# Cube of the splitting times the volume at which both sums have about as many terms.
_SPLITTING = 8.0
# Vectors that agree to this fraction of the cell are one.
_SAME_VECTOR = 1e-8
# Shorter vectors, in angstrom, lead from a site to itself.
_SAME_SITE = 1e-3
# Odd multipliers that turn three whole numbers into one key, modulo 2**64.
_KEYS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], dtype=np.uint64
)


@lru_cache(maxsize=64)
def ewald_matrix(prototype_name: str, supercell: IntMatrix) -> NDArray[np.float64]:
    r"""
    Pairwise Ewald energies of unit charges on every site of a cell.

    The energy of any neutral decoration is
    :math:`E = \sum_{ij} q_i M_{ij} q_j`, its self-interaction on the diagonal. An
    element depends on the vector between two sites alone: vectors that the cell's
    translations or an inversion make equal are summed once. In eV, at the reference
    compound's lattice; a lattice f times as large has energies 1/f times as large.

    Examples
    --------
    >>> matrix = ewald_matrix("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
    >>> charges = np.array([1, -1])
    >>> distance = 4.2112 / 2
    >>> madelung = -charges @ matrix @ charges * distance / COULOMB_EV_ANGSTROM
    >>> round(float(madelung), 9)
    1.747564595
    """
    cell = build_cell(prototype_name, supercell)
    sites = len(cell.coordinates)
    vectors = cell.coordinates[:, None, :] - cell.coordinates[None, :, :]
    vectors = vectors.reshape(-1, 3) % 1.0
    steps = round(1 / _SAME_VECTOR)
    whole = np.round(vectors / _SAME_VECTOR).astype(np.int64) % steps
    there, back = ((w.astype(np.uint64) * _KEYS) for w in (whole, -whole % steps))
    keys = np.minimum(there.sum(axis=1), back.sum(axis=1))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    energies = pair_energies(cell.lattice, vectors[first])
    matrix = energies[inverse].reshape(sites, sites)
    matrix.setflags(write=False)
    return matrix


def pair_energies(
    lattice: NDArray[np.float64],
    vectors: NDArray[np.float64],
    *,
    splitting: float | None = None,
) -> NDArray[np.float64]:
    r"""
    Half the energy in eV of a unit charge in the periodic potential of another.

    .. math::

        M(r) = \frac{e^2}{8 \pi \epsilon_0} \Big[
        {\sum_L}' \frac{\mathrm{erfc}(s |r + L|)}{|r + L|}
        + \frac{4 \pi}{V} \sum_{G \neq 0} \frac{e^{-G^2 / 4 s^2}}{G^2} \cos G r
        - \frac{\pi}{V s^2} - \frac{2 s}{\sqrt \pi} \delta_{r 0} \Big]

    The third term is the neutralising background: it makes the result independent of
    the splitting s, in 1/angstrom, and cancels in every neutral cell. Vectors are
    fractional, one a row; zero is a site and itself.
    """
    volume = float(abs(np.linalg.det(lattice)))
    s = splitting or (_SPLITTING / volume) ** (1 / 3)
    nearest = nearest_image(vectors) @ lattice
    # The screened charges in real space; a charge does not see itself.
    rows, lengths = lattice_points_within(lattice, nearest, _REACH / s)
    others = lengths > _SAME_SITE
    rows, lengths = rows[others], lengths[others]
    screened = np.asarray(erfc(s * lengths) / lengths, dtype=np.float64)
    near = np.bincount(rows, weights=screened, minlength=len(vectors))
    # The smooth rest over reciprocal vectors, one of each pair G and -G.
    reciprocal = np.asarray(2 * np.pi * np.linalg.inv(lattice).T, dtype=np.float64)
    waves = lattice_vectors(reciprocal, 2 * s * _REACH)
    waves = waves[: len(waves) // 2]
    squares = np.einsum("ij,ij->i", waves, waves)
    weights = 2 * np.exp(-squares / (4 * s**2)) / squares
    far = np.cos(nearest @ waves.T) @ weights
    total = near + far * (4 * np.pi / volume) - np.pi / (volume * s**2)
    total[np.linalg.norm(nearest, axis=1) < _SAME_SITE] -= 2 * s / np.sqrt(np.pi)
    return np.asarray(total * (COULOMB_EV_ANGSTROM / 2))

"""Electrostatics of a decorated lattice: one table of displacements for all sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import erfc

from hts_battery.disorder.torus import cycles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.disorder.torus import Torus

COULOMB = 14.39964548
"""e^2 / (4 pi epsilon_0) in eV angstrom."""

_REACH = 5.8  # erfc(x) and exp(-x^2) are 1e-15 there: both sums end
_NEAR = 3.2  # cation distances over which the near sum runs
_CHUNK = 200_000  # wave vectors at once
_HALF_WAY = np.array([0.5, 0.5, 0.5])


class EwaldTable(NamedTuple):
    """Potential of a unit charge and its images at every displacement of a torus."""

    places: NDArray[np.int64]
    """Position of each point on the three cycles, (points, 3)."""
    same: NDArray[np.float64]
    """On the own sublattice, its own images for no displacement, eV per e^2."""
    between: NDArray[np.float64]
    """From a cation to the anion beside the cation at that displacement."""


def ewald_table(
    cell: Torus, vectors: NDArray[np.float64], distance: float, *, has_anions: bool
) -> EwaldTable:
    r"""
    Sum the potential of a unit charge over the periodic images of a cell.

    .. math::

        \phi(d) = k \Bigl[\sum_L' \frac{\mathrm{erfc}(s |d + L|)}{|d + L|}
        + \frac{4 \pi}{V} \sum_{G \ne 0} \frac{e^{-G^2 / 4 s^2}}{G^2} \cos G d
        - \frac{\pi}{V s^2} - \frac{2 s}{\sqrt \pi} \delta_{d 0}\Bigr]

    The energy of charges q is half the sum of :math:`q_i q_j \phi(r_j - r_i)`, in a
    uniform background where they do not add up to nothing. The far sum is folded into
    one zone and transformed at once, so a cell of tens of thousands of sites takes as
    long as its wave vectors.

    Parameters
    ----------
    cell
        In units of the primitive vectors.
    vectors
        Ideal primitive vectors, nearest cations at 1.
    distance
        Between nearest cations in angstrom.
    has_anions
        Whether anions stand half way along the primitive vectors.
    """
    ring = cycles(cell)
    places = cell.points() @ ring.points % ring.orders
    primitive = vectors * distance
    split = _REACH / (_NEAR * distance)
    offsets = [np.zeros(3)] + ([_HALF_WAY] if has_anions else [])
    volume = abs(np.linalg.det(primitive)) * cell.size
    tables = [
        4 * np.pi / volume * table - np.pi / (volume * split**2)
        for table in _far(cell, primitive, split, offsets)
    ]
    for table, offset in zip(tables, offsets, strict=True):
        steps = _steps_within(primitive, offset, _NEAR * distance)
        lengths = np.linalg.norm((steps + offset) @ primitive, axis=1)
        away = lengths > 0
        at = steps[away] @ ring.points % ring.orders
        np.add.at(table, tuple(at.T), erfc(split * lengths[away]) / lengths[away])
    tables[0][0, 0, 0] -= 2 * split / np.sqrt(np.pi)
    same = COULOMB * tables[0]
    between = COULOMB * tables[1] if has_anions else np.zeros((1, 1, 1))
    return EwaldTable(places, same, between)


def charge_potentials(
    table: EwaldTable, cations: NDArray[np.float64], anions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """
    Return the potential at every site, cations first, in volt.

    A convolution of the charges with the table, by Fourier transforms.
    """
    spans = table.same.shape
    at = tuple(table.places.T)
    charges = np.zeros((2, *spans))
    charges[0][at] = cations
    if len(anions):
        charges[1][at] = anions
    waves = np.fft.fftn(charges, axes=(1, 2, 3))
    same = np.fft.fftn(table.same)
    if not len(anions):
        return np.asarray(np.fft.ifftn(waves[0] * same).real[at])
    between = np.fft.fftn(table.between)
    on_cations = np.fft.ifftn(waves[0] * same + waves[1] * between.conj()).real
    on_anions = np.fft.ifftn(waves[1] * same + waves[0] * between).real
    return np.concatenate([on_cations[at], on_anions[at]])


def _steps_within(
    primitive: NDArray[np.float64], offset: NDArray[np.float64], cutoff: float
) -> NDArray[np.int64]:
    """List the lattice steps that end within a distance."""
    reach = int(
        np.ceil(cutoff * np.linalg.norm(np.linalg.inv(primitive), axis=0).max())
    )
    span = np.arange(-reach - 1, reach + 2)
    steps = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1)
    flat = steps.reshape(-1, 3)
    near = np.linalg.norm((flat + offset) @ primitive, axis=1) <= cutoff
    return np.asarray(flat[near])


def _far(
    cell: Torus,
    primitive: NDArray[np.float64],
    split: float,
    offsets: list[NDArray[np.float64]],
) -> list[NDArray[np.float64]]:
    """Sum over the wave vectors of the cell, at every displacement."""
    ring = cycles(cell)
    supercell = cell.matrix @ primitive
    reciprocal = 2 * np.pi * np.linalg.inv(supercell).T
    longest = 2 * split * _REACH
    reach = np.floor(longest * np.linalg.norm(supercell, axis=1) / (2 * np.pi))
    spans = [np.arange(-int(n), int(n) + 1) for n in reach]
    spans[0] = spans[0][spans[0] >= 0]  # a wave and its reverse are one
    folded = [np.zeros(ring.orders, dtype=complex) for _ in offsets]
    plane = np.stack(np.meshgrid(spans[1], spans[2], indexing="ij"), axis=-1)
    flat = plane.reshape(-1, 2)
    layers = max(1, _CHUNK // len(flat))
    for start in range(0, len(spans[0]), layers):
        first = spans[0][start : start + layers]
        waves = np.column_stack(
            [np.repeat(first, len(flat)), np.tile(flat, (len(first), 1))]
        )
        vectors = waves @ reciprocal
        squared = (vectors**2).sum(axis=1)
        inside = (squared <= longest**2) & (squared > 0)
        waves, vectors, squared = waves[inside], vectors[inside], squared[inside]
        weight = np.where(waves[:, 0] > 0, 2.0, 1.0) / squared
        weight *= np.exp(-squared / (4 * split**2))
        at = np.ravel_multi_index(
            tuple((waves @ ring.waves.T % ring.orders).T), ring.orders
        )
        for table, offset in zip(folded, offsets, strict=True):
            phase = np.exp(1j * (vectors @ (offset @ primitive)))
            table.ravel()[:] += np.bincount(
                at, weight * phase.real, table.size
            ) + 1j * np.bincount(at, weight * phase.imag, table.size)
    return [np.fft.ifftn(table).real * table.size for table in folded]

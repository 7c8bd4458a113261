"""Total scattering of a cell: pair distribution, and diffuse planes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.cells import site_symbols
from hts_battery.disorder.lattice_sites import FCC, lattice_sites
from hts_battery.disorder.order_parameters import PairValues
from hts_battery.disorder.scattering_powers import scattering_power
from hts_battery.errors import OrderingError
from hts_battery.structures.neighbours import structure_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from pymatgen.core import Structure

    from hts_battery.disorder.lattice_sites import LatticeSites

PLANES = ("hk0", "h0l", "0kl", "hkl")
"""Cuts of reciprocal space that can be asked for; the last is the whole zone."""

_TAILS = 8.0  # widths of a peak beyond which it is nothing
_SAME_DISTANCE = 5  # decimals in angstrom: pairs closer than that are one peak
_CHUNK = 2_000  # distances whose peaks are summed at once


class PairDistribution(NamedTuple):
    """A pair distribution function G(r) and its parts."""

    distances: NDArray[np.float64]
    """In angstrom."""
    values: NDArray[np.float64]
    """G(r) in 1/angstrom^2."""
    partials: PairValues
    """Share of each pair of elements; they add up to the values."""
    mean_power: float
    """Mean scattering power of the atoms, in the unit of the radiation."""


class DiffuseScattering(NamedTuple):
    """Diffuse intensity on the wave vectors of a cell."""

    h: NDArray[np.float64]
    """In units of the conventional reciprocal cell; the grid's first index."""
    k: NDArray[np.float64]
    l: NDArray[np.float64]  # noqa: E741 - the field's name of it
    intensity: NDArray[np.float64]
    """In Laue units: 1 everywhere for a random alloy; NaN on Bragg points."""
    laue: NDArray[np.float64] | float
    """The Laue unit in squares of the scattering power, for each lattice point."""


def pair_distribution(
    structure: Structure,
    distances: ArrayLike,
    *,
    radiation: str = "neutron",
    displacement: float = 0.005,
) -> PairDistribution:
    r"""
    Pair distribution function of a periodic cell.

    .. math::

        G(r) = \frac1N \sum_{i \ne j} \frac{b_i b_j}{\langle b \rangle^2}
        \frac{e^{-(r - r_{ij})^2 / 2 s^2} - e^{-(r + r_{ij})^2 / 2 s^2}}
        {r_{ij} s \sqrt{2 \pi}} - 4 \pi r \rho_0

    with :math:`s^2 = 2U`: the distance of two atoms that each move by an isotropic
    Gaussian. The weight of a peak of r G(r) is the number of neighbours times
    :math:`b_i b_j / \langle b \rangle^2`, and G falls as :math:`-4 \pi \rho_0 r` before
    the first.

    Parameters
    ----------
    structure
        An ordered cell.
    distances
        In angstrom, positive.
    radiation
        ``neutron``, ``xray`` or ``electron``; the latter two with their scattering
        factors at Q = 0.
    displacement
        U in angstrom squared: mean square displacement of an atom along one direction.

    Raises
    ------
    OrderingError
        Unknown radiation, a distance or displacement that is not positive, or a mean
        scattering power of zero.

    References
    ----------
    D. A. Keen, J. Appl. Cryst. 34, 172 (2001), 10.1107/S0021889800019993.
    """
    r = np.asarray(distances, dtype=float)
    if r.ndim != 1 or not (len(r) and np.all(r > 0)) or not displacement > 0:
        raise OrderingError("distances and displacement must be positive")
    width = np.sqrt(2 * displacement)
    names = site_symbols(structure)
    elements, kinds = np.unique(names, return_inverse=True)
    powers = np.array([float(scattering_power(e, radiation)) for e in elements])
    shares = np.bincount(kinds) / len(names)
    mean = float(shares @ powers)
    if abs(mean) < 1e-9 * np.abs(powers).max():
        raise OrderingError("the mean scattering power is zero: G(r) has no unit")
    pairs = structure_pairs(structure, float(r.max() + _TAILS * width))
    density = len(names) / structure.volume
    joined = kinds[pairs.first] * len(elements) + kinds[pairs.second]
    partials = PairValues()
    for a, one in enumerate(elements):
        for b in range(a, len(elements)):
            of_pair = (joined == a * len(elements) + b) | (
                joined == b * len(elements) + a
            )
            weight = powers[a] * powers[b] / mean**2
            both = 1 if a == b else 2
            at, counts = distance_counts(pairs.lengths[of_pair])
            peaks = gaussian_peaks(at, counts, r, width) / len(names)
            ground = 4 * np.pi * r * density * both * shares[a] * shares[b]
            partials[str(one), str(elements[b])] = weight * (peaks - ground)
    values = np.sum(list(partials.values()), axis=0)
    return PairDistribution(r, values, partials, mean)


def diffuse_scattering(
    structure: Structure, plane: str = "hk0", *, radiation: str = "neutron"
) -> DiffuseScattering:
    r"""
    Diffuse scattering of a decorated lattice, from its occupation alone.

    .. math::

        I(\mathbf q) = \Bigl| \sum_i (b_i - \langle b \rangle)
        e^{i \mathbf q \cdot \mathbf r_i} \Bigr|^2 \Big/
        \sum_i (b_i - \langle b \rangle)^2

    with the mean over the site's sublattice. Sites stand on the points of the lattice:
    displacements of a relaxed cell are left out. The mean over the zone is 1, and the
    inverse transform of I is the Warren-Cowley parameter where one sublattice of two
    species is mixed.

    Parameters
    ----------
    structure
        A supercell of whole conventional cubic cells along its three axes.
    plane
        ``hk0``, ``h0l``, ``0kl``, or ``hkl`` for the whole zone.
    radiation
        ``neutron``, ``xray`` or ``electron``.

    Raises
    ------
    OrderingError
        Unknown plane or radiation, a cell of another shape, or nothing that is mixed.
    """
    if plane not in PLANES:
        raise OrderingError(f"no plane {plane!r}; there are {', '.join(PLANES)}")
    found = lattice_sites(structure)
    names = site_symbols(structure)
    points, spans, edges = _grid_points(structure, found)
    per_cell = 2 if found.vectors is FCC else 1  # grid points along a cubic edge
    waves = [np.arange(n) / (n // per_cell) for n in spans]
    wave_number = _wave_numbers(waves, edges)
    amplitude = np.zeros(spans, dtype=complex)
    unit = np.zeros(spans)
    for sites in (found.cations, found.anions):
        if not len(np.unique(names[sites])) > 1:
            continue
        powers = {
            e: scattering_power(e, radiation, wave_number) for e in set(names[sites])
        }
        counts = {e: int((names[sites] == e).sum()) for e in powers}
        mean = sum(counts[e] * powers[e] for e in powers) / len(sites)
        for element, power in powers.items():
            occupied = np.zeros(spans)
            chosen = sites[names[sites] == element]
            occupied[tuple(points[chosen].T)] = 1
            amplitude += (power - mean) * np.fft.fftn(occupied)
            unit += counts[element] * (power - mean) ** 2
    if not unit.any():
        raise OrderingError("every sublattice holds one element: nothing is diffuse")
    intensity = np.abs(amplitude) ** 2 / unit
    h, k, l = waves  # noqa: E741
    intensity[_bragg(waves, face_centred=found.vectors is FCC)] = np.nan
    cut = tuple(slice(None) if plane[axis] in "hkl" else 0 for axis in range(3))
    laue = unit[cut] / len(found.cations)
    return DiffuseScattering(
        h, k, l, intensity[cut], float(laue.flat[0]) if radiation == "neutron" else laue
    )


def debye_intensity(
    positions: NDArray[np.float64], powers: NDArray[np.float64], wave_numbers: ArrayLike
) -> NDArray[np.float64]:
    r"""
    Scattered intensity of a cluster by Debye's sum.

    .. math:: I(Q) = \sum_{ij} b_i b_j \frac{\sin Q r_{ij}}{Q r_{ij}}

    Parameters
    ----------
    positions
        Cartesian in angstrom, (atoms, 3).
    powers
        Scattering power of each atom, (atoms,), or at each wave number, (atoms, waves).
    wave_numbers
        Q in 1/angstrom.
    """
    waves = np.asarray(wave_numbers, dtype=float)
    strength = np.broadcast_to(powers.T, (len(waves), len(positions)))
    gaps = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return np.array(
        [
            b @ np.sinc(q * gaps / np.pi) @ b
            for q, b in zip(waves, strength, strict=True)
        ]
    )


def distance_counts(
    lengths: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the different distances of pairs and how often each occurs."""
    return np.unique(lengths.round(_SAME_DISTANCE), return_counts=True)


def gaussian_peaks(
    at: NDArray[np.float64],
    weights: NDArray[np.float64 | np.int64],
    r: NDArray[np.float64],
    width: float,
) -> NDArray[np.float64]:
    """
    Sum the peaks of pairs of atoms that move by Gaussians, each divided by r.

    Parameters
    ----------
    at, weights
        Distances in angstrom, and the weight of each.
    r
        Where the sum is wanted, in angstrom.
    width
        Standard deviation of a distance in angstrom.
    """
    total = np.zeros(len(r))
    scale = 1 / (width * np.sqrt(2 * np.pi))
    for start in range(0, len(at), _CHUNK):
        part = slice(start, start + _CHUNK)
        near = np.exp(-(((r[:, None] - at[part]) / width) ** 2) / 2)
        near -= np.exp(-(((r[:, None] + at[part]) / width) ** 2) / 2)
        total += near @ (weights[part] / at[part]) * scale
    return total


def _grid_points(
    structure: Structure, found: LatticeSites
) -> tuple[NDArray[np.int64], tuple[int, int, int], NDArray[np.float64]]:
    """Grid point of every site, the grid, and the length of a cubic edge by axis."""
    face_centred = found.vectors is FCC
    ideal = found.torus.matrix @ found.vectors  # cell vectors, nearest cations at 1
    edge = np.sqrt(2) if face_centred else 1.0
    metric = ideal @ ideal.T / edge**2
    cells = np.rint(np.sqrt(np.diag(metric))).astype(int)
    # Whole cells along each axis: lengths and right angles say so, volume of cells too.
    whole = np.allclose(metric, np.diag(cells**2), atol=1e-6)
    if not whole or (
        np.rint(found.torus.size / (4 if face_centred else 1)) != np.prod(cells)
    ):
        raise OrderingError(
            "diffuse scattering needs a cell of whole conventional cubic cells along "
            "its axes, as lattice_cell makes them"
        )
    spans = tuple(int(n) * (2 if face_centred else 1) for n in cells)
    fractional = np.asarray(structure.frac_coords)
    places = (fractional - fractional[found.cations[0]]) * spans
    phase = np.exp(2j * np.pi * places).mean(axis=0)
    places -= np.angle(phase) / (2 * np.pi)
    points = np.rint(places).astype(np.int64) % spans
    edges = np.asarray(structure.lattice.abc) / cells
    return points, (spans[0], spans[1], spans[2]), edges


def _wave_numbers(
    waves: list[NDArray[np.float64]], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Length of each wave vector in 1/angstrom."""
    axes = [2 * np.pi * wave / edge for wave, edge in zip(waves, edges, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.asarray(np.sqrt(sum(axis**2 for axis in grid)))


def _bragg(
    waves: list[NDArray[np.float64]], *, face_centred: bool
) -> NDArray[np.bool_]:
    """Say where the average lattice has its Bragg points."""
    grid = np.meshgrid(*waves, indexing="ij")
    found = np.all([axis == np.rint(axis) for axis in grid], axis=0)
    if face_centred:
        odd = sum(np.rint(axis).astype(int) % 2 for axis in grid)
        found &= (odd == 0) | (odd == 3)  # noqa: PLR2004 - all even or all odd
    return np.asarray(found)

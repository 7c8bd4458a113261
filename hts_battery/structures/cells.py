"""Parent lattices in space, their compact supercells, and what symmetry survives."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.symmetry.groups import SpaceGroup
from scipy.spatial import cKDTree

from hts_battery.errors import OrderingError
from hts_battery.structures.neighbours import nearest_image, vectors_by_length, wrapped
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from fractions import Fraction

    from numpy.typing import NDArray

    from hts_battery.structures.prototypes import Prototype

    IntMatrix = tuple[tuple[int, ...], ...]
    from hts_battery.structures.prototypes import LatticeParameters

# Positions of one orbit closer than this, as a fraction of a lattice vector,
# are the same position found twice.
_SAME_POSITION = 1e-4


class ParentSites(NamedTuple):
    """Every site of the primitive cell of a parent lattice."""

    lattice: NDArray[np.float64]
    """Primitive vectors in angstrom, one a row."""
    coordinates: NDArray[np.float64]
    """Fractional in the primitive vectors, one site a row."""
    sublattices: tuple[str, ...]
    """Name of the sublattice of each site."""
    labels: tuple[str, ...]
    """Label of the orbit of each site."""


def conventional_vectors(parameters: LatticeParameters) -> NDArray[np.float64]:
    """Lattice vectors in angstrom, one a row; the first along x."""
    cos = np.cos(np.radians([parameters.alpha, parameters.beta, parameters.gamma]))
    # Exact zeros for right angles: a cell must not depend on the last bit of a
    # machine's cosine.
    cos_a, cos_b, cos_c = np.round(cos, 14)
    sin_c = np.sqrt(1 - cos_c**2)
    third = np.array([cos_b, (cos_a - cos_b * cos_c) / sin_c, 0.0])
    third[2] = np.sqrt(1 - third @ third)
    return np.array(
        [
            [parameters.a, 0.0, 0.0],
            [parameters.b * cos_c, parameters.b * sin_c, 0.0],
            parameters.c * third,
        ]
    )


def primitive_matrix(prototype: Prototype) -> NDArray[np.float64]:
    """Primitive vectors in units of the conventional ones, one a row."""
    return np.array([[float(x) for x in row] for row in prototype.primitive])


def symmetry_operations(
    prototype: Prototype,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotations and translations of the space group in the conventional cell."""
    return _operations(prototype.space_group)


@lru_cache(maxsize=16)
def _operations(number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Operations of a space group, in an order of their own: half a second for 225."""
    operations = sorted(
        SpaceGroup.from_int_number(number).symmetry_ops,
        key=lambda operation: tuple(np.round(operation.affine_matrix, 6).ravel()),
    )
    return (
        np.round([operation.rotation_matrix for operation in operations]),
        np.array([operation.translation_vector for operation in operations]),
    )


@lru_cache(maxsize=64)
def parent_sites(prototype_name: str) -> ParentSites:
    """
    Expand the orbits of a prototype to all sites of its primitive cell.

    Examples
    --------
    >>> parent_sites("rocksalt").sublattices
    ('cation', 'anion')
    """
    prototype = load_prototype(prototype_name)
    primitive = primitive_matrix(prototype)
    lattice = primitive @ conventional_vectors(prototype.lattice)
    to_primitive = np.linalg.inv(primitive)
    rotations, translations = symmetry_operations(prototype)
    coordinates: list[NDArray[np.float64]] = []
    names: list[str] = []
    labels: list[str] = []
    for name, sublattice in prototype.sublattices.items():
        before = len(coordinates)
        for label, position in sublattice.positions.items():
            start = np.array([float(x) for x in position])
            images = (rotations @ start + translations) @ to_primitive
            orbit = _distinct(images % 1.0)
            coordinates += orbit
            names += [name] * len(orbit)
            labels += [label] * len(orbit)
        expected = sublattice.sites * prototype.formula_units
        if len(coordinates) - before != expected:
            raise OrderingError(
                f"prototype {prototype.name}: sublattice {name} has "
                f"{len(coordinates) - before} sites in the primitive cell, "
                f"not {expected}"
            )
    return ParentSites(lattice, np.array(coordinates), tuple(names), tuple(labels))


def _distinct(positions: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Drop positions that repeat an earlier one modulo lattice vectors."""
    kept: list[NDArray[np.float64]] = []
    for position in positions:
        others = np.array(kept).reshape(-1, 3)
        apart = np.abs(nearest_image(position - others)).max(axis=1, initial=0)
        if not kept or apart.min() >= _SAME_POSITION:
            kept.append(np.where(position > 1 - _SAME_POSITION, 0.0, position))
    return kept


# Lengths that agree to this fraction are equal, so that the choice among equally
# compact cells never hangs on rounding.
_SAME_LENGTH = 1e-6
# Distance in fractional coordinates below which two sites are one.
_SAME_SITE = 1e-3
_DIMENSIONS = 3


class Cell(NamedTuple):
    """An empty supercell of a prototype: sites without species."""

    prototype: str
    """Name of the prototype."""
    supercell: tuple[tuple[int, ...], ...]
    """Supercell vectors in units of the primitive vectors, one a row."""
    lattice: NDArray[np.float64]
    """Supercell vectors in angstrom at the reference compound's size, one a row."""
    coordinates: NDArray[np.float64]
    """Fractional coordinates, one site a row; sublattice by sublattice."""
    sublattices: tuple[str, ...]
    """Name of the sublattice of each site."""
    labels: tuple[str, ...]
    """Label of the orbit of each site in the parent lattice."""
    sites: Mapping[str, NDArray[np.intp]]
    """Name of a sublattice → indices of its sites."""


def hermite_normal_forms(determinant: int) -> NDArray[np.int64]:
    r"""
    List every superlattice of an index once, as upper triangular matrices.

    Rows are superlattice vectors in units of the primitive ones. Their number is
    :math:`\sum_{acf = n} c f^2`.

    Examples
    --------
    >>> [len(hermite_normal_forms(n)) for n in (1, 2, 3, 4)]
    [1, 7, 13, 35]
    """
    forms = [
        ((a, b, d), (0, c, e), (0, 0, f))
        for a, c, f in _factor_triples(determinant)
        for b, d, e in product(range(c), range(f), range(f))
    ]
    return np.array(forms, dtype=np.int64)


def _factor_triples(number: int) -> Iterator[tuple[int, int, int]]:
    for a in range(1, number + 1):
        if number % a == 0:
            for c in range(1, number // a + 1):
                if (number // a) % c == 0:
                    yield a, c, number // a // c


def _contains(forms: NDArray[np.int64], vector: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which superlattices hold an integer vector: forward substitution."""
    k0, r0 = np.divmod(vector[0], forms[:, 0, 0])
    k1, r1 = np.divmod(vector[1] - k0 * forms[:, 0, 1], forms[:, 1, 1])
    r2 = (vector[2] - k0 * forms[:, 0, 2] - k1 * forms[:, 1, 2]) % forms[:, 2, 2]
    return np.asarray((r0 == 0) & (r1 == 0) & (r2 == 0))


@lru_cache(maxsize=256)
def compact_supercell(prototype_name: str, cells: int) -> IntMatrix:
    """
    Choose the supercell of an index that is closest to a cube.

    Of all superlattices, those whose shortest vector is longest; of these the one
    with the smallest sum of squared reduced vectors; of equals the first in the
    order of Hermite normal forms. Sites then see as few of their own images as the
    size allows. Vectors are reduced, right-handed, shortest first.

    Examples
    --------
    >>> compact_supercell("rocksalt", 4)
    ((1, 1, -1), (1, -1, 1), (1, -1, -1))
    """
    lattice = parent_sites(prototype_name).lattice
    volume = abs(np.linalg.det(lattice)) * cells
    # The longest vector of a compact cell is well below twice the cube's edge;
    # three times leaves room for the flattest primitive cells.
    vectors = vectors_by_length(lattice, 3 * volume ** (1 / 3))
    lengths = np.linalg.norm(vectors @ lattice, axis=1)
    remaining = hermite_normal_forms(cells)
    start = 0
    while start < len(vectors):
        stop = int(
            np.searchsorted(lengths, lengths[start] * (1 + _SAME_LENGTH), side="right")
        )
        hit = np.zeros(len(remaining), dtype=bool)
        for vector in vectors[start:stop]:
            hit |= _contains(remaining, vector)
        if np.all(hit):
            break
        remaining, start = remaining[~hit], stop
    best: tuple[float, IntMatrix] | None = None
    for form in remaining:
        reduced = _reduced(form, vectors[start:], lattice)
        size = float(np.sum((np.array(reduced) @ lattice) ** 2))
        if best is None or size < best[0] * (1 - _SAME_LENGTH):
            best = (size, reduced)
    if best is None:
        raise OrderingError(f"no supercell of {cells} cells of {prototype_name}")
    return best[1]


def _reduced(
    form: NDArray[np.int64],
    vectors: NDArray[np.int64],
    lattice: NDArray[np.float64],
) -> IntMatrix:
    """Three shortest vectors of a superlattice, right-handed: they are a basis."""
    chosen: list[NDArray[np.int64]] = []
    for vector in vectors:
        if not _contains(form[None], vector)[0]:
            continue
        if np.linalg.matrix_rank(np.array([*chosen, vector])) > len(chosen):
            chosen.append(vector)
        if len(chosen) == _DIMENSIONS:
            break
    else:  # a very flat superlattice: its Hermite form is a basis too
        chosen = list(form)
    return right_handed(np.array(chosen), lattice)


def right_handed(matrix: NDArray[np.int64], lattice: NDArray[np.float64]) -> IntMatrix:
    """Write integer vectors as tuples, inverted where they are left-handed."""
    if np.linalg.det(matrix @ lattice) < 0:
        matrix = -matrix
    return tuple(tuple(int(x) for x in row) for row in matrix)


def cells_of(prototype: Prototype, formula_units: Fraction) -> int:
    """Count the primitive cells that hold a number of formula units."""
    cells = formula_units / prototype.formula_units
    if cells.denominator != 1:
        raise OrderingError(
            f"{formula_units} formula units are {cells} primitive cells of "
            f"{prototype.name}: not a whole number"
        )
    return int(cells)


@lru_cache(maxsize=256)
def build_cell(prototype_name: str, supercell: IntMatrix) -> Cell:
    """Lay out the sites of a supercell, sublattice by sublattice."""
    parent = parent_sites(prototype_name)
    matrix = np.array(supercell)
    points = _lattice_points(supercell)
    to_supercell = np.linalg.inv(matrix)
    coordinates, names, labels = [], [], []
    for position, name, label in zip(
        parent.coordinates, parent.sublattices, parent.labels, strict=True
    ):
        inside = np.round((points + position) @ to_supercell, 10) % 1.0
        coordinates.append(inside)
        names += [name] * len(points)
        labels += [label] * len(points)
    return Cell(
        prototype_name,
        supercell,
        matrix @ parent.lattice,
        np.concatenate(coordinates),
        tuple(names),
        tuple(labels),
        {one: np.flatnonzero(np.array(names) == one) for one in dict.fromkeys(names)},
    )


def _lattice_points(supercell: IntMatrix) -> NDArray[np.int64]:
    """One primitive lattice point of each coset of the superlattice."""
    matrix = np.array(supercell)
    corners = np.array(list(product((0, 1), repeat=3))) @ matrix
    ranges = [
        np.arange(low, high + 1)
        for low, high in zip(corners.min(axis=0), corners.max(axis=0), strict=True)
    ]
    grid = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    # Membership in the half-open cell by exact integers, not by rounding.
    determinant = round(float(np.linalg.det(matrix)))
    adjugate = np.round(np.linalg.inv(matrix) * determinant).astype(int)
    scaled = grid @ adjugate * np.sign(determinant)
    inside = np.all((scaled >= 0) & (scaled < abs(determinant)), axis=1)
    return np.asarray(grid[inside])


@lru_cache(maxsize=256)
def site_permutations(prototype_name: str, supercell: IntMatrix) -> NDArray[np.intp]:
    """
    Permutations of a supercell's sites by the parent's symmetry.

    Every space-group operation of the parent lattice that maps the supercell's
    lattice onto itself, its translations included. Decorations that one of them
    carries into each other are the same structure. Row ``p`` sends site ``i`` to
    site ``p[i]``.

    Examples
    --------
    >>> site_permutations("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 1))).shape
    (1, 2)
    """
    cell = build_cell(prototype_name, supercell)
    basis = np.array(supercell) @ primitive_matrix(load_prototype(prototype_name))
    inverse = np.linalg.inv(basis)
    shifts = _lattice_points(supercell) @ np.linalg.inv(np.array(supercell))
    rotations, translations = symmetry_operations(load_prototype(prototype_name))
    moved = [cell.coordinates + shift for shift in shifts]
    seen: set[bytes] = set()
    for rotation, translation in zip(rotations, translations, strict=True):
        turn = basis @ rotation.T @ inverse
        if np.abs(turn - np.round(turn)).max() > _SAME_SITE:
            continue
        # Centring translations repeat each rotation; the shifts below hold them.
        key = np.round(rotation).astype(np.int8).tobytes()
        if key in seen:
            continue
        seen.add(key)
        moved.append(cell.coordinates @ np.round(turn) + translation @ inverse)
    places = wrapped(np.array([cell.coordinates, *moved]))
    distances, nearest = cKDTree(places[0], boxsize=np.ones(3)).query(places[1:])
    if np.max(distances) > _SAME_SITE:
        raise OrderingError("a symmetry operation does not map the sites on sites")
    shifted, turned = np.split(np.asarray(nearest), [len(shifts)])
    # First turned, then shifted: the product of two permutations.
    return np.unique(np.concatenate([shifted[:, turn] for turn in turned]), axis=0)

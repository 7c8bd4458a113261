"""Parent lattices in space: vectors, sites and symmetry of a prototype."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.symmetry.groups import SpaceGroup

from hts_battery.errors import OrderingError
from hts_battery.structures.neighbours import nearest_image
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.structures.prototypes import LatticeParameters, Prototype

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

    Parameters
    ----------
    prototype_name
        Name of a data file, see :func:`prototype_names`.

    Raises
    ------
    OrderingError
        If an orbit does not give the number of sites that the file states.

    Examples
    --------
    >>> parent_sites("rocksalt").sublattices
    ('cation', 'anion')
    """
    prototype = load_prototype(prototype_name)
    to_primitive = np.linalg.inv(primitive_matrix(prototype))
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
    lattice = primitive_matrix(prototype) @ conventional_vectors(prototype.lattice)
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

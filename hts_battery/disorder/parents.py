"""
Parent lattices by their sites: what percolates, and what is decorated.

Coordinates are those of the ideal lattice in its conventional cell; lengths are typical
of the chemistry and decide nothing here but the distances that a cell is written with.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError
from hts_battery.structures.cells import build_cell, primitive_matrix
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EDGE = 4.2  # angstrom; conventional rock salt cell with lithium and 3d metals
_NONE = np.empty((0, 3))
_R_CENTRES = ((0, 0, 0), (2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3))
_F_CENTRES = ((0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))


class ParentLattice(NamedTuple):
    """Sites of a conventional cell that a carrier may take, and the anions."""

    name: str
    lattice: NDArray[np.float64]
    """Vectors of the conventional cell in angstrom, one a row."""
    sites: NDArray[np.float64]
    """Fractional coordinates of the sites that a carrier may take."""
    own: NDArray[np.bool_]
    """Sites that the carrier fills first, in an ordered parent."""
    anions: NDArray[np.float64]
    """Fractional coordinates of the anions, none where only carriers are described."""

    @property
    def ordered(self) -> bool:
        """Whether the carrier has a sublattice of its own."""
        return bool(self.own.any())


def parent_names() -> tuple[str, ...]:
    """Name the parents that can be asked for."""
    return tuple(_PARENTS)


@lru_cache(maxsize=16)
def parent_lattice(name: str) -> ParentLattice:
    """
    Build a parent lattice.

    Parameters
    ----------
    name
        ``rocksalt``, ``layered`` (hexagonal, 6 cations), ``gamma_lifeo2`` (8),
        ``spinel_like`` (32; Li on 16c, M on 16d), ``nasicon`` (6 sites 6b and 18 sites
        18e), ``fcc`` or ``simple_cubic``.

    Raises
    ------
    OrderingError
        No such parent.

    Examples
    --------
    >>> [len(parent_lattice(name).sites) for name in parent_names()]
    [4, 6, 8, 32, 24, 4, 1]
    """
    if name not in _PARENTS:
        raise OrderingError(
            f"no parent lattice {name!r}; there are {', '.join(_PARENTS)}"
        )
    return _PARENTS[name](name)


def _rocksalt(name: str) -> ParentLattice:
    cations = np.array(_F_CENTRES)
    own = np.zeros(len(cations), dtype=bool)
    return ParentLattice(name, _EDGE * np.eye(3), cations, own, (cations + 0.5) % 1)


def _layered(name: str) -> ParentLattice:
    edge, height = _EDGE / np.sqrt(2), 2 * np.sqrt(3) * _EDGE
    lattice = np.array(
        [[edge, 0, 0], [-edge / 2, edge * np.sqrt(3) / 2, 0], [0, 0, height]]
    )
    carriers = np.array(_R_CENTRES)
    sites = np.vstack([carriers, (carriers + np.array([0, 0, 0.5])) % 1])
    own = np.arange(6) < 3  # noqa: PLR2004 - 3a before 3b
    return ParentLattice(
        name, lattice, sites, own, (sites + np.array([0, 0, 0.25])) % 1
    )


def _gamma_lifeo2(name: str) -> ParentLattice:
    lattice = _EDGE * np.diag([1.0, 1.0, 2.0])
    metals = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.5, 0.25], [0.5, 0, 0.75]])
    sites = np.vstack([(metals + np.array([0, 0, 0.5])) % 1, metals])
    own = np.arange(8) < 4  # noqa: PLR2004 - 4b before 4a
    return ParentLattice(
        name, lattice, sites, own, (sites + np.array([0.5, 0.5, 0.25])) % 1
    )


def _spinel_like(name: str) -> ParentLattice:
    lattice = 2 * _EDGE * np.eye(3)
    orbit = np.array(
        [[0, 0, 0], [0.75, 0.25, 0.5], [0.25, 0.5, 0.75], [0.5, 0.75, 0.25]]
    )
    carriers = np.vstack([(orbit + centre) % 1 for centre in _F_CENTRES])
    sites = np.vstack([carriers, (carriers + 0.5) % 1])
    own = np.arange(32) < 16  # noqa: PLR2004 - 16c before 16d
    return ParentLattice(name, lattice, sites, own, (sites + 0.25) % 1)


def _nasicon(name: str) -> ParentLattice:
    conventional = np.rint(np.linalg.inv(primitive_matrix(load_prototype(name))))
    rows = tuple(tuple(int(x) for x in row) for row in conventional)
    cell = build_cell(name, rows)
    sodium = cell.sites["alkali"]
    order = sorted(sodium, key=lambda site: cell.labels[site] != "6b")
    own = np.array([cell.labels[site] == "6b" for site in order])
    return ParentLattice(name, cell.lattice, cell.coordinates[order], own, _NONE)


def _fcc(name: str) -> ParentLattice:
    return _rocksalt(name)._replace(anions=_NONE)


def _simple_cubic(name: str) -> ParentLattice:
    return ParentLattice(
        name, _EDGE / 2 * np.eye(3), np.zeros((1, 3)), np.zeros(1, bool), _NONE
    )


_PARENTS = {
    "rocksalt": _rocksalt,
    "layered": _layered,
    "gamma_lifeo2": _gamma_lifeo2,
    "spinel_like": _spinel_like,
    "nasicon": _nasicon,
    "fcc": _fcc,
    "simple_cubic": _simple_cubic,
}

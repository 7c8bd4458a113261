"""Points of a lattice on a torus: a supercell of any shape, its points numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_AXES = 3


class Torus(NamedTuple):
    """Integer points with those that differ by a supercell vector taken as one."""

    matrix: NDArray[np.int64]
    """Supercell vectors in units of the lattice's, one a row."""
    triangle: NDArray[np.int64]
    """The same superlattice by an upper triangular basis, one vector a row."""

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(np.diag(self.triangle)))

    def points(self) -> NDArray[np.int64]:
        """Return every point once, in the order of their numbers, (points, 3)."""
        spans = [np.arange(n) for n in np.diag(self.triangle)]
        grid = np.meshgrid(*spans, indexing="ij")
        return np.stack([axis.ravel() for axis in grid], axis=1)

    def locate(
        self, points: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """
        Return the numbers of points, and the copy of the supercell they lie in.

        Parameters
        ----------
        points
            Integer points, (…, 3).

        Returns
        -------
        numbers, copies : ndarray
            (…,) and (…, 3), the latter relative to the copy of :meth:`points`.
        """
        left = np.array(points, dtype=np.int64)
        for axis in range(_AXES):
            copies = left[..., axis] // self.triangle[axis, axis]
            left -= copies[..., None] * self.triangle[axis]
        spans = np.diag(self.triangle)
        numbers = (left[..., 0] * spans[1] + left[..., 1]) * spans[2] + left[..., 2]
        moved = (np.asarray(points) - left) @ np.linalg.inv(self.matrix)
        return numbers, np.rint(moved).astype(np.int64)


def torus(matrix: ArrayLike) -> Torus:
    """
    Make a torus of supercell vectors, or of one or three numbers of cells.

    Examples
    --------
    >>> cell = torus([[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    >>> cell.size, cell.locate(np.array([[1, 1, 0], [1, 1, 1]]))[0].tolist()
    (2, [0, 1])
    >>> torus(2).size, torus((1, 2, 3)).size
    (8, 6)
    """
    rows = np.asarray(matrix, dtype=np.int64)
    if rows.ndim < 2:  # noqa: PLR2004 - one number, or one an axis
        rows = np.diag(np.broadcast_to(rows, _AXES))
    return Torus(rows, _triangular(rows))


def _triangular(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an upper triangular basis with a positive diagonal of a row lattice."""
    rows = [[int(x) for x in row] for row in matrix]
    for axis in range(_AXES):
        while any(row[axis] for row in rows[axis + 1 :]):
            rows[axis:] = sorted(
                rows[axis:], key=lambda row: (row[axis] == 0, abs(row[axis]))
            )
            pivot = rows[axis]
            for at in range(axis + 1, _AXES):
                times = rows[at][axis] // pivot[axis]
                rows[at] = [a - times * b for a, b in zip(rows[at], pivot, strict=True)]
        if rows[axis][axis] < 0:
            rows[axis] = [-x for x in rows[axis]]
        if rows[axis][axis] == 0:
            raise ValueError(f"supercell vectors {matrix.tolist()} span no volume")
    return np.array(rows, dtype=np.int64)

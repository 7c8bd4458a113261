"""Points of a lattice on a torus: a supercell of any shape, its points numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Cycles(NamedTuple):
    """
    The points of a torus as a product of three cycles.

    Point n is ``n @ points % orders``; a wave vector of the supercell with whole
    numbers m in its reciprocal vectors is ``waves @ m % orders``, and the phase of the
    two is the sum of their products over the orders.
    """

    orders: NDArray[np.int64]
    """Length of each cycle, each a divisor of the next or not, (3,)."""
    points: NDArray[np.int64]
    """Turns points into positions on the cycles, (3, 3)."""
    waves: NDArray[np.int64]
    """Turns wave vectors likewise, (3, 3)."""


def cycles(cell: Torus) -> Cycles:
    """
    Write a torus as a product of cycles, so that a Fourier transform is a fast one.

    Whole row and column operations make the supercell matrix H diagonal,
    :math:`L H R = D` with L and R of determinant one: ``points`` is R, ``waves`` L.

    Examples
    --------
    >>> cycles(torus([[1, 1, 0], [0, 1, 1], [1, 0, 1]])).orders.tolist()
    [1, 1, 2]
    """
    middle = [[int(x) for x in row] for row in cell.matrix]
    left, right = _identity(), _identity()
    for at in range(_AXES):
        while not _is_clear(middle, at):
            _smallest_first(middle, left, right, at)
            _clear(middle, left, right, at)
        if middle[at][at] < 0:
            left[at] = [-x for x in left[at]]
            middle[at] = [-x for x in middle[at]]
    orders = [middle[at][at] for at in range(_AXES)]
    return Cycles(np.array(orders), np.array(right), np.array(left))


def _identity() -> list[list[int]]:
    return [[int(i == j) for j in range(_AXES)] for i in range(_AXES)]


def _is_clear(middle: list[list[int]], at: int) -> bool:
    """Say whether nothing but the diagonal is left in a row and column."""
    rest = middle[at][at + 1 :] + [row[at] for row in middle[at + 1 :]]
    return middle[at][at] != 0 and not any(rest)


def _clear(
    middle: list[list[int]], left: list[list[int]], right: list[list[int]], at: int
) -> None:
    """Take the diagonal's row and column off the others, as often as it goes."""
    for other in range(at + 1, _AXES):
        times = middle[other][at] // middle[at][at]
        for rows in (middle, left):
            rows[other] = _less(rows[other], times, rows[at])
        times = middle[at][other] // middle[at][at]
        for rows in (middle, right):
            for line in rows:
                line[other] -= times * line[at]


def _less(row: list[int], times: int, other: list[int]) -> list[int]:
    return [a - times * b for a, b in zip(row, other, strict=True)]


def _smallest_first(
    middle: list[list[int]], left: list[list[int]], right: list[list[int]], at: int
) -> None:
    """Bring the smallest entry that is left to the diagonal, by exchanges."""
    places = [
        (abs(middle[row][column]), row, column)
        for row in range(at, _AXES)
        for column in range(at, _AXES)
        if middle[row][column]
    ]
    _, row, column = min(places)
    for rows in (middle, left):
        rows[at], rows[row] = rows[row], rows[at]
    for rows in (middle, right):
        for line in rows:
            line[at], line[column] = line[column], line[at]


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


def cells_of(size: int | Sequence[int]) -> tuple[int, int, int]:
    """
    Return the cells along each axis of a size given as one number or as three.

    Raises
    ------
    OrderingError
        It is neither, or below one.

    Examples
    --------
    >>> cells_of(4), cells_of((1, 2, 3))
    ((4, 4, 4), (1, 2, 3))
    """
    numbers = np.atleast_1d(np.asarray(size))
    whole = np.issubdtype(numbers.dtype, np.integer)
    if numbers.shape not in ((1,), (_AXES,)) or not whole:
        raise OrderingError(f"size {size!r}: one whole number of cells or three")
    if numbers.min() < 1:
        raise OrderingError(f"size {size!r}: at least one cell along each axis")
    a, b, c = (int(n) for n in np.broadcast_to(numbers, _AXES))
    return a, b, c


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

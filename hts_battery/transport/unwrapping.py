"""Ways of atoms through periodic images, in one cell and relative to a framework."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice

from hts_battery.errors import TrajectoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_CHUNKS = 8
_NEAR_HALF = 0.9  # of half the shortest lattice vector: the image is still the only one
_IMAGES = np.array(list(product((0, -1, 1), repeat=3)), dtype=float)
_DIMENSIONS = 3
_FEWEST_FRAMES = 2


@dataclass(frozen=True)
class Ways:
    """
    Displacements of the mobile ions, and what the framework did.

    Parameters
    ----------
    mobile
        Positions relative to the framework, frames x ions x 3, in Å, unwrapped.
    framework
        Likewise of the framework, without its drift.
    drift
        Length of the framework's mean displacement from first to last frame, in Å.
    volume
        Mean volume of the cell in Å³, or None.
    """

    mobile: Floats
    framework: Floats
    drift: float
    volume: float | None


def mobile_ways(
    positions: ArrayLike, lattices: ArrayLike | None, mobile: Sequence[int]
) -> Ways:
    """
    Unwrap a trajectory and take the mean motion of its framework out.

    Parameters
    ----------
    positions
        Cartesian, frames x atoms x 3, in Å.
    lattices
        One cell (3, 3), or one a frame (frames, 3, 3), vectors in rows, in Å; None:
        the positions are unwrapped already. Ways are drawn in the mean cell, so that a
        cell that breathes moves nobody.
    mobile
        Indices of the ions that move. All other atoms are the framework.

    Raises
    ------
    TrajectoryError
        Shapes that do not fit, numbers that are not finite, an atom that moves so
        far between two frames that its image is not certain.
    """
    places = _numbers("positions", positions)
    if places.ndim != _DIMENSIONS or places.shape[2] != _DIMENSIONS:
        raise TrajectoryError(
            f"positions of shape {places.shape}: frames x atoms x 3 are needed"
        )
    if len(places) < _FEWEST_FRAMES:
        raise TrajectoryError(
            f"{len(places)} frames: nothing moves between fewer than two"
        )
    if not np.isfinite(places).all():
        frame = int(np.argwhere(~np.isfinite(places))[0, 0])
        raise TrajectoryError(f"frame {frame}: a position is not a finite number")
    ions = _indices(mobile, places.shape[1])
    volume = None
    if lattices is not None:
        cells = _cells(_numbers("lattices", lattices), len(places))
        volume = float(np.abs(np.linalg.det(cells)).mean())
        places = _unwrapped(places, cells)
    still = np.ones(places.shape[1], dtype=bool)
    still[ions] = False
    moving, frame_atoms = places[:, ions], places[:, still]
    drift = 0.0
    if still.any():
        shift = frame_atoms.mean(axis=1, keepdims=True)
        shift -= shift[0].copy()
        moving -= shift
        frame_atoms -= shift
        drift = float(np.linalg.norm(shift[-1]))
    return Ways(moving, frame_atoms, drift, volume)


def _numbers(name: str, values: ArrayLike) -> Floats:
    """Read an array of numbers."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as err:
        raise TrajectoryError(f"{name}: not an array of numbers ({err})") from err


def _indices(mobile: Sequence[int], atoms: int) -> NDArray[np.int64]:
    """Check the indices of the mobile ions."""
    ions = np.asarray(mobile)
    if ions.ndim != 1 or not ions.size:
        raise TrajectoryError("no mobile ions: give their indices")
    if not np.issubdtype(ions.dtype, np.integer):
        raise TrajectoryError(
            f"mobile ions as {ions.dtype}: their indices are needed, counted from 0"
        )
    if ions.min() < 0 or ions.max() >= atoms or len(set(ions.tolist())) < len(ions):
        raise TrajectoryError(
            f"mobile ions {ions.min()} to {ions.max()}: each index once, of {atoms} "
            "atoms counted from 0"
        )
    return ions


def _cells(cells: Floats, frames: int) -> Floats:
    """Check the cells."""
    if cells.shape not in {(3, 3), (frames, 3, 3)}:
        raise TrajectoryError(
            f"lattices of shape {cells.shape}: (3, 3), or one for each of {frames} "
            "frames"
        )
    if not np.isfinite(cells).all():
        raise TrajectoryError("lattices: a number is not finite")
    if not np.all(np.abs(np.linalg.det(cells)) > 0):
        raise TrajectoryError("a cell has no volume")
    return cells


def _unwrapped(places: Floats, cells: Floats) -> Floats:
    """Follow each atom by its shortest step, in the mean cell."""
    mean = cells if cells.ndim == 2 else cells.mean(axis=0)  # noqa: PLR2004 - one cell
    # Rounding finds the nearest image of a short step only in a reduced cell.
    reduced = Lattice(mean).get_lll_reduced_lattice().matrix
    turn = np.rint(reduced @ np.linalg.inv(mean))
    basis = turn @ mean
    ways = places @ np.linalg.inv(turn @ cells)
    for atoms in np.array_split(np.arange(ways.shape[1]), _CHUNKS):
        if atoms.size:
            part = ways[:, atoms[0] : atoms[-1] + 1]
            part[1:] = part[0] + np.cumsum(_steps(part, basis, atoms[0]), axis=0)
    np.matmul(ways, basis, out=ways)
    return ways


def _steps(ways: Floats, basis: Floats, first: int) -> Floats:
    """Return the shortest fractional steps; refuse those that may be others."""
    steps = np.diff(ways, axis=0)
    steps -= np.rint(steps)
    heights = 1 / np.linalg.norm(np.linalg.inv(basis), axis=0)
    lengths = np.linalg.norm(_IMAGES[1:] @ basis, axis=1)
    longest = _NEAR_HALF * lengths.min() / 2
    safe = min(float(heights.min()) / 2, longest)
    doubtful = np.abs(steps).max(axis=2) > safe / np.linalg.norm(basis, axis=1).sum()
    if not doubtful.any():
        return steps
    images = steps[doubtful][:, None] + _IMAGES
    norms = np.linalg.norm(images @ basis, axis=2)
    best = norms.argmin(axis=1)
    rows = np.arange(len(best))
    if norms[rows, best].max() > longest:
        frame, atom = np.argwhere(doubtful)[norms[rows, best].argmax()]
        raise TrajectoryError(
            f"frame {frame + 1}, atom {atom + first}: it moved "
            f"{norms.min(axis=1).max():.2f} Å, about half of the cell "
            f"({lengths.min() / 2:.2f} Å), so its image is not certain: write frames "
            "more often"
        )
    steps[doubtful] = images[rows, best]
    return steps

"""Where ions are: sites they take, jumps between them, and a density of places."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.transport import SiteKind, SiteOccupation
from hts_battery.structures.neighbours import (
    minimum_image_vectors,
    neighbour_pairs,
    points_within,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_BLOCKS = 10
_BOHR = 0.529177210903  # Å
_SHUFFLES = 20
_ROUNDING = 1e-6  # Å


class Jump(NamedTuple):
    """One ion leaves a site and arrives at another."""

    frame: int
    """Of the arrival."""
    ion: int
    start: int
    """Number of the site."""
    end: int


def site_visits(
    fractions: ArrayLike, lattice: ArrayLike, sites: ArrayLike, *, core_radius: float
) -> Integers:
    """
    Say at which site each ion is: the last one whose core it entered.

    Between cores an ion still belongs to the site that it came from, so that one that
    turns round half way has not jumped.

    Parameters
    ----------
    fractions
        Fractional coordinates relative to the framework, frames x ions x 3.
    lattice
        Cell, vectors in rows, in Å.
    sites
        Fractional coordinates of all sites of the cell, sites x 3.
    core_radius
        In Å, below half the distance of two sites.

    Returns
    -------
    ndarray
        Number of the site, frames x ions; -1 before an ion first was in a core.

    Examples
    --------
    >>> way = np.array([0.0, 0.2, 0.5, 0.3, 0.5])[:, None, None] * [1, 0, 0]
    >>> sites = [[0, 0, 0], [0.5, 0, 0]]
    >>> site_visits(way, 6 * np.eye(3), sites, core_radius=0.8)[:, 0].tolist()
    [0, 0, 1, 1, 1]
    """
    ways, cell = np.asarray(fractions, dtype=float), np.asarray(lattice, dtype=float)
    places = np.asarray(sites, dtype=float)
    _check_radius(places, cell, core_radius)
    frames, ions, _ = ways.shape
    found = np.full((frames, ions), -1, dtype=np.int64)
    for ion in range(ions):
        way = (ways[:, ion] % 1.0) @ cell
        inside, entered, _, _ = points_within(cell, way, places @ cell, core_radius)
        found[inside, ion] = entered
    last = np.where(found >= 0, np.arange(frames)[:, None], 0)
    return np.take_along_axis(found, np.maximum.accumulate(last, axis=0), axis=0)


def _check_radius(places: Floats, cell: Floats, radius: float) -> None:
    """Refuse cores that overlap."""
    if not 0 < radius < np.inf:
        raise TrajectoryError(f"core radius {radius:g} Å: above zero")
    lengths = neighbour_pairs(cell, places, 2 * radius).lengths
    if lengths.min(initial=np.inf) < 2 * radius - _ROUNDING:
        raise TrajectoryError(
            f"core radius {radius:g} Å: at most half of {lengths.min():.2f} Å, the "
            "distance of the two nearest sites"
        )


def jumps_between(visits: Integers) -> list[Jump]:
    """List the jumps in the order of their frames."""
    frames, ions = np.nonzero((visits[1:] != visits[:-1]) & (visits[:-1] >= 0))
    return [
        Jump(
            int(frame) + 1, int(ion), int(visits[frame, ion]),
            int(visits[frame + 1, ion]),
        )
        for frame, ion in zip(frames, ions, strict=True)
    ]  # fmt: skip


def site_occupation(  # noqa: PLR0913 - what a trajectory between sites is
    fractions: ArrayLike,
    lattice: ArrayLike,
    sites: ArrayLike,
    labels: Sequence[str],
    *,
    time_step: float,
    core_radius: float = 0.8,
    window: float = 200.0,
    distance: float = 4.5,
    seed: int = 0,
) -> SiteOccupation:
    """
    Count where ions are and between which sites they jump.

    Parameters
    ----------
    fractions, lattice, sites, core_radius
        As of :func:`site_visits`.
    labels
        Of each site.
    time_step
        Between frames, in fs.
    window, distance
        In fs and Å: two ions whose jumps are closer than both jumped in concert.
    seed
        Of the shuffled times with which concert by chance is estimated.

    Raises
    ------
    TrajectoryError
        Cores that overlap, or not one label for each site.
    """
    cell, places = np.asarray(lattice, dtype=float), np.asarray(sites, dtype=float)
    if len(labels) != len(places):
        raise TrajectoryError(f"{len(labels)} labels for {len(places)} sites")
    visits = site_visits(fractions, cell, places, core_radius=core_radius)
    jumps = jumps_between(visits)
    names = np.array(labels)
    matrix: Counter[tuple[str, str]] = Counter(
        (names[one.start], names[one.end]) for one in jumps
    )
    kinds = sorted(set(labels))
    concert = _Concert(jumps, places, cell, window / time_step, distance)
    random = np.random.default_rng(seed)
    return SiteOccupation(
        kinds=tuple(
            _kind(name, visits, names == name, jumps, time_step) for name in kinds
        ),
        jumps={one: {other: matrix[one, other] for other in kinds} for one in kinds},
        concerted_share=concert.share(),
        concerted_by_chance=concert.by_chance(len(visits), random),
        window=window,
        distance=distance,
        core_radius=core_radius,
        unassigned=float((visits < 0).mean()),
    )


def _kind(
    name: str,
    visits: Integers,
    chosen: NDArray[np.bool_],
    jumps: list[Jump],
    time_step: float,
) -> SiteKind:
    """Describe the sites of one label."""
    there = (chosen[visits] & (visits >= 0)).sum(axis=1)
    shares = there / chosen.sum()
    blocks = np.array(
        [part.mean() for part in np.array_split(shares, min(_BLOCKS, len(shares)))]
    )
    departures = sum(bool(chosen[one.start]) for one in jumps)
    time = float(there.sum()) * time_step
    return SiteKind(
        label=name,
        sites=int(chosen.sum()),
        occupancy=float(shares.mean()),
        occupancy_error=float(blocks.std(ddof=1) / np.sqrt(len(blocks))),
        residence_time=time / departures if departures else None,
        departures=departures,
    )


class _Concert:
    """Jumps that go together in time and space."""

    def __init__(
        self,
        jumps: list[Jump],
        places: Floats,
        cell: Floats,
        window: float,
        distance: float,
    ) -> None:
        table = np.array(jumps, dtype=np.int64).reshape(-1, len(Jump._fields))
        self.frames, self.ions, starts, ends = table.T
        self.cell, self.window, self.distance = cell, window, distance
        steps = minimum_image_vectors(cell, places[starts], places[ends])
        self.middles = places[starts] + steps @ np.linalg.inv(cell) / 2

    def share(self, frames: Integers | None = None) -> float | None:
        """Return the share of jumps in concert, at their own or at other times."""
        times = self.frames if frames is None else frames
        if not len(times):
            return None
        order = np.argsort(times, kind="stable")
        times, ions, middles = times[order], self.ions[order], self.middles[order]
        concerted = np.zeros(len(times), dtype=bool)
        for apart in range(1, len(times)):
            one = np.flatnonzero(times[apart:] - times[:-apart] <= self.window)
            if not one.size:
                break
            one = one[ions[one] != ions[one + apart]]
            away = minimum_image_vectors(self.cell, middles[one], middles[one + apart])
            near = one[np.linalg.norm(away, axis=1) <= self.distance]
            concerted[near] = concerted[near + apart] = True
        return float(concerted.mean())

    def by_chance(self, frames: int, random: np.random.Generator) -> float | None:
        """Shift the jumps of each ion in time, as a whole, and count again."""
        if not len(self.frames):
            return None
        shares = []
        for _ in range(_SHUFFLES):
            shift = random.integers(frames, size=self.ions.max() + 1)
            shares.append(self.share((self.frames + shift[self.ions]) % frames))
        return float(np.mean([one for one in shares if one is not None]))


def place_density(
    fractions: ArrayLike, lattice: ArrayLike, *, spacing: float = 0.2
) -> Floats:
    """
    Count how often ions are where, on a grid over the cell.

    Parameters
    ----------
    fractions
        Fractional coordinates, frames x ions x 3.
    lattice
        Cell, vectors in rows, in Å.
    spacing
        Of the grid, in Å.

    Returns
    -------
    ndarray
        Ions in a volume, Å⁻³; its mean times the volume is the number of ions.

    Examples
    --------
    >>> density = place_density(np.zeros((5, 2, 3)), 4 * np.eye(3), spacing=1.0)
    >>> density.shape, round(float(density.mean() * 64), 6)
    ((4, 4, 4), 2.0)
    """
    ways, cell = np.asarray(fractions, dtype=float), np.asarray(lattice, dtype=float)
    points = np.maximum(np.rint(np.linalg.norm(cell, axis=1) / spacing), 1).astype(int)
    wrapped = ways.reshape(-1, 3) % 1.0
    cells = np.minimum((wrapped * points).astype(int), points - 1)
    flat = np.ravel_multi_index(tuple(cells.T), tuple(points.tolist()))
    counts = np.bincount(flat, minlength=int(points.prod())).reshape(points)
    volume = float(abs(np.linalg.det(cell))) / points.prod()
    return np.asarray(counts / (len(ways) * volume), dtype=float)


def write_cube(path: Path, density: Floats, lattice: ArrayLike, title: str) -> None:
    """
    Write a density as a Gaussian cube file, values in Å⁻³ at the middles of voxels.

    Parameters
    ----------
    path
        File.
    density
        In Å⁻³.
    lattice
        Cell, vectors in rows, in Å; lengths of the file are in bohr.
    title
        First line.
    """
    cell = np.asarray(lattice, dtype=float) / _BOHR
    steps = cell / np.array(density.shape)[:, None]
    origin = steps.sum(axis=0) / 2
    rows = [(0, *origin)]
    rows += [(points, *step) for points, step in zip(density.shape, steps, strict=True)]
    head = [f"{number:5d} {x:.6f} {y:.6f} {z:.6f}" for number, x, y, z in rows]
    values = (
        " ".join(f"{value:.5e}" for value in row)
        for row in density.reshape(-1, density.shape[2])
    )
    lines = (title, "ions per cubic angstrom", *head, *values)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

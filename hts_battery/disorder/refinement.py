"""Refine a cell against a measured pair distribution function."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import least_squares

from hts_battery.disorder.cells import site_symbols
from hts_battery.disorder.scattering import distance_counts, gaussian_peaks
from hts_battery.disorder.scattering_powers import scattering_power
from hts_battery.errors import SpecError
from hts_battery.structures.neighbours import structure_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

PARAMETERS = ("scale", "cell", "displacement", "damping")
"""What is refined, in this order."""

_START_OF_DATA = "start data"
_STRETCH = 1.05  # the cell may grow or shrink by so much
_WIDEST = 0.2  # angstrom squared, of a displacement
_TAILS = 8.0


class MeasuredDistribution(NamedTuple):
    """A measured G(r)."""

    distances: NDArray[np.float64]
    """In angstrom."""
    values: NDArray[np.float64]
    """In 1/angstrom^2."""


class Refinement(NamedTuple):
    """A cell refined against a measured G(r)."""

    scale: float
    cell: float
    """Factor on the lengths of the cell."""
    displacement: float
    """U in angstrom squared."""
    damping: float
    """Q-damping in 1/angstrom: G is multiplied by exp(-(r Q)^2 / 2)."""
    standard_errors: tuple[float, float, float, float]
    """Of the four, where the residuals are taken as noise."""
    residual: float
    """R_w: root of the squared difference over the squared data."""
    distances: NDArray[np.float64]
    observed: NDArray[np.float64]
    calculated: NDArray[np.float64]


def read_gr(file: Path) -> MeasuredDistribution:
    """
    Read a pair distribution function from a ``.gr`` file.

    Two columns, r in angstrom and G in 1/angstrom^2; further ones are passed over. What
    stands before a line with ``start data``, and lines that begin with ``#``, is text.

    Raises
    ------
    SpecError
        A line that holds no two numbers, distances that do not grow, or no data.
    """
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    marks = [at for at, line in enumerate(lines) if _START_OF_DATA in line]
    first = marks[0] + 1 if marks else 0
    rows: list[tuple[float, float]] = []
    for number, line in enumerate(lines[first:], start=first + 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        try:
            distance, value, *_ = (float(part) for part in text.split())
        except ValueError:
            raise SpecError(
                f"{text[:40]!r} is not two numbers, r and G(r)",
                file=str(file),
                line=number,
            ) from None
        if rows and distance <= rows[-1][0]:
            raise SpecError(
                f"r = {distance:g} after {rows[-1][0]:g}: distances must grow",
                file=str(file),
                line=number,
            )
        rows.append((distance, value))
    if not rows:
        raise SpecError("no line with r and G(r)", file=str(file))
    table = np.array(rows)
    keep = table[:, 0] > 0
    return MeasuredDistribution(table[keep, 0], table[keep, 1])


def write_gr(
    file: Path,
    distances: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    title: str = "",
) -> None:
    """Write a pair distribution function as other programs of the field read it."""
    lines = [f"# {line}" for line in title.splitlines()]
    lines += ["#### start data", "#S 1", "#L r(A)  G(A^-2)"]
    lines += [f"{r:.6f} {g:.8g}" for r, g in zip(distances, values, strict=True)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def refine(
    structure: Structure,
    measured: MeasuredDistribution,
    *,
    radiation: str = "neutron",
    displacement: float = 0.005,
    damping: float = 0.01,
) -> Refinement:
    """
    Refine scale, cell, displacement and Q-damping by least squares.

    Parameters
    ----------
    structure
        The cell; its angles and coordinates stay, its lengths share one factor.
    measured
        The data, every point with the same weight.
    radiation
        ``neutron``, ``xray`` or ``electron``.
    displacement, damping
        To start from, in angstrom squared and 1/angstrom.

    Raises
    ------
    SpecError
        Fewer points than parameters.
    """
    r, observed = measured
    if len(r) <= len(PARAMETERS):
        raise SpecError(f"{len(r)} points: too few for {len(PARAMETERS)} parameters")
    at, weights = _weighted_distances(structure, float(r.max()), radiation)
    density = len(structure) / structure.volume

    def calculated(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        scale, cell, motion, damp = parameters
        peaks = gaussian_peaks(at * cell, weights, r, float(np.sqrt(2 * motion)))
        ground = 4 * np.pi * r * density / cell**3
        return np.asarray(scale * (peaks - ground) * np.exp(-((r * damp) ** 2) / 2))

    shape = calculated(np.array([1.0, 1.0, displacement, damping]))
    scale = float(shape @ observed / (shape @ shape))

    def difference(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        return calculated(parameters) - observed

    found = least_squares(
        difference,
        [scale, 1.0, displacement, damping],
        bounds=([-np.inf, 1 / _STRETCH, 1e-6, 0.0], [np.inf, _STRETCH, _WIDEST, 1.0]),
        x_scale=[abs(scale) + 1e-9, 1e-3, displacement, 0.01],
    )
    noise = 2 * found.cost / (len(r) - len(PARAMETERS))
    slopes = np.asarray(found.jac)
    errors = np.sqrt(np.diag(np.linalg.pinv(slopes.T @ slopes)) * noise)
    best = calculated(found.x)
    residual = float(np.sqrt(((best - observed) ** 2).sum() / (observed**2).sum()))
    a, b, c, d = (float(x) for x in found.x)
    e, f, g, h = (float(x) for x in errors)
    return Refinement(a, b, c, d, (e, f, g, h), residual, r, observed, best)


def _weighted_distances(
    structure: Structure, longest: float, radiation: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the distances of a cell with the weight of their pairs, for one atom."""
    names = site_symbols(structure)
    elements, kinds = np.unique(names, return_inverse=True)
    powers = np.array([float(scattering_power(e, radiation)) for e in elements])[kinds]
    reach = longest * _STRETCH + _TAILS * float(np.sqrt(2 * _WIDEST))
    pairs = structure_pairs(structure, reach)
    strength = powers[pairs.first] * powers[pairs.second]
    at, _ = distance_counts(pairs.lengths)
    place = np.searchsorted(at, pairs.lengths.round(5))
    weights = np.bincount(place, strength, len(at))
    return at, weights / (len(names) * powers.mean() ** 2)

"""Percolation: the threshold of a lattice, and what is accessible in a cell."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from hts_battery.disorder.clusters import KERNEL, fill, grouped
from hts_battery.disorder.networks import (
    TETRAHEDRAL,
    percolation_network,
    refuse_rule,
)
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.torus import cells_of, torus
from hts_battery.errors import OrderingError
from hts_battery.schemas.percolation import PercolationThreshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.clusters import Filling, Groups
    from hts_battery.disorder.networks import PercolationNetwork
    from hts_battery.disorder.torus import Torus
    from hts_battery.schemas.percolation import Criterion

UNIVERSAL_WRAPPING = 0.25780
"""
Probability that a cluster wraps one given axis of a periodic cube at the threshold:
Wang et al., 10.1103/PhysRevE.87.052107.
"""


_CUBIC = 0.1  # relative difference of lengths, and cosine, that still count as a cube
# Rows along 6b-18e-6b, six 6b long, in hexagonal cells: at right angles in the
# network they span 216 sites 6b.
_NASICON_ROWS = ((4, 2, 1), (-2, 2, 1), (-2, -4, 1))
_NASICON_CELLS = 36


class RandomFilling(NamedTuple):
    """A network and the random order in which its sites are filled."""

    groups: Groups
    network: PercolationNetwork

    @property
    def sites(self) -> int:
        """Sites that the count of filled ones runs over."""
        first = 0 if self.network.given else len(self.network.first)
        return first + len(self.network.others)

    def follow(self, random: np.random.Generator, *, until_all: bool) -> Filling:
        """Fill the network once."""
        first, others = self.network.first, self.network.others
        order = np.concatenate([random.permutation(first), random.permutation(others)])
        given = len(first) if self.network.given else 0
        return fill(self.groups, order, given, until_all=until_all)


class AccessibleCurve(NamedTuple):
    """What is accessible at every filling of a parent lattice, sample by sample."""

    accessible: NDArray[np.int64]
    """Carriers in wrapping clusters, (samples, fillings)."""
    first_wraps: NDArray[np.int64]
    """Filling at which each axis is first wrapped, (samples, 3)."""
    carriers: NDArray[np.int64]
    """Carriers of the cell at each filling, (fillings,)."""

    def at(self, filling: float) -> tuple[float, float, float]:
        """
        Return mean accessible share, its standard error, and how often a cell wraps.

        Parameters
        ----------
        filling
            Of the sites that are filled at random, between 0 and 1. Near the threshold
            the share is either nothing or much: the last number says how often.

        Raises
        ------
        OrderingError
            A filling that is none.
        """
        if not 0 <= filling <= 1:
            raise OrderingError(f"filling {filling:g}: between 0 and 1")
        step = round(filling * (len(self.carriers) - 1))
        shares = self.accessible[:, step] / max(1, self.carriers[step])
        error = float(_standard_error(shares))
        return float(shares.mean()), error, float((shares > 0).mean())


def percolation_threshold(
    parent: str,
    rule: str,
    *,
    size: int | Sequence[int],
    samples: int,
    seed: int = 0,
) -> PercolationThreshold:
    r"""
    Find the filling at which carriers percolate on a parent lattice.

    Sites are filled one by one in random order and clusters followed with their
    displacements. On a near-cubic cell that is filled at random the threshold is where
    the probability of wrapping one axis, of a filling p of each site,

    .. math:: R(p) = \langle P(\mathrm{Binomial}(N, p) \ge n_\mathrm{wrap}) \rangle,

    is 0.2578. Where carriers have a sublattice of their own, which they fill first, or
    the cell is not near-cubic, no universal value holds: the bracket from the first
    wrapping of any axis to that of all axes is given, and its middle.

    Parameters
    ----------
    parent
        A parent of :func:`~hts_battery.disorder.parents.parent_lattice`.
    rule
        One of :data:`~hts_battery.disorder.networks.RULES`.
    size
        Conventional cells along each axis: one number or three. With one number,
        ``nasicon`` takes the cell of about as many sites whose axes run along rows of
        6b and 18e, which the network makes a cube.
    samples
        Fillings to follow.
    seed
        Of their random numbers.

    Raises
    ------
    OrderingError
        Unknown parent or rule, a rule that the parent has no sites for, or a size or
        number of samples below one.

    Examples
    --------
    >>> found = percolation_threshold("fcc", "bond", size=6, samples=50)
    >>> found.criterion, abs(found.value - 0.1201635) < 0.01
    ('one axis', True)
    """
    lattice = parent_lattice(parent)
    refuse_rule(rule)
    cell = supercell_of(parent, size)
    _check_draws(samples, seed)
    network = percolation_network(lattice, rule, cell)
    filling = RandomFilling(grouped(network.network), network)
    random = np.random.default_rng(seed)
    wraps = np.array(
        [filling.follow(random, until_all=True).first_wraps for _ in range(samples)]
    )
    at_random = network.given or len(network.first) == 0 or not lattice.ordered
    cubic = _near_cubic(cell.matrix @ lattice.lattice) or (
        parent == "nasicon" and np.ndim(size) == 0
    )
    unit = 2.0 if rule in TETRAHEDRAL else 1.0
    ends = np.stack([wraps.min(axis=1), wraps.max(axis=1)], axis=1) / filling.sites
    bracket, errors = ends.mean(axis=0), _standard_error(ends)
    criterion: Criterion = "one axis" if at_random and cubic else "bracket"
    if criterion == "one axis":
        value, error = _crossing(wraps, filling.sites)
        caveat = "Carriers at random: no short-range order."
    else:
        value, error = float(bracket.mean()), float(_standard_error(ends.mean(axis=1)))
        caveat = (
            "The middle of a bracket that narrows with the size of the cell; "
            "carriers at random on each sublattice: no other short-range order."
        )
    return PercolationThreshold(
        parent=parent,
        rule=rule,
        unit="x of Li(x)M(2-x)O2" if rule in TETRAHEDRAL else "open fraction",
        value=unit * value,
        standard_error=unit * error,
        criterion=criterion,
        bracket=(unit * float(bracket[0]), unit * float(bracket[1])),
        bracket_errors=(unit * float(errors[0]), unit * float(errors[1])),
        sites=filling.sites,
        supercell=tuple((int(a), int(b), int(c)) for a, b, c in cell.matrix),
        samples=int(samples),
        seed=int(seed),
        kernel=KERNEL,
        caveat=caveat,
    )


def accessible_curve(
    parent: str,
    rule: str,
    *,
    size: int | Sequence[int],
    samples: int,
    seed: int = 0,
) -> AccessibleCurve:
    """
    Follow what is accessible while a parent lattice is filled at random.

    Every sample gives every filling, equal to what :func:`accessible_carriers` finds in
    a cell with the same carriers.

    Parameters
    ----------
    parent, rule, size, samples, seed
        As in :func:`percolation_threshold`.

    Examples
    --------
    >>> curve = accessible_curve("rocksalt", "0tm", size=8, samples=20)
    >>> share, error, wraps = curve.at(0.65)  # Li1.3: 0.841 in large cells
    >>> abs(share - 0.841) < 0.03, error < 0.02, wraps
    (True, True, 1.0)
    """
    _check_draws(samples, seed)
    network = percolation_network(
        parent_lattice(parent), rule, supercell_of(parent, size)
    )
    filling = RandomFilling(grouped(network.network), network)
    random = np.random.default_rng(seed)
    accessible, wraps = [], []
    for _ in range(samples):
        found = filling.follow(random, until_all=False)
        accessible.append(found.accessible)
        wraps.append(found.first_wraps)
    given = len(network.first) if network.given else 0
    return AccessibleCurve(
        np.array(accessible), np.array(wraps), given + np.arange(filling.sites + 1)
    )


def supercell_of(parent: str, size: int | Sequence[int]) -> Torus:
    """Supercell of so many conventional cells; nasicon by one number is a cube."""
    cells = cells_of(size)
    if parent == "nasicon" and np.ndim(size) == 0:
        times = max(1, round(cells[0] / _NASICON_CELLS ** (1 / 3)))
        return torus(times * np.array(_NASICON_ROWS))
    return torus(cells)


def _check_draws(samples: int, seed: int) -> None:
    """Refuse numbers of samples and seeds that are none."""
    if not isinstance(samples, Integral) or samples < 1:
        raise OrderingError(f"samples {samples!r}: a whole number, at least one")
    if not isinstance(seed, Integral) or seed < 0:
        raise OrderingError(f"seed {seed!r}: a whole number, at least zero")


def _near_cubic(lattice: NDArray[np.float64]) -> bool:
    """Whether three vectors are about as long as each other and at right angles."""
    lengths = np.linalg.norm(lattice, axis=1)
    unit = lattice / lengths[:, None]
    cosines = np.abs(unit @ unit.T - np.eye(3)).max()
    return bool(cosines < _CUBIC and np.ptp(lengths) < _CUBIC * lengths.mean())


def _crossing(wraps: NDArray[np.int64], sites: int) -> tuple[float, float]:
    """Return where one axis is wrapped with the universal probability, its error."""

    def probabilities(filling: float) -> NDArray[np.float64]:
        """Of wrapping an axis, by sample."""
        return np.asarray(binom.sf(wraps - 1, sites, filling).mean(axis=1))

    def excess(filling: float) -> float:
        return float(probabilities(filling).mean()) - UNIVERSAL_WRAPPING

    value = float(brentq(excess, 1e-9, 1 - 1e-9, xtol=1e-8))
    step = 1 / np.sqrt(sites) / 4
    slope = (excess(value + step) - excess(value - step)) / (2 * step)
    return value, float(_standard_error(probabilities(value))) / slope


def _standard_error(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the mean over the first axis; nothing is known of it from one value."""
    if len(values) == 1:
        return np.full(values.shape[1:], np.inf)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))

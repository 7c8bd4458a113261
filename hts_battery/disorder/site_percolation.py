"""Percolation of carriers through sites of different energy: from which energy on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.clusters import fill, grouped
from hts_battery.disorder.networks import percolation_network
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.percolation import UNIVERSAL_WRAPPING, supercell_of
from hts_battery.errors import OrderingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.clusters import Groups
    from hts_battery.disorder.parents import ParentLattice

_CURVE = 101  # energies at which the share of open sites is told
_CHOICES = 200  # of samples, for the error of a quantile


class SitePercolation(NamedTuple):
    """The energy up to which sites must be reached for carriers to wrap the crystal."""

    critical_energy: float
    """Where a cluster wraps one axis in 0.2578 of the cells, as of an infinite one."""
    standard_error: float
    """Of it over the samples, the levels being what they are, eV."""
    spectrum_error: float | None
    """Spread of it over orderings drawn with replacement, eV; None for one ordering."""
    energies: NDArray[np.float64]
    """Site energies of the curve, eV."""
    share: NDArray[np.float64]
    """Sites in the wrapping cluster, of all, where sites up to the energy are open."""
    samples: int
    sites: int
    seed: int


def site_percolation(  # noqa: PLR0913
    levels: Mapping[str, Sequence[Sequence[float]]],
    parent: str = "nasicon",
    rule: str = "nasicon",
    *,
    size: int | Sequence[int] = 10,
    samples: int = 40,
    bootstrap: int = 20,
    seed: int = 0,
) -> SitePercolation:
    """
    Open the sites of a lattice in the order of their energies until a cluster wraps.

    Every site gets an energy drawn from the spectrum of its label; where all below an
    energy are open, carriers reach what is joined. For levels of normal distribution
    above a full sublattice the critical energy is mean plus standard deviation times
    the quantile of the threshold.

    Parameters
    ----------
    levels
        Label (``6b``, ``18e`` of NASICON; ``site`` of another parent) → energies in eV
        of each ordering that was computed, one sequence an ordering.
    parent, rule
        As of :func:`~hts_battery.disorder.percolation.percolation_threshold`.
    size
        Conventional cells along each axis.
    samples
        Drawings of the energies.
    bootstrap
        Choices of orderings with replacement, for the error of the spectrum.
    seed
        Of the random numbers.

    Raises
    ------
    OrderingError
        Labels that the parent has not, or no energies.
    """
    lattice = parent_lattice(parent)
    cell = supercell_of(parent, size)
    labels = _labels(lattice, cell.size)
    wanted = sorted(set(labels.tolist()))
    pools = [_pools(levels)]
    if sorted(pools[0]) != wanted:
        raise OrderingError(
            f"{parent}: energies of the sites {', '.join(wanted)} are needed, given "
            f"are those of {', '.join(sorted(pools[0])) or 'none'}"
        )
    random = np.random.default_rng(seed)
    groups = grouped(percolation_network(lattice, rule, cell).network)
    orderings = min(len(several) for several in levels.values())
    if orderings > 1:
        draws = random.integers(orderings, size=(bootstrap, orderings))
        pools += [_pools(levels, chosen) for chosen in draws]
    low = min(float(pool.min()) for pool in pools[0].values())
    high = max(float(pool.max()) for pool in pools[0].values())
    grid = np.linspace(low, high, _CURVE)
    opened = [_opened(pools[0], labels, groups, grid, random) for _ in range(samples)]
    wraps = np.array([one.wraps for one in opened])
    middle, error = _critical(wraps, random)
    others = [
        _critical(
            np.array(
                [
                    _opened(pool, labels, groups, grid[:1], random).wraps
                    for _ in range(max(4, samples // 4))
                ]
            ),
            random,
        )[0]
        for pool in pools[1:]
    ]
    return SitePercolation(
        middle,
        error,
        float(np.std(others, ddof=1)) if len(others) > 1 else None,
        grid,
        np.mean([one.share for one in opened], axis=0),
        samples,
        len(labels),
        seed,
    )


class _Opened(NamedTuple):
    """What one drawing of the energies gave."""

    wraps: NDArray[np.float64]
    """Energy at which a cluster first wraps each axis, (3,)."""
    share: NDArray[np.float64]
    """Sites in a wrapping cluster at each energy of the curve, of all."""


def _labels(lattice: ParentLattice, cells: int) -> NDArray[np.str_]:
    """Name every site of a supercell."""
    if lattice.name != "nasicon":
        return np.full(cells * len(lattice.sites), "site")
    return np.tile(np.where(lattice.own, "6b", "18e"), cells)


def _pools(
    levels: Mapping[str, Sequence[Sequence[float]]],
    chosen: NDArray[np.int64] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Put the energies of all orderings, or of chosen ones, together by label."""
    found = {}
    for name, several in levels.items():
        picked = several if chosen is None else [several[at] for at in chosen]
        values = np.concatenate([np.asarray(one, dtype=float) for one in picked])
        if len(values):
            found[name] = values
    return found


def _opened(
    pools: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.str_],
    groups: Groups,
    grid: NDArray[np.float64],
    random: np.random.Generator,
) -> _Opened:
    """Draw an energy for each site and open the sites, the lowest first."""
    energies = np.empty(len(labels))
    for name, pool in pools.items():
        mine = labels == name
        energies[mine] = random.choice(pool, size=int(mine.sum()))
    # Equal energies are opened in any order.
    order = np.lexsort((random.random(len(labels)), energies))
    filling = fill(groups, order)
    rising = energies[order]
    counts = np.searchsorted(rising, grid, side="right")
    return _Opened(
        rising[np.maximum(filling.first_wraps, 1) - 1],
        filling.accessible[counts] / len(labels),
    )


def _critical(
    wraps: NDArray[np.float64], random: np.random.Generator
) -> tuple[float, float]:
    """Return the energy at which one axis wraps with the universal probability."""
    middle = float(np.quantile(wraps, UNIVERSAL_WRAPPING))
    again = [
        np.quantile(
            wraps[random.integers(len(wraps), size=len(wraps))], UNIVERSAL_WRAPPING
        )
        for _ in range(_CHOICES)
    ]
    return middle, float(np.std(again))

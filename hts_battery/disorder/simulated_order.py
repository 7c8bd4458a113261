"""Cells with a wanted short-range order, and what percolates in them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.disorder.accessible import carriers_on
from hts_battery.disorder.cells import element_of, lattice_cell, whole_numbers
from hts_battery.disorder.clusters import KERNEL, clusters, grouped
from hts_battery.disorder.lattice_model import LatticeModel
from hts_battery.disorder.monte_carlo import Walk
from hts_battery.disorder.networks import TETRAHEDRAL, percolation_network
from hts_battery.disorder.order_parameters import PairValues, pair_parameters
from hts_battery.disorder.parents import parent_lattice
from hts_battery.disorder.torus import torus
from hts_battery.errors import OrderingError
from hts_battery.schemas.percolation import SimulatedOrder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hts_battery.disorder.clusters import Groups, SiteNetwork
    from hts_battery.disorder.lattice_model import LatticeState

    Energies = Mapping[tuple[str, str], Sequence[float]]

DEFAULT_SIZE = 12
"""Conventional cells along each axis: 6,912 cations."""
DEFAULT_CELLS = 10
ATTEMPTS = 300
"""
Swaps tried for each site of a mixed sublattice before a cell is taken; cells with much
fluorine go on separating after that: decision 53.
"""
FLUORINE_REPULSION = {("M", "F"): (2.5,)}
"""E/kT of metals beside fluorine where nothing else is known: decision 53."""

_STANDS_FOR = {"Li": "Li", "M": "Mn", "O": "O", "F": "F"}
_MANY = {"cation": {"Li": 0.5, "Mn": 0.5}, "anion": {"O": 0.5, "F": 0.5}}
_SHELLS = 4
_OCTAHEDRON = 6
_CAVEAT = (
    "Pair energies that are given, not measured, one kind of metal M, no barriers: "
    "what such an order would do, not what a synthesis makes."
)


class _Lattice(NamedTuple):
    """A cell that takes any composition, with its neighbours and tetrahedra."""

    state: LatticeState
    network: SiteNetwork
    groups: Groups
    species: dict[str, int]
    """Number of Li, M, O and F in the state."""


class _Cell(NamedTuple):
    """What one simulated cell has."""

    accessible: float
    tetrahedra: float
    alpha: PairValues


def simulated_order(  # noqa: PLR0913
    lithium: float,
    fluorine: float = 0.0,
    *,
    energies: Energies,
    size: int = DEFAULT_SIZE,
    cells: int = DEFAULT_CELLS,
    attempts: int = ATTEMPTS,
    seed: int = 0,
    rule: str = "0tm",
) -> SimulatedOrder:
    r"""
    Make cells of Li(x)M(2-x)O(2-y)F(y) with a wanted short-range order; count them.

    Rock salt cells are decorated at random and then sampled by canonical swaps on both
    sublattices with the energy

    .. math:: E / kT = \sum_s J_s n_s

    over the :math:`n_s` unlike pairs of shell s: J < 0 favours unlike neighbours.

    Parameters
    ----------
    lithium, fluorine
        x and y: carriers and F in two cations and two anions.
    energies
        Pair of ``Li``, ``M``, ``O`` or ``F`` → J of shells 1, 2, … of the pair's two
        sublattices, in kT. Li is whatever carrier moves, M every other cation.
    size
        Conventional cells along each axis.
    cells
        Independent cells; errors are those of their mean.
    attempts
        Swaps tried for each site of a mixed sublattice.
    seed
        Of the random numbers; cell k takes ``(seed, k)``.
    rule
        ``0tm`` or ``1tm``.

    Raises
    ------
    OrderingError
        Amounts that two cations or two anions have no room for, an unknown rule or
        species, or fewer than two cells, attempts below one.

    Examples
    --------
    >>> found = simulated_order(1.2, energies={("Li", "M"): [-0.3]}, size=8, cells=2)
    >>> found.alpha["Li-M"][0] < -0.05, found.accessible
    (True, 0.0)
    """
    _check(lithium, fluorine, rule, cells, attempts)
    numbers = {
        "cation": {"Li": lithium / 2, "M": 1 - lithium / 2},
        "anion": {"O": 1 - fluorine / 2, "F": fluorine / 2},
    }
    fixed = tuple(
        sorted((pair, tuple(map(float, values))) for pair, values in energies.items())
    )
    lattice = _lattice(size, fixed, rule)
    made = [
        _cell(lattice, numbers, attempts, np.random.default_rng([seed, number]))
        for number in range(cells)
    ]
    shares = np.array([one.accessible for one in made])
    full = np.array([one.tetrahedra for one in made])
    alpha = {
        pair: np.array([one.alpha[pair] for one in made]) for pair in made[0].alpha
    }
    around = [
        _OCTAHEDRON * lithium / 2 * (1 - a[0]) for a in alpha.get(("Li", "F"), ())
    ]
    return SimulatedOrder(
        lithium=lithium,
        fluorine=fluorine,
        rule=rule,
        energies={"-".join(pair): values for pair, values in fixed},
        accessible=float(shares.mean()),
        accessible_error=_error(shares),
        wrap_probability=float((shares > 0).mean()),
        li4=float(full.mean()),
        li4_error=_error(full),
        li4_random=(lithium / 2) ** 4,
        alpha={"-".join(p): tuple(a.mean(axis=0).tolist()) for p, a in alpha.items()},
        alpha_errors={"-".join(p): tuple(map(_error, a.T)) for p, a in alpha.items()},
        li_around_f=float(np.mean(around)) if around else None,
        sites=lattice.state.tables.cations,
        cells=cells,
        attempts=attempts,
        seed=seed,
        kernel=KERNEL,
        caveat=_CAVEAT,
    )


def read_pair_energies(
    texts: Iterable[str],
) -> dict[tuple[str, str], tuple[float, ...]]:
    """
    Read pair energies as people type them.

    Parameters
    ----------
    texts
        Each ``A-B:J1,J2,…`` in kT, of ``Li``, ``M``, ``O`` and ``F``.

    Raises
    ------
    OrderingError
        Another form.

    Examples
    --------
    >>> read_pair_energies(["Li-M:-0.1", "M-F:2.5,0.2"])
    {('Li', 'M'): (-0.1,), ('M', 'F'): (2.5, 0.2)}
    """
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    for text in texts:
        pair, _, numbers = text.partition(":")
        first, _, second = pair.partition("-")
        try:
            values = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            values = ()
        if not (first and second and values and np.isfinite(values).all()):
            raise OrderingError(
                f"pair energy {text!r}: write it as Li-M:-0.1,0.05, in kT for shells "
                "1, 2, …"
            )
        if (first, second) in found or (second, first) in found:
            raise OrderingError(f"pair {first}-{second} is given twice")
        found[first, second] = values
    return found


def _check(
    lithium: float, fluorine: float, rule: str, cells: int, attempts: int
) -> None:
    """Refuse what cannot be simulated."""
    room = 2.0
    if not (0 <= lithium <= room and 0 <= fluorine <= room):
        raise OrderingError(
            f"Li {lithium:g} and F {fluorine:g} in two cations and two anions: each "
            "between 0 and 2"
        )
    if rule not in TETRAHEDRAL:
        raise OrderingError(
            f"no rule {rule!r} of tetrahedra; there are {', '.join(TETRAHEDRAL)}"
        )
    if cells < 2 or attempts < 1:  # noqa: PLR2004 - one cell has no spread
        raise OrderingError(
            f"{cells} cells, {attempts} attempts: two cells and one attempt at least"
        )


@lru_cache(maxsize=8)
def _lattice(
    size: int,
    energies: tuple[tuple[tuple[str, str], tuple[float, ...]], ...],
    rule: str,
) -> _Lattice:
    """Set up a lattice once for all compositions."""
    pairs = {}
    for pair, values in energies:
        unknown = [name for name in pair if name not in _STANDS_FOR]
        if unknown:
            raise OrderingError(
                f"pair {'-'.join(pair)}: no {' nor '.join(unknown)} in a simulated "
                f"cell; there are {', '.join(_STANDS_FOR)} (M: every other cation)"
            )
        pairs[_STANDS_FOR[pair[0]], _STANDS_FOR[pair[1]]] = values
    state = LatticeModel.from_pairs("rocksalt", pairs).state(
        lattice_cell("rocksalt", _MANY, size)
    )
    network = percolation_network(parent_lattice("rocksalt"), rule, torus(size)).network
    elements = [element_of(name) for name in state.names]
    species = {name: elements.index(held) for name, held in _STANDS_FOR.items()}
    return _Lattice(state, network, grouped(network), species)


def _cell(
    lattice: _Lattice,
    composition: Mapping[str, Mapping[str, float]],
    attempts: int,
    random: np.random.Generator,
) -> _Cell:
    """Decorate, sample and count one cell."""
    state = lattice.state
    cations = state.tables.cations
    species = np.concatenate(
        [
            random.permutation(
                np.repeat(
                    [lattice.species[name] for name in shares],
                    list(whole_numbers(shares, cations).values()),
                )
            )
            for shares in composition.values()
        ]
    )
    walk = Walk(state._replace(species=species.astype(np.int64)), 1.0, random)
    for _ in range(attempts):
        walk.sweep()
    occupied = np.empty(cations, dtype=bool)
    occupied[state.sites.cations] = walk.species[:cations] == lattice.species["Li"]
    found = clusters(lattice.groups, occupied)
    wrapping = found.wraps[found.roots[occupied]] > 0
    names = np.empty(len(lattice.species), dtype="<U2")
    for name, number in lattice.species.items():
        names[number] = name
    texts = names[walk.species]
    alpha = pair_parameters(
        state.sites.torus, state.kind, texts[:cations], texts[cations:], _SHELLS
    )
    return _Cell(
        float(wrapping.mean()) if len(wrapping) else 0.0,
        carriers_on(lattice.network, occupied)[4],
        alpha,
    )


def _error(values: NDArray[np.float64]) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))

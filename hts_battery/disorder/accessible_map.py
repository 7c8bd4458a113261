"""Accessible carriers over lithium and fluorine, and over order: random, simulated."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.disorder.random_limit import (
    DEFAULT_CATIONS,
    DEFAULT_SAMPLES,
    carrier_filling,
    random_limit,
)
from hts_battery.disorder.simulated_order import ATTEMPTS, DEFAULT_SIZE, simulated_order
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import display_formula

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.disorder.simulated_order import Energies
    from hts_battery.schemas.percolation import RandomLimit, SimulatedOrder

SCANNED = (-0.4, -0.3, -0.2, -0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.2)
"""E/kT of Li-M pairs of one shell that a scan goes through."""

_SHELLS = 2
_ROOM = 2  # cations, and anions, of a formula unit
_CATION = "Mn"  # stands for every cation that does not move


class MapPoint(NamedTuple):
    """One composition with carriers at random, and with simulated order."""

    random: RandomLimit
    simulated: SimulatedOrder


class Effort(NamedTuple):
    """How large and how many the simulated cells are."""

    size: int = DEFAULT_SIZE
    cells: int = 3
    attempts: int = ATTEMPTS
    seed: int = 0


def accessible_map(
    lithium: Sequence[float],
    fluorine: Sequence[float],
    energies: Energies,
    effort: Effort | None = None,
) -> list[MapPoint]:
    """
    Say what is accessible over a grid of Li(x)M(2-x)O(2-y)F(y).

    Parameters
    ----------
    lithium, fluorine
        The x and y of the grid.
    energies
        Pair energies of the simulated cells in kT, as in
        :func:`~hts_battery.disorder.simulated_order.simulated_order`.
    effort
        Size and number of the simulated cells; the random limit has its usual ones.

    Returns
    -------
    list of MapPoint
        By fluorine, then by lithium.

    Raises
    ------
    OrderingError
        Amounts that there is no room for, an empty grid.
    """
    asked = effort or Effort()
    if not (lithium and fluorine):
        raise OrderingError("a map needs amounts of Li and of F")
    simulated = [_simulated(x, y, energies, asked) for y in fluorine for x in lithium]
    return [
        MapPoint(_random(one.lithium, one.fluorine, asked.seed), one)
        for one in simulated
    ]


def order_scan(
    lithium: float,
    fluorine: float,
    energies: Energies,
    effort: Effort | None = None,
    *,
    values: Sequence[float] = SCANNED,
) -> list[list[SimulatedOrder]]:
    """
    Say what is accessible over the order of Li and M, shell by shell.

    Parameters
    ----------
    lithium, fluorine
        Of Li(x)M(2-x)O(2-y)F(y).
    energies
        Pair energies in kT that stay; those of Li and M are scanned.
    effort
        Size and number of the cells.
    values
        E/kT of the unlike Li-M pairs of one shell, the other shells at zero.

    Returns
    -------
    list of list of SimulatedOrder
        For the first and the second shell, one for each value.
    """
    asked = effort or Effort()
    kept = {pair: held for pair, held in energies.items() if {*pair} != {"Li", "M"}}
    return [
        [
            _simulated(
                lithium,
                fluorine,
                kept | {("Li", "M"): [0.0] * shell + [value]},
                asked,
            )
            for value in values
        ]
        for shell in range(_SHELLS)
    ]


def two_by_two(
    amounts: Mapping[str, Fraction], carrier: str | None = None
) -> tuple[float, float]:
    """
    Return the carriers in two cations of a formula, and the fluorine in two anions.

    Raises
    ------
    OrderingError
        Not as many cations as anions.

    Examples
    --------
    >>> from hts_battery.schemas.formula import parse_formula
    >>> two_by_two(parse_formula("Li12Mn4Ti4O18F2"))
    (1.2, 0.2)
    """
    held = carrier_filling(amounts, "rocksalt", carrier)
    cations = sum(amounts.values(), Fraction(0)) - held.sites
    if cations != held.sites:
        raise OrderingError(
            f"{display_formula(amounts)}: {float(cations):g} cations for "
            f"{float(held.sites):g} sites; order is simulated without vacancies"
        )
    fluorine = amounts.get("F", Fraction(0))
    return float(_ROOM * held.amount / held.sites), float(_ROOM * fluorine / held.sites)


def map_rows(points: Iterable[MapPoint]) -> list[dict[str, float]]:
    """List a map as rows of numbers, for tables and files."""
    return [
        {
            "lithium": point.simulated.lithium,
            "fluorine": point.simulated.fluorine,
            "random": point.random.accessible,
            "random_error": point.random.accessible_error,
            "simulated": point.simulated.accessible,
            "simulated_error": point.simulated.accessible_error,
            "wrap_probability": point.simulated.wrap_probability,
            "li4": point.simulated.li4,
        }
        for point in points
    ]


def _random(lithium: float, fluorine: float, seed: int) -> RandomLimit:
    """Return the random limit; fluorine only changes the formula."""
    amounts = {
        "Li": Fraction(str(lithium)),
        _CATION: _ROOM - Fraction(str(lithium)),
        "O": _ROOM - Fraction(str(fluorine)),
        "F": Fraction(str(fluorine)),
    }
    return random_limit(
        {element: amount for element, amount in amounts.items() if amount},
        parent="rocksalt",
        carrier="Li",
        cations=DEFAULT_CATIONS,
        samples=DEFAULT_SAMPLES,
        seed=seed,
    )


def _simulated(
    lithium: float, fluorine: float, energies: Energies, effort: Effort
) -> SimulatedOrder:
    return simulated_order(
        lithium,
        fluorine,
        energies=energies,
        size=effort.size,
        cells=effort.cells,
        attempts=effort.attempts,
        seed=effort.seed,
    )

"""What percolates where metals keep away from fluorine, as properties."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.disorder.accessible_map import two_by_two
from hts_battery.disorder.random_limit import random_limit
from hts_battery.disorder.simulated_order import FLUORINE_REPULSION, simulated_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.percolation import RandomLimit, SimulatedOrder

_FAMILY = "hedrx"
_SIZE, _CELLS = 10, 4  # 4,000 cations, the fewest that speak for a material
_ASSUMED = "assumed, for every candidate alike: metals and F repel by 2.5 kT a pair"


class SimulatedOrderBuilder(PropertyBuilder):
    """
    Simulate short-range order of each composition by one assumed pair energy.

    Candidates with the same carriers and fluorine share their cells. Without fluorine
    the assumption says nothing, and the numbers are those of carriers at random.
    """

    name = "simulated_order"
    names = (
        "accessible_li_simulated",
        "li4_fraction_simulated",
        "alpha_LiM_1_simulated",
        "alpha_LiM_2_simulated",
        "alpha_LiF_1_simulated",
    )
    reads = ()
    code_version = "1"
    requires = ("numba",)
    extra = "disorder"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield what is accessible in simulated cells, and the order that they have."""
        family = found.candidate.family
        if family != _FAMILY:
            reason = f"order is simulated on disordered rock salt, not for {family}"
            yield from (Value(name, reason=reason) for name in self.names)
            return
        amounts = found.candidate.amounts
        lithium, fluorine = two_by_two(amounts)
        if fluorine:
            yield from _of_cells(_simulated(lithium, fluorine))
        else:
            limit = random_limit(amounts, parent="rocksalt")
            yield from _of_random(limit, self.names)


@lru_cache(maxsize=256)
def _simulated(lithium: float, fluorine: float) -> SimulatedOrder:
    """Simulate a composition once for all candidates that have it."""
    return simulated_order(
        lithium, fluorine, energies=FLUORINE_REPULSION, size=_SIZE, cells=_CELLS
    )


def _of_cells(found: SimulatedOrder) -> Iterator[Value]:
    """Write down what simulated cells have."""
    mixed = found.alpha.get("Li-M", ())
    numbers = {
        "accessible_li_simulated": (found.accessible, found.accessible_error),
        "li4_fraction_simulated": (found.li4, found.li4_error),
    }
    for shell in (1, 2) if mixed else ():
        at = shell - 1
        errors = found.alpha_errors["Li-M"]
        numbers[f"alpha_LiM_{shell}_simulated"] = (mixed[at], errors[at])
    if "Li-F" in found.alpha:
        value, error = found.alpha["Li-F"][0], found.alpha_errors["Li-F"][0]
        numbers["alpha_LiF_1_simulated"] = (value, error)
    notes = (
        f"{found.cells} cells of {found.sites:,} cations, {found.attempts} swaps each",
        f"{found.wrap_probability:.0%} of the cells have a wrapping cluster",
        _ASSUMED,
        found.caveat,
    )
    for name in SimulatedOrderBuilder.names:
        if name not in numbers:
            yield Value(name, reason="one species on a sublattice: nothing is ordered")
            continue
        value, error = numbers[name]
        yield Value(
            name,
            value,
            error,
            n=found.cells,
            method="monte carlo",
            seed=found.seed,
            notes=notes,
            versions={"kernel": found.kernel},
        )


def _of_random(limit: RandomLimit, names: tuple[str, ...]) -> Iterator[Value]:
    """Write down the random limit, where the assumed energy acts on nothing."""
    numbers = {
        "accessible_li_simulated": (limit.accessible, limit.accessible_error),
        "li4_fraction_simulated": (limit.filling**4, None),
        "alpha_LiM_1_simulated": (0.0, None),
        "alpha_LiM_2_simulated": (0.0, None),
    }
    for name in names:
        if name not in numbers:
            yield Value(name, reason="no fluorine in it")
            continue
        value, error = numbers[name]
        yield Value(
            name,
            value,
            error,
            n=limit.samples,
            method="random",
            seed=limit.seed,
            notes=("no fluorine: as at random", _ASSUMED, limit.caveat),
            versions={"kernel": limit.kernel},
        )

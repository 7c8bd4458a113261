"""What percolates in a candidate whose carriers stand at random, as properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.disorder.random_limit import PARENTS, random_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.percolation import RandomLimit


class PercolationBuilder(PropertyBuilder):
    """
    Say what percolates in the random limit of each composition: no cell is read.

    A composition that its parent has no room for, or that has no carrier, gets a null
    with the reason.
    """

    name = "percolation"
    names = (
        "accessible_li",
        "accessible_li_amount",
        "percolation_threshold",
        "percolation_excess",
        "wrap_probability",
    )
    reads = ()
    code_version = "1"
    requires = ("numba",)
    extra = "disorder"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield accessible carriers, and the threshold that they are above or below."""
        family = found.candidate.family
        if family not in PARENTS:
            reason = f"no parent lattice for percolation is known of family {family}"
            yield from (Value(name, reason=reason) for name in self.names)
            return
        parent, rule = PARENTS[family]
        limit = random_limit(
            found.candidate.amounts,
            parent=parent,
            rule=rule,
        )
        numbers = {
            "accessible_li": (limit.accessible, limit.accessible_error),
            "accessible_li_amount": (
                limit.accessible_per_formula_unit,
                limit.accessible_error * limit.carriers_per_formula_unit,
            ),
            "percolation_threshold": (limit.threshold, limit.threshold_error),
            "percolation_excess": (
                limit.excess,
                limit.threshold_error * limit.sites_per_formula_unit,
            ),
            "wrap_probability": (limit.wrap_probability, None),
        }
        for name, (value, error) in numbers.items():
            yield Value(
                name,
                value,
                error,
                n=limit.samples,
                method="random",
                seed=limit.seed,
                notes=_notes(limit),
                versions={"kernel": limit.kernel},
            )


def _notes(limit: RandomLimit) -> tuple[str, ...]:
    """Say on what lattice, by which rule, and what the numbers are not."""
    where = (
        f"{limit.carrier} on {limit.parent} by the rule {limit.rule}, "
        f"{limit.samples} cells of {limit.sites:,} sites"
    )
    if not limit.carriers_per_formula_unit:
        return (where, f"no {limit.carrier} in it", limit.caveat)
    if 0 < limit.wrap_probability < 1:
        mixed = (
            f"{limit.wrap_probability:.0%} of the cells have a wrapping cluster: the "
            "mean is of two kinds of cells"
        )
        return (where, mixed, limit.caveat)
    return (where, limit.caveat)

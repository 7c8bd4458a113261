"""Short-range order and accessible carriers by a lattice model, at its temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.builders.property_builder import (
    RESULTS,
    CandidateInputs,
    PropertyBuilder,
    Value,
)
from hts_battery.schemas.lattice import LatticeRun, SampledValue

if TYPE_CHECKING:
    from collections.abc import Iterator

_CATION_SHELLS = 2


class LatticeOrderBuilder(PropertyBuilder):
    """Take the newest run of each temperature; one not in equilibrium is a null."""

    name = "lattice_order"
    names = (
        "lattice_alpha_LiM_1",
        "lattice_alpha_LiM_2",
        "lattice_li4_fraction",
        "lattice_accessible_li",
        "lattice_energy",
        "lattice_heat_capacity",
    )
    reads = (RESULTS,)
    recipe = "lattice_monte_carlo"
    code_version = "1"

    def values(self, found: CandidateInputs) -> Iterator[Value]:
        """Yield the properties of every temperature that was sampled."""
        newest: dict[float, LatticeRun] = {}
        for one in sorted(found.results, key=lambda one: one.completed_at):
            run = LatticeRun.model_validate(one.output)
            newest[run.temperature] = run
        for temperature in sorted(newest):
            yield from run_values(newest[temperature])


def run_values(run: LatticeRun) -> Iterator[Value]:
    """Write down what one run says."""
    alphas = carrier_orders(run)
    numbers = {
        "lattice_alpha_LiM_1": alphas[0] if alphas else None,
        "lattice_alpha_LiM_2": alphas[1] if alphas else None,
        "lattice_li4_fraction": run.tetrahedra[4] if run.tetrahedra else None,
        "lattice_accessible_li": run.accessible,
        "lattice_energy": run.energy,
        "lattice_heat_capacity": run.heat_capacity,
    }
    why = (
        "no carrier in it"
        if run.equilibrated
        else f"not equilibrated: {'; '.join(run.reasons)}"
    )
    notes = (
        _trust(run),
        f"{run.cations} cations, {run.sweeps} sweeps of each of two starts",
        run.caveat,
    )
    for name, value in numbers.items():
        yield Value(
            name,
            None if value is None else value.value,
            None if value is None else value.error,
            n=None if value is None else run.sweeps,
            reason=why if value is None else None,
            conditions={"temperature": run.temperature},
            method="lattice Monte Carlo",
            notes=notes,
            seed=run.seed,
            versions={"model": run.model},
        )


def carrier_orders(run: LatticeRun) -> tuple[SampledValue, ...]:
    r"""
    Return the parameters of the carrier and all other cations, shell by shell.

    :math:`\sum_b x_b \alpha_{ab} / \sum_b x_b` over the other cations b, which is
    :math:`-\alpha_{aa} x_a / (1 - x_a)`: what the carriers' own pairs say.
    """
    own = f"{run.carrier}-{run.carrier}"
    if run.order is None or own not in run.order:
        return ()
    share = run.carrier_share
    factor = share / (1 - share) if share < 1 else 0.0
    return tuple(
        SampledValue(value=-factor * one.value, error=factor * one.error)
        for one in run.order[own][:_CATION_SHELLS]
    )


def _trust(run: LatticeRun) -> str:
    """Say which model it is and how far its energies go wrong."""
    return (
        f"model {run.model}; error of the fit {1000 * run.fit_error:.2g} meV/atom in "
        "the energy beside a random cell"
    )

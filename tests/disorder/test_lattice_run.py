"""Runs at a temperature: what is measured, and when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest
from lattice_trainings import trainings

from hts_battery.builders.properties.lattice_order import carrier_orders, run_values
from hts_battery.disorder import lattice_monte_carlo
from hts_battery.disorder.lattice_document import fit_training, model_of
from hts_battery.disorder.lattice_run import correlation_time, run_lattice
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.lattice import (
    LatticeModelDoc,
    LatticeMonteCarloOptions,
    LatticeRun,
)

LMTO = parse_formula("Li1.2Mn0.4Ti0.4O2")


@pytest.fixture(scope="module")
def document() -> LatticeModelDoc:
    return fit_training(trainings(noise=0.001))


def asked(document: LatticeModelDoc, **changes: object) -> LatticeMonteCarloOptions:
    return LatticeMonteCarloOptions.model_validate(
        {"model": document, "temperature": 1273, "cations": 864, "sweeps": 80} | changes
    )


@pytest.fixture(scope="module")
def run(document: LatticeModelDoc) -> LatticeRun:
    return run_lattice(LMTO, asked(document)).run


@pytest.mark.physics
def test_order_at_a_temperature_is_that_of_the_monte_carlo(
    document: LatticeModelDoc, run: LatticeRun
) -> None:
    assert run.equilibrated, run.reasons
    assert run.order is not None
    assert run.tetrahedra is not None
    mix = {"cation": {"Li+": 0.6, "Mn3+": 0.2, "Ti4+": 0.2}, "anion": {"O2-": 1}}
    other = lattice_monte_carlo(
        model_of(document.parameters), mix, 6, temperature=1273, sweeps=100, seed=4
    )
    for shell in range(2):
        found = run.order["Li-Ti"][shell]
        said = other.warren_cowley["Li", "Ti"][shell]
        assert found.value == pytest.approx(said, abs=0.015)
    assert sum(one.value for one in run.tetrahedra) == pytest.approx(1)
    assert run.accessible is not None
    assert 0 <= run.accessible.value <= 1
    assert run.heat_capacity is not None
    assert run.heat_capacity.value > 0
    assert run.fit_error > 0
    assert "Li-O" not in run.order


def test_errors_of_fit_and_of_sampling_stand_apart(run: LatticeRun) -> None:
    assert run.energy is not None
    assert 0 < run.energy.error < 1e-3
    assert run.fit_error != run.energy.error


def test_a_frozen_run_has_no_value(document: LatticeModelDoc) -> None:
    found = run_lattice(LMTO, asked(document, temperature=20, sweeps=16)).run
    assert not found.equilibrated
    assert found.energy is None
    assert found.order is None
    assert found.accessible is None
    assert any("frozen" in one or "differ" in one for one in found.reasons)
    values = list(run_values(found))
    assert all(one.value is None for one in values)
    assert all(str(one.reason).startswith("not equilibrated") for one in values)


def test_outside_of_the_fit_nothing_is_run(document: LatticeModelDoc) -> None:
    with pytest.raises(OrderingError, match="outside the model"):
        run_lattice(parse_formula("Li2TiO3"), asked(document))


def test_a_run_becomes_properties_with_its_temperature(run: LatticeRun) -> None:
    values = {one.name: one for one in run_values(run)}
    accessible = values["lattice_accessible_li"]
    assert run.accessible is not None
    assert run.order is not None
    assert accessible.value == run.accessible.value
    assert accessible.uncertainty == run.accessible.error
    assert accessible.conditions == {"temperature": 1273.0}
    assert any("error of the fit" in note for note in accessible.notes)
    mean = (run.order["Li-Mn"][0].value + run.order["Li-Ti"][0].value) / 2
    assert carrier_orders(run)[0].value == pytest.approx(mean, abs=1e-9)


def test_the_same_seed_gives_the_same_run(
    document: LatticeModelDoc, run: LatticeRun
) -> None:
    assert run_lattice(LMTO, asked(document)).run == run


def test_correlation_times() -> None:
    random = np.random.default_rng(0)
    slow = np.zeros(20_000)
    for at in range(1, len(slow)):
        slow[at] = 0.9 * slow[at - 1] + random.normal()
    assert correlation_time(slow) == pytest.approx(9.5, rel=0.2)  # (1+r)/(1-r)/2
    assert correlation_time(np.ones(100)) == 0.5

"""Diffusivities as properties: conditions, errors between orderings, and reasons."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from hts_battery.builders.properties.molecular_dynamics import (
    MolecularDynamicsBuilder,
    mean_of_orderings,
)
from hts_battery.builders.property_builder import CandidateInputs, RecipeResult, Value
from hts_battery.schemas.dynamics import MolecularDynamics, TemperatureRun
from hts_battery.transport import diffusivity
from hts_battery.transport.run_pieces import line_through

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.entry import EntryDoc

KB = 8.617333262e-5


def run(kelvin: float, *, seed: int = 0, barrier: float = 0.3) -> TemperatureRun:
    """Walk freely with an activated diffusivity."""
    length = np.sqrt(np.exp(-barrier / (KB * kelvin)))
    steps = np.random.default_rng(seed).normal(scale=length, size=(2000, 20, 3))
    found = diffusivity(
        np.cumsum(steps, axis=0) % 200,
        np.diag([200.0] * 3),
        mobile=range(20),
        time_step=10.0,
        temperature=kelvin,
        jump_length=2 * length,
    )
    return TemperatureRun(
        temperature=kelvin,
        ending="target reached",
        reason="",
        picoseconds=20.0,
        chunks=2,
        diffusivity=found,
    )


def result(
    *runs: TemperatureRun, entry: str = "mine", engine: str = "chgnet"
) -> RecipeResult:
    document = MolecularDynamics(
        candidate_id="c",
        entry_id=entry,
        ordering_id="o",
        calculator="chgnet 0.4.2",
        n_atoms=40,
        carrier="Na",
        runs=runs,
        arrhenius=line_through(runs),
    )
    return RecipeResult(engine, "1", document.model_dump(mode="json"))


def values(*results: RecipeResult, entries: tuple[str, ...] = ("mine",)) -> list[Value]:
    builder = object.__new__(MolecularDynamicsBuilder)
    builder.campaign = cast("CampaignSpec", SimpleNamespace(engine="chgnet"))
    cells = tuple(SimpleNamespace(entry_id=name) for name in entries)
    inputs = CandidateInputs(
        cast("CandidateDoc", None),
        cast("tuple[EntryDoc, ...]", cells),
        (),
        (),
        None,
        results,
    )
    return list(builder.values(inputs))


def test_numbers_stand_at_their_temperatures() -> None:
    runs = [run(kelvin) for kelvin in (800.0, 1000.0, 1300.0)]
    found = values(result(*runs))
    names = [(one.name, one.conditions.get("temperature")) for one in found]
    assert names == [
        (name, kelvin)
        for kelvin in (800.0, 1000.0, 1300.0)
        for name in ("diffusivity", "ionic_conductivity")
    ] + [("activation_energy", None)]
    assert runs[0].diffusivity is not None
    assert found[0].value == runs[0].diffusivity.tracer
    assert found[0].uncertainty == pytest.approx(
        runs[0].diffusivity.standard_error * cast("float", found[0].value)
    )
    assert found[1].value == pytest.approx(runs[0].diffusivity.conductivity)
    line = found[-1]
    assert line.value == pytest.approx(0.3, abs=0.06)
    assert (line.n, line.calculator, line.inputs) == (3, "chgnet 0.4.2", ("mine",))


def test_orderings_scatter_more_than_trajectories_say() -> None:
    one, other = run(1000.0), run(1000.0, seed=1, barrier=0.4)
    found = values(
        result(one), result(other, entry="theirs"), entries=("mine", "theirs")
    )
    assert one.diffusivity is not None
    assert other.diffusivity is not None
    pair = [cast("float", each.diffusivity.tracer) for each in (one, other)]  # type: ignore[union-attr]
    assert found[0].value == pytest.approx(np.mean(pair))
    assert found[0].uncertainty == pytest.approx(abs(pair[0] - pair[1]) / 2)
    assert found[0].inputs == ("mine", "theirs")


def test_a_run_without_a_diffusivity_says_why() -> None:
    still = run(1000.0).model_copy(
        update={
            "diffusivity": diffusivity(
                np.random.default_rng(0).normal(scale=0.1, size=(50, 4, 3)),
                None,
                mobile=range(4),
                time_step=10.0,
            )
        }
    )
    broken = run(1200.0).model_copy(
        update={"diffusivity": None, "ending": "unstable", "reason": "too hot"}
    )
    found = {
        (v.name, v.conditions.get("temperature")): v
        for v in values(result(still, broken))
    }
    assert "too few jumps" in str(found["diffusivity", 1000.0].reason)
    assert found["diffusivity", 1200.0].reason == "unstable: too hot"
    assert "fewer than three" in str(found["activation_energy", None].reason)
    assert all(one.value is None for one in found.values())


def test_without_a_cell_there_is_no_conductivity() -> None:
    alone = run(1000.0)
    assert alone.diffusivity is not None
    bare = alone.diffusivity.model_copy(update={"conductivity": None})
    found = values(result(alone.model_copy(update={"diffusivity": bare})))
    assert found[0].value is not None
    assert "unknown" in str(found[1].reason)


def test_another_engine_or_cell_is_told_apart() -> None:
    found = values(result(run(1000.0), engine="forcefield:SevenNet"))
    assert found[0].conditions == {
        "temperature": 1000.0,
        "engine": "forcefield:SevenNet",
    }
    gone = values(result(run(1000.0), entry="another's"))
    assert len(gone) == 3
    assert all("none of this campaign's" in str(one.reason) for one in gone)


def test_one_ordering_has_the_error_of_its_trajectory() -> None:
    assert mean_of_orderings([2.0], [0.1]) == (2.0, pytest.approx(0.2))
    mean, error = mean_of_orderings([2.0, 2.0, 2.0], [0.3, 0.3, 0.3])
    assert (mean, error) == (2.0, pytest.approx(0.6 / np.sqrt(3)))

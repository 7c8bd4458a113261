"""Numbers of training cells as properties."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from lattice_trainings import training

from hts_battery.builders.properties.lattice_order import LatticeOrderBuilder
from hts_battery.builders.properties.lattice_training import LatticeTrainingBuilder
from hts_battery.builders.property_builder import CandidateInputs, RecipeResult, Value

if TYPE_CHECKING:
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.lattice import LatticeTraining


def values(*found: tuple[str, LatticeTraining]) -> list[Value]:
    builder = object.__new__(LatticeTrainingBuilder)
    builder.campaign = cast("CampaignSpec", SimpleNamespace(engine="ionic"))
    results = tuple(
        RecipeResult(engine, str(at), one.model_dump(mode="json"))
        for at, (engine, one) in enumerate(found)
    )
    candidate = cast("CandidateDoc", None)
    return list(builder.values(CandidateInputs(candidate, (), (), (), None, results)))


def test_cells_and_the_range_of_their_energies() -> None:
    result = training(12, 9)
    count, spread = values(("ionic", result))
    assert (count.name, count.value, count.n) == ("training_cells", 9, 9)
    assert spread.name == "ordering_energy_range"
    assert isinstance(spread.value, float)
    assert spread.value > 0
    assert spread.n == 3
    assert spread.calculator == "planted 1"
    assert spread.conditions == {}


def test_most_cells_count_and_other_engines_are_a_condition() -> None:
    few, many = training(12, 3), training(12, 6)
    found = values(("ionic", many), ("ionic", few), ("chgnet", few))
    assert [one.value for one in found if one.name == "training_cells"] == [6, 3]
    assert found[2].conditions == {"engine": "chgnet"}


def test_without_random_cells_the_range_is_null() -> None:
    result = training(12, 6)
    cells = tuple(one for one in result.cells if one.kind != "random")
    _, spread = values(("ionic", result.model_copy(update={"cells": cells})))
    assert spread.value is None
    assert "at random" in str(spread.reason)


def test_the_newest_run_of_a_temperature_counts() -> None:
    builder = object.__new__(LatticeOrderBuilder)
    run = {
        "formula": "LiMnO2", "model": "m", "temperature": 900.0, "cations": 8,
        "sweeps": 16, "seed": 0, "equilibrated": False, "reasons": ["frozen"],
        "acceptance": 0.0, "correlation_time": 0.5, "starts": [0, 0], "energy": None,
        "fit_error": 0.0, "heat_capacity": None, "order": None, "carrier": "Li",
        "carrier_share": 0.5, "tetrahedra": None, "accessible": None, "wraps": None,
        "caveat": "c",
    }  # fmt: skip
    results = (
        RecipeResult("ionic", "2", run | {"seed": 2}),
        RecipeResult("ionic", "1", run | {"seed": 1}),
        RecipeResult("ionic", "1", run | {"temperature": 500.0}),
    )
    candidate = cast("CandidateDoc", None)
    found = list(builder.values(CandidateInputs(candidate, (), (), (), None, results)))
    assert [one.seed for one in found[6:]] == [2] * 6
    assert {one.conditions["temperature"] for one in found[:6]} == {500.0}
    assert found[0].reason == "not equilibrated: frozen"
    assert found[0].value is None
    assert found[0].uncertainty == pytest.approx(None)

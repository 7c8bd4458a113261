from __future__ import annotations

import pytest
from pydantic import ValidationError

from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.thermo import ReferencesAtTemperature, StabilityOptions


def test_defaults_are_the_textbook_and_references_alone() -> None:
    assert EntropyOptions().sodium_sites.value == "together"
    options = StabilityOptions()
    assert not options.other_candidates
    assert not options.own_orderings
    assert options.references_at_temperature is ReferencesAtTemperature.NONE
    assert options.calculator_error is None
    assert options.gas_pressures == {"O2": 1.0, "F2": 1.0}
    assert StabilityOptions.model_validate(options.model_dump(mode="json")) == options


def test_one_pressure_leaves_the_other_at_one_bar() -> None:
    options = StabilityOptions.model_validate({"gas_pressures": {"O2": 0.21}})
    assert options.gas_pressures == {"O2": 0.21, "F2": 1.0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"gas_pressures": {"N2": 1.0}},
        {"gas_pressures": {"O2": 0.0}},
        {"gas_pressures": {"O2": float("nan")}},
        {"calculator_error": -0.1},
        {"calculator_error": float("inf")},
        {"references_at_temperature": "sisso"},
        {"largest_system": 0},
        {"others": True},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StabilityOptions.model_validate(wrong)

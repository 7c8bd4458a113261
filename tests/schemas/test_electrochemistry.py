"""What a campaign file may say about its electrochemistry."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hts_battery.schemas.electrochemistry import ElectrochemistryOptions


def test_it_comes_back_as_it_is_stored() -> None:
    given = {
        "ceilings": {"Cr": 5},
        "electrodes": [{"formula": "LiCoO2", "voltage": 4.0}, {"formula": "Li"}],
        "oxygen_temperature": 298.15,
    }
    found = ElectrochemistryOptions.model_validate(given)
    assert found.electrodes[1].voltage is None
    stored = found.model_dump(mode="json")
    assert ElectrochemistryOptions.model_validate(stored) == found


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ceilings": {"Mx": 4}}, "'Mx' is no element"),
        ({"ceilings": "high"}, "'reachable' or 'conservative'"),
        ({"electrodes": [{"formula": "Lix"}]}, "cannot read 'x'"),
        ({"electrodes": [{"formula": "Li", "voltage": -1}]}, "greater than or equal"),
        ({"tolerance": -0.1}, "greater than or equal"),
        ({"oxygen_temperature": 20}, "greater than or equal to 100"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ElectrochemistryOptions.model_validate(given)

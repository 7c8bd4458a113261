"""The Materials Project, as its client answers: a fake that is named as one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from hts_battery.connections.materials_project import MaterialsProject, connect
from hts_battery.errors import ConfigurationError, StoreError


class FakeRestError(Exception):
    """As mp-api's error: a sentence with the status."""


class FakeRester:
    """Remembers what it was asked and answers with one entry a system."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[list[str], dict[str, Any]]] = []
        self.error = error

    def get_entries(
        self,
        chemsys_formula_mpids: str | list[str],
        **options: Any,  # noqa: ANN401 - as its model
    ) -> list[Any]:
        if self.error is not None:
            raise self.error
        systems = list(chemsys_formula_mpids)
        self.asked.append((systems, options))
        return [{"entry_id": f"mp-{system}"} for system in systems]


def test_uncorrected_entries_of_one_thermo_type_are_asked_for_in_batches() -> None:
    rester = FakeRester()
    systems = [f"system {number}" for number in range(250)]
    found = MaterialsProject(rester).entries(systems, thermo_type="GGA_GGA+U")
    assert [one["entry_id"] for one in found] == [f"mp-{one}" for one in systems]
    assert [len(asked) for asked, _ in rester.asked] == [100, 100, 50]
    assert {str(options) for _, options in rester.asked} == {
        str(
            {
                "compatible_only": False,
                "additional_criteria": {"thermo_types": ["GGA_GGA+U"]},
            }
        )
    }


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_said_in_one_sentence(status: int) -> None:
    error = FakeRestError(
        f"REST query returned with error status code {status}: SECRET"
    )
    connection = MaterialsProject(FakeRester(error), (FakeRestError,))
    with pytest.raises(ConfigurationError, match="refuses the key") as caught:
        connection.entries(["Li-O"], thermo_type="R2SCAN")
    assert "SECRET" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_service_that_is_away_is_no_wrong_key() -> None:
    error = FakeRestError("REST query returned with error status code 503\ntrace")
    connection = MaterialsProject(FakeRester(error), (FakeRestError,))
    with pytest.raises(StoreError, match="503; try again later"):
        connection.entries(["Li-O"], thermo_type="R2SCAN")


def test_without_a_key_it_says_where_to_get_one() -> None:
    for environment in ({}, {"MP_API_KEY": ""}):
        with pytest.raises(ConfigurationError, match="set MP_API_KEY or PMG_MAPI_KEY"):
            connect(environment)


@pytest.mark.skipif(find_spec("mp_api") is not None, reason="mp-api is installed")
def test_without_its_client_it_names_the_extra() -> None:
    with pytest.raises(ConfigurationError, match=r"hts_battery\[mp\]"):
        connect({"PMG_MAPI_KEY": "x" * 32})

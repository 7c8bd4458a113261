from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.registry import engine
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

torch = pytest.importorskip("torch")
pytest.importorskip("chgnet")

ABSENT = "cuda:63"
"""No machine has so many cards."""


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def call(name: str) -> None:
        monkeypatch.setenv("HTS_BATTERY_CHGNET_DEVICE", name)
        get_settings.cache_clear()

    yield call
    monkeypatch.undo()
    get_settings.cache_clear()


def test_the_device_is_chosen_where_the_job_runs(
    device: Callable[[str], None],
) -> None:
    device(ABSENT)
    maker = engine("chgnet").relax_maker(RelaxationSpec())
    assert "device" not in str(maker.as_dict())  # what is submitted names none
    device("cpu")
    assert maker._get_calculator().device == "cpu"  # noqa: SLF001 - atomate2's place for it
    assert maker.tags == ["device cpu"]


def test_a_device_that_is_not_there_is_named(device: Callable[[str], None]) -> None:
    device(ABSENT)
    (problem,) = engine("chgnet").missing({"Li", "O"})
    assert ABSENT in problem
    assert "HTS_BATTERY_CHGNET_DEVICE" in problem
    maker = engine("chgnet").relax_maker(RelaxationSpec())
    with pytest.raises(ConfigurationError, match=ABSENT):
        maker._get_calculator()  # noqa: SLF001 - as above


def test_a_misspelt_device_is_refused(device: Callable[[str], None]) -> None:
    device("gpu")
    with pytest.raises(ConfigurationError, match="chgnet_device"):
        get_settings()

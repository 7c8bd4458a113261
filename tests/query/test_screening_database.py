from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from hts_battery.query import ScreeningDatabase
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def screening(ranked: Campaign, stores: Stores) -> ScreeningDatabase:
    assert ranked.spec.name == "small"
    return ScreeningDatabase(stores)


def test_everything_is_found_the_most_stable_first(
    screening: ScreeningDatabase,
) -> None:
    found = list(screening.find())
    energies = [doc["energy_above_hull"] for doc in found]
    assert len(found) == 2
    assert energies == sorted(energies)
    assert all("_id" not in doc for doc in found)


def test_filter_limit_and_order(screening: ScreeningDatabase) -> None:
    (fluoride,) = screening.find({"elements": "F"})
    assert fluoride["formula"] == "Li1.3Mn0.4Ti0.3O1.7F0.3"
    assert len(list(screening.find(limit=1))) == 1
    names = [doc["formula"] for doc in screening.find(sort={"formula": -1})]
    assert names == sorted(names, reverse=True)
    assert list(screening.find({"formula": "none"})) == []


def test_one_candidate_is_found_by_its_id(
    screening: ScreeningDatabase, ranked: Campaign
) -> None:
    for _, candidate in ranked.members():
        (doc,) = screening.get(candidate.candidate_id)
        assert doc["formula"] == candidate.formula
    assert screening.get("no such id") == []


def test_stable_means_at_or_below_the_threshold(screening: ScreeningDatabase) -> None:
    docs = list(screening.find())
    values = sorted(doc["energy_above_hull_at"]["1473K"] for doc in docs)
    lowest, highest = values
    at = screening.stable(temperature=1473.0, threshold=highest)
    assert [doc["energy_above_hull_at"]["1473K"] for doc in at] == values
    below = screening.stable(temperature=1473.0, threshold=lowest - 1e-9)
    assert list(below) == []
    (one,) = screening.stable(temperature=1473, threshold=lowest, campaign="small")
    assert one["energy_above_hull_at"]["1473K"] == lowest
    assert list(screening.stable(temperature=1473.0, campaign="other")) == []


def test_a_temperature_nobody_computed_has_nothing(
    screening: ScreeningDatabase,
) -> None:
    assert list(screening.stable(temperature=999.5, threshold=10)) == []


def test_a_ranking_is_that_of_its_temperature(screening: ScreeningDatabase) -> None:
    found = screening.ranking(campaign="small", temperature=1473.0)
    values = [doc["energy_above_hull_at"]["1473K"] for doc in found]
    assert len(values) == 2
    assert values == sorted(values)
    assert list(screening.ranking(campaign="other", temperature=1473.0)) == []


def test_a_frame_has_a_row_for_each_summary(screening: ScreeningDatabase) -> None:
    frame = screening.to_frame()
    assert len(frame) == 2
    assert frame["energy_above_hull"].is_monotonic_increasing
    hot = frame["energy_above_hull"] - 1473 * frame["entropy"]
    assert (frame["energy_above_hull_1473K"] == hot).all()
    assert pd.api.types.is_float_dtype(frame["energy_above_hull"])
    assert len(screening.to_frame({"elements": "F"})) == 1


def test_an_empty_frame_has_no_rows(screening: ScreeningDatabase) -> None:
    assert screening.to_frame({"formula": "none"}).empty


def test_the_database_of_the_settings_is_opened_and_closed(
    ranked: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    get_settings.cache_clear()
    with ScreeningDatabase() as screening:
        assert len(screening.to_frame()) == len(list(ranked.members()))
    # What was handed in is not closed by somebody else.
    with ScreeningDatabase(stores) as screening:
        assert len(list(screening.find())) == 2
    assert stores.summary.count() == 2

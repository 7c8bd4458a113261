from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from hts_battery.errors import QueryError
from hts_battery.query import ScreeningDatabase
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

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
    (fluoride,) = screening.find('elements HAS "F"')
    assert fluoride["formula"] == "Li1.3Mn0.4Ti0.3O1.7F0.3"
    assert len(list(screening.find(limit=1))) == 1
    names = [doc["formula"] for doc in screening.find(sort=["-formula"])]
    assert names == sorted(names, reverse=True)
    assert list(screening.find('formula STARTS WITH "none"')) == []


def test_fields_order_and_values(screening: ScreeningDatabase) -> None:
    rows = list(screening.find(fields=["formula", "elements"], sort=["-e_hull"]))
    assert [row["formula"] for row in rows] == [
        "Li1.3Mn0.4Ti0.3O1.7F0.3",
        "Li1.2Mn0.4Ti0.4O2",
    ]
    assert rows[0]["elements"] == ["F", "Li", "Mn", "O", "Ti"]
    assert screening.distinct("elements")[-1] == ("F", 1)
    assert screening.distinct("family", 'elements HAS "F"') == [("hedrx", 1)]
    assert ("LiF", 1) in screening.distinct("decomposition")
    groups = {group.name: group for group in screening.group("element-set")}
    assert groups["F-Li-Mn-O-Ti"].best == "Li1.3Mn0.4Ti0.3O1.7F0.3"
    assert screening.temperatures() == (0.0, 1473.0)
    assert list(screening.to_frame(fields=["formula"]).columns) == ["formula"]


def test_a_limit_takes_the_first_of_all(screening: ScreeningDatabase) -> None:
    for words in (None, 'campaign = "small"', "e_hull_1473 <= 1"):
        every = list(screening.find(words, sort=["e_hull_1473"]))
        assert list(screening.find(words, sort=["e_hull_1473"], limit=1)) == every[:1]
        assert list(screening.find(words, sort=["e_hull_1473"], limit=9)) == every
    assert list(screening.find(limit=2)) == list(screening.find())
    below = list(screening.find("e_hull_1473 < -0.09", sort=["e_hull_1473"], limit=5))
    assert [doc["formula"] for doc in below] == ["Li1.2Mn0.4Ti0.4O2"]
    (second,) = screening.ranking(campaign="small", temperature=1473.0, first=2)
    assert second["formula"] == "Li1.3Mn0.4Ti0.3O1.7F0.3"


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"criteria": {"$where": "1"}}, "text in OPTIMADE's language"),
        (
            {"criteria": "e_hull_999 < 0"},
            "no value is stored at 999 K, only at 0, 1473 K",
        ),
        ({"sort": ["elements"]}, "no order"),
        ({"sort": ["ehull"]}, "near it: e_hull"),
        ({"fields": ["ehull"]}, "near it: e_hull"),
        ({"fields": ["formula"] * 101}, "at most 100 fields"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(
    screening: ScreeningDatabase, asked: dict[str, Any], reason: str
) -> None:
    with pytest.raises(QueryError, match=re.escape(reason)):
        list(screening.find(**asked))


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.stable(temperature=999.0),
        lambda found: found.ranking(campaign="small", temperature=999.0),
        lambda found: found.group("n-metals", temperature=999.0),
        lambda found: found.distinct("label_999"),
        lambda found: found.to_frame(sort=["e_hull_999"]),
        lambda found: found.table(fields=["p_stable_999"]),
    ],
)
def test_every_door_says_that_a_temperature_is_not_stored(
    screening: ScreeningDatabase, ask: Callable[[ScreeningDatabase], Iterable[object]]
) -> None:
    with pytest.raises(QueryError, match=r"at 999 K, only at 0, 1473 K; name others"):
        list(ask(screening))


def test_why_adds_up_to_the_last_digit(screening: ScreeningDatabase) -> None:
    for doc in screening.find():
        (why,) = screening.why(doc["candidate_id"])
        for terms in why["terms"]:
            assert terms["energy_above_hull"] == pytest.approx(
                terms["energy_per_atom"]
                - terms["hull_energy"]
                + terms["entropy_term"]
                + terms["competition_term"],
                abs=1e-12,
            )
        assert sum(phase["amount"] for phase in why["decomposition"]) == pytest.approx(
            1
        )
        assert why["rank"]["1473"] in {1, 2}
        assert screening.why(doc["candidate_id"], campaign="other") == []


def test_structure_and_entry_are_those_that_were_judged(
    screening: ScreeningDatabase,
) -> None:
    for doc in screening.find():
        structure = screening.structure(doc["candidate_id"])
        assert set(structure.composition.chemical_system.split("-")) == set(
            doc["elements"]
        )
        entry = screening.entry(doc["candidate_id"], campaign="small")
        assert entry.energy_per_atom == pytest.approx(doc["energy_per_atom"])
        assert entry.entry_id == doc["entry_id"]
    with pytest.raises(QueryError, match="no builder has assessed"):
        screening.structure("none")


def test_a_campaign_agrees_with_itself(screening: ScreeningDatabase) -> None:
    found = screening.compare("small", "chgnet", temperature=1473)
    assert (found.n_common, found.n_disagree) == (2, 0)
    assert found.mean_absolute_difference == 0
    stable = [doc for doc in screening.find() if doc["label_at"]["1473K"] != "US"]
    certain = sum(not doc["open_at"]["1473K"] for doc in stable)
    assert found.first_stable == found.second_stable == (len(stable), certain)
    assert found.n_disagree_certain == 0
    with pytest.raises(QueryError, match="neither a campaign"):
        screening.compare("small", "vasp", temperature=1473)
    with pytest.raises(QueryError, match="stored at 7 K, only at 0, 1473 K"):
        screening.compare("small", "chgnet", temperature=7)


def test_a_query_may_take_only_so_long(ranked: Campaign, stores: Stores) -> None:
    assert ranked.spec.name == "small"
    with ScreeningDatabase(stores, time_limit=60) as screening:
        assert len(list(screening.find("entropy > 0"))) == 2


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


def test_a_temperature_nobody_computed_is_refused(
    screening: ScreeningDatabase,
) -> None:
    with pytest.raises(QueryError, match=r"stored at 999\.5 K, only at 0, 1473 K"):
        screening.stable(temperature=999.5, threshold=10)


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
    assert len(screening.to_frame('elements HAS "F"')) == 1


def test_an_empty_frame_has_no_rows(screening: ScreeningDatabase) -> None:
    assert screening.to_frame('formula STARTS WITH "none"').empty


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

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign import registration
from hts_battery.campaign.build import build, stored_campaigns
from hts_battery.campaign.registration import register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


def test_each_candidate_is_written_once(
    small_campaign: Campaign, stores: Stores
) -> None:
    assert register(small_campaign, stores) == 2
    assert register(small_campaign, stores) == 0
    assert stores.candidates.count() == 2
    members = list(stores.members.query({"campaign": "small"}))
    assert {
        (doc["candidate_id"], doc["content_key"], doc["space_index"]) for doc in members
    } == {
        (one.candidate_id, small_campaign.key(one), str(index))
        for index, one in small_campaign.members()
    }


def test_a_campaign_is_read_back_as_its_file_said(
    small_campaign: Campaign, stores: Stores
) -> None:
    register(small_campaign, stores)
    assert stored_campaigns(stores) == [small_campaign.spec]


def test_a_parent_lattice_that_changed_under_its_name_is_refused(
    campaign_file: Callable[..., Path],
    small_campaign: Campaign,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    register(small_campaign, stores)
    (doc,) = stores.campaigns.query()
    assert doc["prototype"] == {"name": "rocksalt", "digest": None}
    monkeypatch.setattr(registration, "own_prototype_digest", lambda _name: "other")
    other = load_campaign(campaign_file(("name: small", "name: other")))
    with pytest.raises(
        ConfigurationError,
        match="the prototype rocksalt has other numbers than when the campaign small",
    ):
        register(other, stores)
    assert stores.campaigns.count() == 1


def test_a_list_is_part_of_the_registration(
    campaign_file: Callable[..., Path], stores: Stores
) -> None:
    text = campaign_file().read_text("utf-8")
    start, stop = text.index("selection:"), text.index("structure:")
    path = campaign_file(
        (text[start:stop], "selection: {method: formulas, file: mine.txt}\n")
    )
    mine = path.with_name("mine.txt")
    mine.write_text("# one\nLi1.2Mn0.4Ti0.4O2\nLiCoO2\n")
    register(load_campaign(path, skip_bad=True), stores)
    (doc,) = stores.campaigns.query()
    listed = doc["listed"]
    assert (listed["file"], listed["formulas"], listed["n_left_out"]) == (
        "mine.txt",
        2,
        1,
    )
    assert listed["left_out"][0].startswith("mine.txt:3: LiCoO2: it holds Co")
    found = registration.registered(path, stores)
    assert found is not None
    assert found.members == 1
    mine.write_text("# two\nLi1.2Mn0.4Ti0.4O2\nLiCoO2\n")
    assert registration.registered(path, stores) is not None
    mine.write_text("Li1.3Mn0.4Ti0.3O1.7F0.3\n")
    assert registration.registered(path, stores) is None


def test_two_campaigns_share_their_candidates(
    campaign_file: Callable[..., Path], small_campaign: Campaign, stores: Stores
) -> None:
    register(small_campaign, stores)
    other = load_campaign(campaign_file(("name: small", "name: other")))
    assert register(other, stores) == 0
    assert stores.candidates.count() == 2
    assert stores.members.count() == 4


def test_a_shortened_campaign_forgets_members_but_no_candidate(
    campaign_file: Callable[..., Path], small_campaign: Campaign, stores: Stores
) -> None:
    register(small_campaign, stores)
    shorter = load_campaign(campaign_file((", Li1.2Mn0.4Ti0.4O2]", "]")))
    register(shorter, stores)
    assert stores.members.count() == 1
    assert stores.candidates.count() == 2
    assert stores.campaigns.count() == 1


def test_an_unknown_builder_is_refused(
    small_campaign: Campaign, stores: Stores
) -> None:
    with pytest.raises(ConfigurationError, match="choose one of all, entries, "):
        build(small_campaign.spec, stores, temperatures=(0.0,), only="entrees")


def test_one_builder_can_be_run_alone(computed: Campaign, stores: Stores) -> None:
    reports = build(computed.spec, stores, temperatures=(0.0,), only="entries")
    assert list(reports) == ["entries"]
    assert stores.thermo.count() == 0

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hts_battery.campaign import ownership
from hts_battery.campaign.ownership import (
    differences,
    owner_of,
    require_ownership,
    take_over,
)
from hts_battery.campaign.registration import refuse_other, register
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.errors import ConfigurationError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.connections.database.stores import Stores


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: 1 there, 2 here"]),
        ({"a": 1}, {}, ["a: 1 there, nothing here"]),
        ({}, {"gate": {"temperature": 300}}, None),
        ({"s": {"x": 1, "y": 2}}, {"s": {"x": 1, "y": 3}}, ["s.y: 2 there, 3 here"]),
        ({"s": {"x": 1}}, {"s": "space.yaml"}, ['s: {"x": 1} there, space.yaml here']),
        ({"l": list(range(99))}, {"l": []}, None),
    ],
)
def test_differences_name_the_field(
    before: dict[str, object], now: dict[str, object], expected: list[str] | None
) -> None:
    found = list(differences(before, now))
    if expected is None:
        assert len(found) == 1
        assert len(found[0]) < 150
    else:
        assert found == expected


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let this process belong to another user."""
    return lambda name: monkeypatch.setattr(ownership, "user_name", lambda: name)


pytestmark = pytest.mark.mongo


def test_its_owner_may_change_a_file_where_it_lies(
    stores: Stores, campaign_file: Callable[..., Path]
) -> None:
    file = campaign_file()
    register(load_campaign(file), stores, replace=False)
    file.write_text(file.read_text().replace("seed: 3", "seed: 4"))
    register(load_campaign(file), stores, replace=False)
    assert stores.campaigns.count() == 1


def test_a_copy_whose_name_was_not_changed_is_refused(
    stores: Stores, campaign_file: Callable[..., Path]
) -> None:
    first = load_campaign(campaign_file())
    register(first, stores, replace=False)
    copy = load_campaign(campaign_file(("seed: 3", "seed: 5"), name="copy.yaml"))
    known = dict(stores.campaigns.query_one({"name": "small"}))
    with pytest.raises(ConfigurationError) as caught:
        register(copy, stores, replace=False)
    text = str(caught.value)
    assert "structure.seed: 3 there, 5 here" in text
    assert str(first.path) in text
    assert "--replace" in text
    assert dict(stores.campaigns.query_one({"name": "small"})) == known
    register(copy, stores, replace=True)
    assert owner_of(stores, "small").file == str(copy.path)
    # Now the first one is the other.
    with pytest.raises(ConfigurationError, match=r"copy\.yaml"):
        refuse_other(first, stores)


def test_the_same_words_elsewhere_are_the_same_campaign(
    stores: Stores,
    campaign_file: Callable[..., Path],
    user: Callable[[str], None],
) -> None:
    register(load_campaign(campaign_file()), stores, replace=False)
    before = owner_of(stores, "small")
    user("somebody-else")
    register(load_campaign(campaign_file(name="copy.yaml")), stores, replace=False)
    assert owner_of(stores, "small") == before


def test_another_owner_is_refused_until_he_takes_it_over(
    stores: Stores,
    campaign_file: Callable[..., Path],
    user: Callable[[str], None],
) -> None:
    file = campaign_file()
    user("first")
    register(load_campaign(file), stores, replace=False)
    user("second")
    file.write_text(file.read_text().replace("seed: 3", "seed: 4"))
    with pytest.raises(ConfigurationError, match="of first, and differs"):
        register(load_campaign(file), stores, replace=False)
    with pytest.raises(SubmissionError, match=r"first's: `hts campaign own small`"):
        require_ownership(stores, "small")
    assert take_over(stores, "small", dry_run=True).owner == "first"
    assert owner_of(stores, "small").owner == "first"
    take_over(stores, "small")
    require_ownership(stores, "small")
    register(load_campaign(file), stores, replace=False)


def test_of_two_who_take_a_name_at_once_one_has_it(
    stores: Stores,
    campaign_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The second looked before the first wrote: only the unique index can tell.
    first = load_campaign(campaign_file())
    second = load_campaign(campaign_file(("seed: 3", "seed: 5"), name="copy.yaml"))
    real = stores.campaigns.insert_new
    raced: list[bool] = []

    def insert(docs: list[dict[str, object]]) -> list[dict[str, object]]:
        if not raced:
            raced.append(True)
            register(first, stores, replace=False)
        return real(docs)

    monkeypatch.setattr(stores.campaigns, "insert_new", insert)
    with pytest.raises(ConfigurationError, match="seed"):
        register(second, stores, replace=False)
    assert owner_of(stores, "small").file == str(first.path)


def test_whoever_was_killed_after_taking_a_name_goes_on(
    stores: Stores,
    campaign_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    campaign = load_campaign(campaign_file())

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stores.members, "insert_new", killed)
        with pytest.raises(KeyboardInterrupt):
            register(campaign, stores, replace=False)
    assert stores.campaigns.query_one({"name": "small"})["members"] == 0
    register(campaign, stores, replace=False)
    assert stores.campaigns.query_one({"name": "small"})["members"] == 2


def test_nobody_owns_what_is_not_there(stores: Stores) -> None:
    with pytest.raises(SubmissionError, match="there is no campaign none"):
        owner_of(stores, "none")


def test_paths_are_written_down_whole(
    stores: Stores, campaign_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = campaign_file()
    monkeypatch.chdir(file.parent)
    register(load_campaign(Path(file.name)), stores, replace=False)
    assert owner_of(stores, "small").file == str(file)

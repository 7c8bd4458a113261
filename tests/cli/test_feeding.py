from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from hts_battery.cli import feeding
from hts_battery.cli.feeding import Changes
from hts_battery.schemas.dispatch import FeedReport, Hold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer


QUIET = FeedReport(campaign="drx", in_hand=4, fireworks=2)


@pytest.mark.parametrize(
    ("passes", "told"),
    [
        # A week of waiting is one line.
        ([QUIET] * 5, [True, False, False, False, False]),
        # Node-hours run on while nothing happens.
        ([QUIET, QUIET.model_copy(update={"node_hours": 7.0})], [True, False]),
        # What was done is told, and that nothing was done after it is not.
        ([QUIET.model_copy(update={"sent": 4}), QUIET, QUIET], [True, False, False]),
        ([QUIET, QUIET.model_copy(update={"ended": 2, "in_hand": 2})], [True, True]),
        # The same number again is news: two others have ended.
        ([QUIET.model_copy(update={"ended": 2})] * 2, [True, True]),
        ([QUIET, QUIET.model_copy(update={"hold": Hold.PAUSED})], [True, True]),
        ([QUIET, QUIET.model_copy(update={"problem": "no engine"})] * 1, [True, True]),
        ([QUIET.model_copy(update={"problem": "no engine"})] * 3, [True, False, False]),
        ([QUIET, QUIET.model_copy(update={"fireworks": 1})], [True, True]),
    ],
)
def test_a_line_when_something_changes(
    passes: list[FeedReport], told: list[bool]
) -> None:
    changes = Changes()
    assert [bool(changes.of([one])) for one in passes] == told


def test_each_campaign_for_itself() -> None:
    changes, other = Changes(), QUIET.model_copy(update={"campaign": "other"})
    assert changes.of([QUIET, other]) == [QUIET, other]
    moved = other.model_copy(update={"ended": 1})
    assert changes.of([QUIET, moved]) == [moved]


pytestmark = pytest.mark.mongo


@pytest.fixture
def submit(
    hts: Callable[..., Answer], on_server: Path, fake_file: Path
) -> Callable[..., Answer]:
    assert on_server.is_dir()

    def call(*words: str) -> Answer:
        return hts(
            "campaign", "submit", fake_file, "--worker", "here", "--any-worker", *words
        )

    return call


def test_members_outside_the_range_are_named_when_it_ends(
    hts: Callable[..., Answer],
    submit: Callable[..., Answer],
    launch: Callable[[], None],
    fake_file: Path,
) -> None:
    assert submit("--range", "0:1").status == 0
    going = hts("launchpad", "feed")
    assert "never submitted" not in going.out
    launch()
    ended = hts("launchpad", "feed", "--watch", "--every", "0.1")
    assert "small: 1 members were never submitted" in ended.out
    command = f"`hts campaign submit {fake_file} --worker here` sends them"
    assert command in ended.out
    assert submit().status == 0
    launch()
    assert "never submitted" not in hts("launchpad", "feed", "--watch").out


def test_it_stays_where_it_is_told_to(
    hts: Callable[..., Answer], on_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_server.is_dir()
    looks: list[float] = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(feeding, "time", SimpleNamespace(sleep=sleep))
    ended = hts("launchpad", "feed", "--watch")
    assert (ended.status, looks) == (0, [])
    stayed = hts("launchpad", "feed", "--stay", "--every", "2")
    assert stayed.status == 130
    assert looks == [2.0] * 3
    assert stayed.out.count("no campaign was submitted") == 1

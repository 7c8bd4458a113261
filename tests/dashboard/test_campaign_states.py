"""Statuses of campaigns are shared, read in the background, and may fail."""

from __future__ import annotations

from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from hts_battery.dashboard.campaign_states import CampaignStates
from hts_battery.errors import StoreError
from hts_battery.schemas.status import CampaignStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


def status(waiting: int) -> CampaignStatus:
    return CampaignStatus(
        campaign="one",
        candidates=waiting,
        states={"waiting": waiting},
        reasons={},
        exact=False,
        time=datetime(2026, 1, 1, tzinfo=UTC),
        dispatch=None,
        last_build=None,
    )


class Reads:
    """Reads that somebody counts."""

    def __init__(self) -> None:
        self.made = 0
        self.done = Event()
        self.fails = False

    def __call__(self) -> Sequence[CampaignStatus]:
        self.made += 1
        self.done.set()
        if self.fails:
            raise StoreError("not authorized")
        return [status(self.made)]


def test_requests_share_an_answer_until_it_is_old() -> None:
    reads, now = Reads(), [0.0]
    states = CampaignStates(reads, lambda: now[0])
    assert states.get()["one"].states == {"waiting": 1}
    assert states.get()["one"].states == {"waiting": 1}
    assert reads.made == 1
    reads.done.clear()
    now[0] = 11.0
    states.get()
    assert reads.done.wait(60)
    assert reads.made == 2


def test_what_may_not_be_read_is_absent() -> None:
    reads = Reads()
    reads.fails = True
    assert CampaignStates(reads).get() == {}
    assert CampaignStates(None).get() == {}


def test_a_read_that_fails_leaves_what_was_known() -> None:
    reads = Reads()
    states = CampaignStates(reads)
    known = states.get()
    reads.fails = True
    states.refresh()
    assert states.get() == known

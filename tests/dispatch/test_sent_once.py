"""A feeder that is stopped anywhere and wakes when another one has gone on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.database import locks
from hts_battery.connections.launchpad.retrying_collections import RetryingCollection
from hts_battery.connections.records.backlog import Backlog
from hts_battery.connections.records.executions import read_executions
from hts_battery.dispatch import apply
from hts_battery.errors import StoreError, SubmissionError
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dispatched import Dispatch

    from hts_battery.schemas.dispatch import FeedReport

pytestmark = [pytest.mark.mongo, pytest.mark.chaos]

POINTS = {
    # Where the first feeder is stopped: what it was about to do.
    "before the block": (Backlog, "save"),
    "before the workflows": (apply, "send"),
    "before the Fireworks": (RetryingCollection, "insert_many"),
}


def stop_at(
    point: str, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]
) -> None:
    """Let something happen while a feeder is stopped at a point, once."""
    place, name = POINTS[point]
    real = getattr(place, name)

    def stopped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes
        is_late = point == "before the Fireworks"
        if is_late and args[0]._collection.name != "fireworks":  # noqa: SLF001
            return real(*args, **kwargs)
        monkeypatch.setattr(place, name, real)
        clock = getattr(locks, "_clock", None)
        meanwhile()
        # It was stopped for longer than a lock is kept without a heartbeat.
        if clock is not None:
            monkeypatch.setattr(locks, "_clock", lambda: clock() + 1000)
        return real(*args, **kwargs)

    monkeypatch.setattr(place, name, stopped)


def taken_over(dispatch: Dispatch) -> FeedReport:
    """Feed as another host does that finds the lock expired."""
    old = datetime.now(UTC) - timedelta(hours=1)
    elsewhere = {"host": "elsewhere", "beat_at": old}
    dispatch.stores.locks.collection.update_many({}, {"$set": elsewhere})
    return dispatch.feed()


def assert_each_once(dispatch: Dispatch, execution_folder: Path) -> None:
    """Count that every candidate is in one state and was computed once."""
    items = list(Backlog.read(dispatch.stores, dispatch.campaign.spec.name).items)
    kinds = [item.ending and item.ending.kind for item in items]
    assert kinds == [EndingKind.COMPUTED] * len(items)
    relaxed = sorted(
        one.start.content_key or ""
        for one in read_executions(execution_folder).executions
        if one.start.step == "relax" and one.outcome is Outcome.COMPLETED
    )
    assert relaxed == sorted(item.content_key for item in items)


@pytest.mark.parametrize("finished", [False, True], ids=["sent", "sent and computed"])
@pytest.mark.parametrize("point", POINTS)
def test_a_feeder_stopped_while_it_sends(
    dispatch: Dispatch,
    execution_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    *,
    finished: bool,
) -> None:
    """Another one takes over and sends; the first wakes and goes on where it was."""
    dispatch.submit(chunk=2)
    sent = []

    def meanwhile() -> None:
        sent.append(taken_over(dispatch).sent)
        sent.append(taken_over(dispatch).repaired)
        if finished:
            dispatch.launch()
            taken_over(dispatch)

    stop_at(point, monkeypatch, meanwhile)
    try:
        report = dispatch.feed()
        claimed = report.sent
    except (StoreError, SubmissionError):
        claimed = 0
    assert sent
    assert claimed == 0, "the one that was stopped says that it sent, too"
    dispatch.finish()
    # What the first one left, if anything, is never run.
    dispatch.launch()
    assert_each_once(dispatch, execution_folder)
    assert set(dispatch.states()) <= {"DEFUSED"}


def test_what_one_dispatch_has_in_hand_no_other_one_takes(
    dispatch: Dispatch, execution_folder: Path
) -> None:
    """Whatever the backlog says: it was changed by hand, or restored."""
    dispatch.submit(chunk=2)
    dispatch.feed()
    dispatch.launch(rockets=1)
    blocks = dispatch.stores.backlog.collection
    (block,) = blocks.find({})
    items = [{**one, "dispatch_id": None, "fw_id": None} for one in block["items"]]
    blocks.update_one({"_id": block["_id"]}, {"$set": {"items": items}})
    dispatch.finish()
    assert_each_once(dispatch, execution_folder)


def test_a_feeder_killed_after_it_had_claimed(
    dispatch: Dispatch, execution_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote down is nobody's: the next one sends it."""
    dispatch.submit(chunk=2)

    def killed() -> None:
        raise KeyboardInterrupt

    stop_at("before the block", monkeypatch, killed)
    with pytest.raises(KeyboardInterrupt):
        dispatch.feed()
    assert dispatch.feed().in_hand == 6
    dispatch.finish()
    assert_each_once(dispatch, execution_folder)


def test_a_second_firework_of_a_dispatch_is_not_run(
    dispatch: Dispatch, execution_folder: Path
) -> None:
    """It was inserted after all was over, past every index."""
    dispatch.submit(chunk=2)
    dispatch.feed()
    fireworks = list(dispatch.launchpad.fireworks.find({}))
    workflows = list(dispatch.launchpad.workflows.find({}))
    dispatch.launch()
    dispatch.feed()
    dispatch.launchpad.workflows.insert_many(workflows)
    dispatch.launchpad.fireworks.insert_many(fireworks)
    dispatch.launch()
    assert dispatch.states() == {"DEFUSED": 3}
    dispatch.finish()
    assert_each_once(dispatch, execution_folder)
    assert dispatch.states() == {}

"""The backlog: in order, in blocks, and nothing of another process overwritten."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.records.backlog import (
    Backlog,
    keys_in_hand,
    keys_sent,
    read_blocks,
    read_submission,
    read_submissions,
    reopened,
    write_submission,
)
from hts_battery.errors import StoreError
from hts_battery.schemas.dispatch import (
    BLOCK_SIZE,
    BacklogItem,
    DispatchMode,
    Ending,
    EndingKind,
    Hold,
    Submission,
)
from hts_battery.schemas.structure import OrderingMethod

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Lease:
    """A lock that is held until it is lost."""

    lost = False

    def check(self) -> None:
        if self.lost:
            raise StoreError("lost")


LEASE: Any = Lease()


def item(number: int, **changes: Any) -> BacklogItem:  # noqa: ANN401 - any field
    return BacklogItem(
        content_key=f"{number:024x}",
        candidate_id=f"c{number}",
        formula="LiF",
        **changes,
    )


def ending(kind: EndingKind, **changes: Any) -> Ending:  # noqa: ANN401 - any field
    return Ending(kind=kind, time=NOW, **changes)


def submission(campaign: str, **changes: Any) -> Submission:  # noqa: ANN401 - any field
    return Submission(
        campaign=campaign,
        worker="w",
        mode=DispatchMode.CHUNKS,
        chunk=2,
        window=3,
        time=NOW,
        host="h",
        **changes,
    )


def test_candidates_stay_in_the_order_in_which_they_came(stores: Stores) -> None:
    items = [item(number) for number in range(2 * BLOCK_SIZE + 5)]
    backlog = Backlog.read(stores, "one")
    assert list(backlog.items) == []
    backlog.append(items[: BLOCK_SIZE + 1])
    backlog.save(LEASE)
    backlog.append(items[BLOCK_SIZE + 1 :])
    backlog.save(LEASE)
    again = Backlog.read(stores, "one")
    assert list(again.items) == items
    assert len(again) == len(items)
    blocks = read_blocks(stores, "one")
    assert [len(block.items) for block in blocks] == [BLOCK_SIZE, BLOCK_SIZE, 5]
    assert items[7].content_key in again
    assert "nobody's" not in again


def test_only_blocks_that_changed_are_written(stores: Stores) -> None:
    backlog = Backlog.read(stores, "one")
    backlog.append(item(number) for number in range(BLOCK_SIZE + 1))
    backlog.save(LEASE)
    key = item(BLOCK_SIZE).content_key
    backlog.change(key, dispatch_id="d", fw_id=3)
    backlog.save(LEASE)
    assert [block.revision for block in read_blocks(stores, "one")] == [1, 2]
    found = Backlog.read(stores, "one")[key]
    assert (found.dispatch_id, found.fw_id) == ("d", 3)
    backlog.save(LEASE)  # nothing to write
    assert [block.revision for block in read_blocks(stores, "one")] == [1, 2]


def test_what_another_process_wrote_is_not_overwritten(stores: Stores) -> None:
    mine = Backlog.read(stores, "one")
    mine.append([item(1)])
    mine.save(LEASE)
    theirs = Backlog.read(stores, "one")
    theirs.change(item(1).content_key, dispatch_id="theirs")
    theirs.save(LEASE)
    mine.change(item(1).content_key, dispatch_id="mine")
    with pytest.raises(StoreError, match="changed by another process"):
        mine.save(LEASE)
    assert Backlog.read(stores, "one")[item(1).content_key].dispatch_id == "theirs"


def test_nothing_is_written_without_the_lock(stores: Stores) -> None:
    lost: Any = Lease()
    lost.lost = True
    backlog = Backlog.read(stores, "one")
    backlog.append([item(1)])
    with pytest.raises(StoreError, match="lost"):
        backlog.save(lost)
    with pytest.raises(StoreError, match="lost"):
        write_submission(stores, submission("one"), lost)
    assert read_blocks(stores, "one") == []
    assert read_submissions(stores) == []


def test_submissions_come_by_name(stores: Stores) -> None:
    for name in ("two", "one", "three"):
        write_submission(stores, submission(name), LEASE)
    assert [one.campaign for one in read_submissions(stores)] == ["one", "three", "two"]
    assert [one.campaign for one in read_submissions(stores, ["two"])] == ["two"]
    write_submission(stores, submission("two", hold=Hold.PAUSED), LEASE)
    found = read_submission(stores, "two")
    assert found is not None
    assert found.hold is Hold.PAUSED
    assert read_submission(stores, "none") is None
    assert len(read_submissions(stores)) == 3


def backlog_of(stores: Stores, campaign: str, *items: BacklogItem) -> None:
    backlog = Backlog.read(stores, campaign)
    backlog.append(items)
    backlog.save(LEASE)


def test_what_is_sent_and_has_not_ended_is_in_a_queue(stores: Stores) -> None:
    done = ending(EndingKind.COMPUTED)
    backlog_of(
        stores,
        "one",
        item(1),
        item(2, dispatch_id="d"),
        item(3, dispatch_id="d", ending=done),
    )
    backlog_of(stores, "two", item(4, dispatch_id="d"))
    assert keys_sent(stores) == {item(2).content_key, item(4).content_key}
    assert keys_sent(stores, besides="two") == {item(2).content_key}


@pytest.mark.parametrize(
    ("theirs", "hold", "asked", "shared"),
    [
        ({"sqs": 2}, None, {}, {1, 2}),
        ({"sqs": 3}, None, {"sqs": 3}, {1, 2}),
        ({"sqs": 1}, None, {}, set()),
        ({"random": 2}, None, {}, set()),
        ({"sqs": 2}, Hold.PAUSED, {}, {1, 2}),
        ({"sqs": 2}, Hold.CANCELLED, {}, {2}),
        ({"sqs": 2}, None, {"sqs": 1}, {1}),
    ],
)
def test_another_campaign_computes_enough_or_it_does_not_count(
    stores: Stores,
    theirs: dict[str, int],
    hold: Hold | None,
    asked: dict[str, int],
    shared: set[int],
) -> None:
    spec = {"structure": {"n_orderings": theirs}}
    stores.campaigns.update({"name": "two", "spec": spec}, key="name")
    write_submission(stores, submission("two", hold=hold), LEASE)
    sent = item(2, dispatch_id="d", asked=asked or theirs)
    backlog_of(stores, "two", item(1), sent, item(3, ending=ending(EndingKind.FAILED)))
    wanted = {OrderingMethod.SQS: 2}
    found = keys_in_hand(stores, wanted, 0, besides="one")
    assert found == {item(number).content_key for number in shared}
    assert keys_in_hand(stores, wanted, 0, besides="two") == set()


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (None, 0),
        (ending(EndingKind.FAILED, node_hours=2.0), 1),
        (ending(EndingKind.CANCELLED), 0),
        (ending(EndingKind.CANCELLED, launches=1), 1),
    ],
)
def test_what_is_sent_again_keeps_what_it_has_cost(
    last: Ending | None, kept: int
) -> None:
    before = ending(EndingKind.FAILED, node_hours=1.0)
    sent = item(1, dispatch_id="d", fw_id=3, ending=last, earlier=(before,))
    found = reopened(sent, retry=True)
    assert (found.dispatch_id, found.fw_id, found.ending) == (None, None, None)
    assert found.retry
    assert len(found.earlier) == 1 + kept
    assert found.earlier[0] == before

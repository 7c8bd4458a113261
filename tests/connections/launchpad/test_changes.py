from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from fireworks import FWAction, FWorker
from jobflow import job
from pymongo.errors import AutoReconnect

from hts_battery.connections.launchpad.changes import (
    archive,
    remove_orphans,
    take_back,
)
from hts_battery.connections.launchpad.launchpad import (
    Batch,
    ExactLaunchPad,
    open_launchpad,
    send,
)
from hts_battery.connections.launchpad.workflows import read_ended, read_workflows
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@pytest.fixture
def launchpad(database: Database) -> Iterator[ExactLaunchPad]:
    with open_launchpad(database) as opened:
        yield opened


@job
def nothing() -> None:
    """Do nothing."""


def batches(count: int) -> list[Batch]:
    return [
        Batch(str(uuid4()), nothing(), f"hts {number}", {"_fworker": "here"}, number)
        for number in range(1, count + 1)
    ]


def test_what_is_sent_is_found_again(launchpad: ExactLaunchPad) -> None:
    sent = batches(3)
    send(sent, launchpad, "test")
    ids = {one.dispatch_id: one.fw_id for one in sent}
    found = read_workflows(launchpad, "test")
    assert {one.dispatch_id: one.fw_id for one in found.values()} == ids
    assert not any(one.has_begun or one.is_over for one in found.values())
    assert read_workflows(launchpad, "other") == {}
    send([], launchpad, "test")
    assert read_workflows(launchpad, "test") == found


def test_the_indexes_are_there(launchpad: ExactLaunchPad) -> None:
    for name, field in (
        ("fireworks", "spec.hts_dispatch_id"),
        ("fireworks", "spec.hts_campaign"),
        ("workflows", "metadata.hts_campaign"),
        ("workflows", "metadata.hts_dispatch_id"),
    ):
        known = getattr(launchpad, name).index_information().values()
        assert field in {found["key"][0][0] for found in known}


def test_a_rocket_or_the_operator_has_a_firework_never_both(
    launchpad: ExactLaunchPad, database: Database
) -> None:
    send(batches(24), launchpad, "test")
    workflows = list(read_workflows(launchpad, "test").values())

    def check_out(_: int) -> set[str]:
        taken = set()
        with open_launchpad(database) as opened:
            while True:
                firework, _launch = opened.checkout_fw(FWorker(name="here"), "/tmp")  # noqa: S108 - only a name
                if firework is None:
                    return taken
                taken.add(firework.spec["hts_dispatch_id"])

    with ThreadPoolExecutor(3) as pool:
        rockets = [pool.submit(check_out, number) for number in range(2)]
        mine = pool.submit(take_back, launchpad, reversed(workflows)).result()
        theirs = [rocket.result() for rocket in rockets]
    assert mine
    assert len(mine) + sum(map(len, theirs)) == len(workflows)
    assert mine.union(*theirs) == {one.dispatch_id for one in workflows}
    found = read_workflows(launchpad, "test")
    assert {one.dispatch_id for one in found.values() if one.is_over} == mine
    assert launchpad.workflows.count_documents({"locked": True}) == 0
    assert launchpad.fireworks.count_documents({"state": "RESERVED"}) == 0


def test_remains_of_half_an_insertion(launchpad: ExactLaunchPad) -> None:
    sent = batches(3)
    send(sent, launchpad, "test")
    ids = {one.dispatch_id: one.fw_id for one in sent}
    first, second, third = (one.dispatch_id for one in sent)
    launchpad.fireworks.delete_one({"fw_id": ids[first]})
    launchpad.workflows.delete_one({"nodes": ids[second]})
    assert remove_orphans(launchpad, [first, second, third]) == 2
    assert list(read_workflows(launchpad, "test")) == [third]
    assert remove_orphans(launchpad, [first, second, third]) == 0
    assert remove_orphans(launchpad, []) == 0


def test_archiving_twice_keeps_the_first_copy(
    launchpad: ExactLaunchPad, stores: Stores
) -> None:
    send(batches(2), launchpad, "test")
    for _ in range(2):
        _, launch = launchpad.checkout_fw(FWorker(name="here"), "/tmp")  # noqa: S108 - only a name
        launchpad.complete_launch(launch, FWAction())
    over = list(read_workflows(launchpad, "test").values())
    assert all(one.is_over for one in over)
    ended = read_ended(launchpad, over)
    launches = list(launchpad.launches.find())
    workflows = list(launchpad.workflows.find())
    archive(launchpad, stores.archived_workflows, ended)
    before = list(stores.archived_workflows.query(sort={"fw_id": 1}))
    assert [len(doc["launches"]) for doc in before] == [1, 1]
    # Killed before its last deletions.
    launchpad.launches.insert_many(launches[:1])
    launchpad.workflows.insert_many(workflows)
    again = read_ended(launchpad, list(read_workflows(launchpad, "test").values()))
    archive(launchpad, stores.archived_workflows, again)
    assert list(stores.archived_workflows.query(sort={"fw_id": 1})) == before
    for name in ("fireworks", "workflows", "launches"):
        assert getattr(launchpad, name).count_documents({}) == 0
    assert read_ended(launchpad, []) == []


def test_insertion_that_fails(
    launchpad: ExactLaunchPad, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise AutoReconnect("connection closed")

    monkeypatch.setattr(launchpad, "insert_numbered", gone)
    with pytest.raises(SubmissionError, match=r"2 workflows of test .* feed"):
        send(batches(2), launchpad, "test")

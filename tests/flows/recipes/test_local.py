"""One candidate after the other in one process: what is left out, kept and written."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from fakes import FakeCountedRelaxMaker, FakeRelaxMaker

from hts_battery.campaign.registration import register
from hts_battery.errors import StoreError, SubmissionError
from hts_battery.flows.recipes.calculated import read_one, store_failures
from hts_battery.flows.recipes.local import (
    CandidateRun,
    _short,
    candidate_lock,
    host_name,
    refuse_full,
    tidy_launches,
)
from hts_battery.schemas.campaign import candidate_key

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

pytestmark = pytest.mark.mongo


@pytest.fixture
def run(
    small_campaign: Campaign, tmp_path: Path, execution_folder: Path
) -> CandidateRun:
    del execution_folder  # where the jobs of this test are recorded
    return CandidateRun(
        small_campaign.spec, tmp_path / "launches", relax_maker=FakeRelaxMaker()
    )


def members(campaign: Campaign) -> list[tuple[int, CandidateDoc]]:
    return list(campaign.members())


def test_only_what_lacks_something_is_listed(
    run: CandidateRun, small_campaign: Campaign, stores: Stores
) -> None:
    register(small_campaign, stores)
    listed = members(small_campaign)
    everything = list(run.unfinished(listed, stores))
    assert everything == [candidate for _, candidate in listed]
    run.make_ready(everything, stores)
    compute = run.started(stores)
    assert compute(everything[0])
    assert list(run.unfinished(listed, stores)) == everything[1:]
    # Another process has it by now: nothing is computed twice.
    assert not compute(everything[0])


def test_what_another_process_computes_is_left_to_it(
    run: CandidateRun, small_campaign: Campaign, stores: Stores
) -> None:
    candidate = members(small_campaign)[0][1]
    key = candidate_key(candidate, run.spec.calculation)
    compute = run.started(stores)
    with candidate_lock(run.launch_folder, key) as ours:
        assert ours
        assert not compute(candidate)
    assert compute(candidate)


def test_a_failure_is_written_down_and_tried_again_only_when_asked(
    run: CandidateRun, small_campaign: Campaign, stores: Stores
) -> None:
    listed = members(small_campaign)[:1]
    candidate = listed[0][1]
    failing = replace(run, relax_maker=FakeRelaxMaker(error="no licence"))
    assert failing.started(stores)(candidate)
    key = candidate_key(candidate, run.spec.calculation)
    known = read_one(stores, key)
    assert {one["error_message"] for one in known.failures} == {"no licence"}
    assert list(run.unfinished(listed, stores)) == []
    again = replace(run, retry_failed=True)
    assert list(again.unfinished(listed, stores)) == [candidate]
    assert again.started(stores)(candidate)
    assert read_one(stores, key).failures == ()
    assert stores.failures.count() == 0


def test_makers_are_written_once_for_many_candidates(
    run: CandidateRun, small_campaign: Campaign, stores: Stores, tmp_path: Path
) -> None:
    counted = replace(
        run, relax_maker=FakeCountedRelaxMaker(counter=str(tmp_path / "calls"))
    )
    compute = counted.started(stores)
    for _, candidate in members(small_campaign):
        assert compute(candidate)
    orderings = sum(run.spec.structure.n_orderings.values())
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == orderings * len(members(small_campaign))
    assert stores.tasks.count({"metadata.step": "relax"}) == len(calls)


@pytest.mark.parametrize(
    "failures",
    [
        [],
        [
            {
                "step": "relax",
                "ordering_id": "a",
                "error_class": "E",
                "error_message": "m",
            }
        ],
        [{"step": "gate", "ordering_id": None}, {"step": "relax", "ordering_id": "b"}],
    ],
)
def test_what_failed_stands_in_place_of_what_stood_there(
    stores: Stores, failures: list[dict[str, Any]]
) -> None:
    before = [{"step": "order", "ordering_id": None, "error_class": "Old"}]
    store_failures(stores, "key", "candidate", before)
    store_failures(stores, "key", "candidate", failures)
    assert list(read_one(stores, "key").failures) == failures
    doc = stores.failures.query_one({"content_key": "key"})
    assert (doc is None) is (not failures)
    if doc is not None:
        assert doc["error_class"] == failures[0].get("error_class")
        assert doc["candidate_id"] == "candidate"


def test_a_lock_is_gone_with_its_block(tmp_path: Path) -> None:
    with candidate_lock(tmp_path, "k") as ours:
        assert ours
        assert [path.name for path in (tmp_path / "locks").iterdir()] == ["k.lock"]
        with candidate_lock(tmp_path, "k") as theirs:
            assert not theirs
        with candidate_lock(tmp_path, "other") as also:
            assert also
    assert list((tmp_path / "locks").iterdir()) == []


def test_a_folder_that_cannot_hold_locks_says_what_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file")
    with (
        pytest.raises(StoreError, match="keeps two processes from computing the same"),
        candidate_lock(tmp_path, "k"),
    ):
        pass


@pytest.mark.parametrize(("quota", "refused"), [(None, False), (10, False), (9, True)])
def test_launch_folders_may_hold_so_much(
    tmp_path: Path, quota: int | None, refused: bool
) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "WAVECAR").write_bytes(b"0123456789")
    if refused:
        with pytest.raises(SubmissionError, match="raise launch_quota"):
            refuse_full(tmp_path, quota)
    else:
        refuse_full(tmp_path, quota)
    refuse_full(tmp_path / "absent", 0)


def test_only_folders_of_ended_processes_of_this_host_are_tidied(
    tmp_path: Path, stores: Stores
) -> None:
    here, other = _short(host_name()), "0" * 8
    names = {
        "ended": f"launch-{here}-999999999-{_short('gone')}-x",
        "other host": f"launch-{other}-999999999-{_short('gone')}-x",
        "not ours": "launch-somebody",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
    # Empty, so nothing in it is anybody's.
    assert tidy_launches(tmp_path, stores.tasks) == []
    left = {path.name for path in tmp_path.iterdir()}
    assert names["other host"] in left
    assert names["not ours"] in left
    assert all(re.match("launch-", name) for name in left)

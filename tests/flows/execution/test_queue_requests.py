"""What a queue is asked for: first of every engine, and more of it after a failure."""

from __future__ import annotations

import pytest

from hts_battery.flows.execution.queue_requests import (
    QUEUE_LIMITS,
    added_factors,
    larger_request,
    largest_request,
    policy_factors,
    queue_request,
    queue_rule,
    queue_rules,
    repeated_config,
)
from hts_battery.schemas.failure import FailureClass

MEMORY, TIME, NODE = (
    FailureClass.OUT_OF_MEMORY,
    FailureClass.WALLTIME,
    FailureClass.NODE,
)


@pytest.mark.parametrize(
    "engine",
    [
        *("chgnet", "vasp-mp-gga", "gpaw", "forcefield:MACE-MP-0"),
        *("vasp-mp24", "gpaw-fixed-cell", "ionic", "rehearsal:vasp-mp-gga", "new"),
    ],
)
def test_f10_after_out_of_memory_the_next_request_holds_more(engine: str) -> None:
    rule = queue_rule(engine)
    first = queue_request(rule, atoms=40)
    again = queue_request(rule, atoms=40, factors=policy_factors([MEMORY]))
    last = queue_request(rule, atoms=40, factors=policy_factors([MEMORY] * 2))
    sizes = [int(one["mem"].removesuffix("G")) for one in (first, again, last)]
    assert sizes == [sizes[0], 2 * sizes[0], 4 * sizes[0]]


def test_f10_a_vasp_launch_lost_for_memory() -> None:
    lost = larger_request({"walltime": "12:00:00"}, {"memory": 2}, max_hours=24)
    assert lost == {"walltime": "12:00:00", "mem": "8G"}


def test_every_rule_asks_for_memory() -> None:
    for rule in queue_rules():
        for atoms in (4, 40, 400, None):
            request = queue_request(rule, atoms=atoms)
            assert set(request) == {"walltime", "mem"}
            assert rule.memory_of(atoms) <= rule.memory


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"mem": "4G"}, {"mem": "8G"}),
        ({"mem": "4GB"}, {"mem": "8GB"}),
        ({"mem": "4000"}, {"mem": "8000"}),
        ({"mem": "1.5G"}, {"mem": "3G"}),
        ({"mem": "900m"}, {"mem": "1800m"}),
        ({"mem_per_cpu": "2G"}, {"mem_per_cpu": "4G"}),
        ({"pmem": "512mb"}, {"pmem": "1024mb"}),
        ({}, {"mem": "8G"}),
        ({"mem": ""}, {"mem": "8G"}),
        ({"mem": "all"}, {"mem": "8G"}),
    ],
)
def test_memory_is_doubled_as_it_was_asked_for(
    before: dict[str, object], after: dict[str, object]
) -> None:
    assert larger_request(before, {"memory": 2}, max_hours=24) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [("02:00:00", "04:00:00"), ("1-00:00:00", "48:00:00"), ("02:30", "05:00:00")],
)
def test_time_is_doubled(before: str, after: str) -> None:
    found = larger_request({"walltime": before}, {"wall_time": 2}, max_hours=48)
    assert found == {"walltime": after}


def test_nobody_asks_for_more_than_the_worker_allows() -> None:
    rule = queue_rule("vasp-mp-gga")
    found = queue_request(rule, atoms=40, max_hours=2, max_memory=20.5)
    assert found == {"walltime": "02:00:00", "mem": "20G"}
    limits = {"max_hours": 24, "max_memory": 5}
    for before, after in (("4G", "5G"), ("4000M", "5120M"), ("4096", "5120")):
        found_ = larger_request({"mem": before}, {"memory": 4}, **limits)
        assert found_ == {"mem": after}
    assert largest_request("chgnet", atoms=8, max_hours=24, max_memory=6)["mem"] == "6G"


def test_less_than_a_gigabyte_is_not_everything() -> None:
    # For Slurm a request of 0 is all that a node has.
    rule = queue_rule("ionic").model_copy(update={"memory": 0.2})
    assert queue_request(rule, atoms=8)["mem"] == "1G"
    assert queue_request(rule, atoms=8, max_memory=0.1)["mem"] == "1G"


def test_a_request_that_grew_is_not_multiplied_again() -> None:
    assert added_factors([TIME] * 3) == {"wall_time": 2}
    assert added_factors([TIME] * 4) == {}
    assert added_factors([MEMORY, NODE]) == {}
    # Losses that a launchpad saw are not in what the job itself was made with.
    assert added_factors([MEMORY, MEMORY], known=0) == {"memory": 4}
    config = {
        "_fworker": "slurm",
        "_queueadapter": {"walltime": "10:00:00", "mem": "32G"},
        QUEUE_LIMITS: {"max_hours": 12, "max_memory": 100},
    }
    found = repeated_config(config, [MEMORY, TIME, TIME, TIME, MEMORY], known=0)
    assert found["_queueadapter"] == {"walltime": "12:00:00", "mem": "100G"}
    assert config["_queueadapter"] == {"walltime": "10:00:00", "mem": "32G"}
    assert repeated_config({"_fworker": "x"}, [MEMORY]) == {"_fworker": "x"}

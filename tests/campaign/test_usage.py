from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.campaign.usage import campaign_usage, execution_usage, launch_usage
from hts_battery.connections.launchpad.accounting import (
    Accounted,
    accounted_jobs,
    read_accounting,
)
from hts_battery.schemas.execution import Execution, ExecutionEnd, ExecutionStart
from hts_battery.schemas.launchpad_job import LaunchpadJob

if TYPE_CHECKING:
    from pathlib import Path

    from dispatched import Dispatch

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0


def job(state: str, seconds: float, **fields: Any) -> LaunchpadJob:  # noqa: ANN401 - fields of the document
    return LaunchpadJob.model_validate(
        {
            "fw_id": 1,
            "name": "relax",
            "state": state,
            "step": "relax",
            "launches": 1,
            "seconds": seconds,
            "last_seconds": seconds,
            **fields,
        }
    )


def test_launches_by_how_they_ended() -> None:
    (found,) = launch_usage(
        [
            job("COMPLETED", HOUR, asked={"walltime": "02:00:00", "mem": "4G"}),
            job("COMPLETED", 2 * HOUR, asked={"walltime": "1-00:00:00"}),
            job("FIZZLED", HOUR, error="Traceback"),
            job("FIZZLED", HOUR),
            job("RUNNING", HOUR),
        ],
        nodes=2,
        accounted={},
    )
    assert (found.runs, found.completed, found.failed, found.lost, found.running) == (
        5,
        2,
        1,
        1,
        1,
    )
    assert found.hours == pytest.approx(6)
    assert found.node_hours == pytest.approx(12)
    assert found.useful == pytest.approx(0.5)
    assert found.median_seconds == pytest.approx(1.5 * HOUR)
    assert found.used_of_asked == pytest.approx((0.5 + 2 / 24) / 2)
    assert found.asked_memory == pytest.approx(4)
    assert found.memory is found.cpu is None


def test_launches_that_were_lost_before_the_last_are_counted() -> None:
    twice = job("COMPLETED", 5 * HOUR, launches=3, last_seconds=2 * HOUR)
    (found,) = launch_usage([twice], nodes=1, accounted={})
    assert (found.completed, found.lost) == (1, 2)
    assert found.useful == pytest.approx(0.4)


def test_the_accounting_adds_memory_and_cpu() -> None:
    accounted = {"7": Accounted(100.0, 150.0, 2, 3 * 2.0**30)}
    (found,) = launch_usage([job("COMPLETED", 100, queue_id="7.server")], 1, accounted)
    assert found.cpu == pytest.approx(0.75)
    assert found.memory == pytest.approx(3)
    assert found.accounted == 1


def execution(step: str, outcome: str, seconds: float | None) -> Execution:
    start = ExecutionStart(
        execution_id="1",
        job_uuid="u",
        name="relax",
        step=step,
        host="here",
        pid=1,
        process="1:1",
        time=NOW,
    )
    end = None
    if seconds is not None:
        end = ExecutionEnd(execution_id="1", outcome=outcome, time=NOW, seconds=seconds)
    return Execution(start=start, end=end, outcome=outcome)


def test_executions_without_what_holds_others_or_computed_nothing() -> None:
    order, relax = execution_usage(
        [
            execution("order", "completed", 2),
            execution("relax", "completed", 8),
            execution("relax", "failed", 2),
            execution("relax", "interrupted", None),
            execution("relax", "unknown", None),
            execution("relax", "reused", 0),
            execution("chunk", "completed", 99),
        ]
    )
    assert (order.step, order.runs) == ("order", 1)
    assert (relax.runs, relax.completed, relax.failed, relax.lost, relax.running) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert relax.useful == pytest.approx(0.8)
    assert relax.node_hours is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("7|3600|01:00:00|4|", Accounted(3600, 3600, 4, None)),
        ("7|3600|2-00:00:00|4|1G", Accounted(3600, 172_800, 4, 2.0**30)),
        ("7|||1|", Accounted(0, 0, 1, None)),
        ("7|60|00:59.5|1|512Kn", Accounted(60, 59.5, 1, 512 * 1024)),
    ],
)
def test_lines_of_the_accounting(line: str, expected: Accounted) -> None:
    assert read_accounting(line + "\n") == {"7": expected}


def test_steps_of_a_job_tell_its_memory() -> None:
    text = "7|60|00:30|1|\n7.batch|60|00:30|1|1G\n7.0|60|00:10|1|3G\nnoise\n"
    assert read_accounting(text)["7"].memory == 3 * 2.0**30


def test_the_accounting_is_asked_only_where_there_is_one(tmp_path: Path) -> None:
    assert accounted_jobs(["1"], command=("no-such-sacct",)) is None
    fake = tmp_path / "sacct"
    fake.write_text("#!/bin/sh\necho '1|60|00:30|1|2G'\n")
    fake.chmod(0o700)
    assert accounted_jobs(["1.x"], command=(str(fake),)) == {
        "1": Accounted(60, 30, 1, 2 * 2.0**30)
    }
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o700)
    assert accounted_jobs(["1"], command=(str(broken),)) == {}


@pytest.mark.mongo
def test_a_campaign_of_a_queue(dispatch: Dispatch, execution_folder: Path) -> None:
    dispatch.submit(chunk=2)
    assert dispatch.finish().is_done
    found = campaign_usage(
        dispatch.stores,
        "small",
        execution_folder=execution_folder,
        account=lambda _: None,
    )
    steps = {(one.source, one.step): one for one in found.steps}
    assert steps["launches", "chunk"].completed == 3
    assert steps["executions", "relax"].completed == 6
    assert found.node_hours > 0
    assert "all 3 Fireworks ran outside a queue" in found.missing[0]

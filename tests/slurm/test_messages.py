"""What the real Slurm writes about the jobs that it ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from hts_battery.flows.execution.evidence import Evidence, last_lines
from hts_battery.flows.execution.failures import classify
from hts_battery.schemas.failure import FailureClass

if TYPE_CHECKING:
    from pathlib import Path

    from slurm.one_node_slurm import OneNodeSlurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

GREEDY = "python3 -c 'import time; x = bytearray(500 * 10**6); time.sleep(60)'"
ONCE = "--no-requeue"


def submit(slurm: OneNodeSlurm, folder: Path, script: str, *options: str) -> str:
    return slurm.submit(f"echo began\n{script}", folder, ONCE, *options)


def wait_until_begun(folder: Path, *jobs: str) -> None:
    deadline = time.monotonic() + 60
    while not all((folder / f"slurm-{job}.out").exists() for job in jobs):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def lines_of(path: Path) -> tuple[str, ...]:
    """Read what a job printed, once Slurm has said why it ended it."""
    deadline = time.monotonic() + 120
    while len(lines := last_lines([path])) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    return lines


def test_ended_jobs_are_recognised(slurm: OneNodeSlurm, tmp_path: Path) -> None:
    walltime = submit(slurm, tmp_path, "sleep 300", "--time=1")
    memory = submit(slurm, tmp_path, GREEDY, "--mem=200M")
    cancelled = submit(slurm, tmp_path, "sleep 300")
    wait_until_begun(tmp_path, walltime, memory, cancelled)
    slurm.run("scancel", cancelled)
    slurm.wait_for_jobs(timeout=600)
    # The node is lost while a job of its own goes on, and comes back.
    node = submit(slurm, tmp_path, "sleep 300")
    wait_until_begun(tmp_path, node)
    slurm.kill_node()
    try:
        slurm.wait_for_node("down")
    finally:
        slurm.start_node()
    slurm.wait_for_jobs()

    assert slurm.state(walltime) == "TIMEOUT"
    assert slurm.state(cancelled) == "CANCELLED"
    assert slurm.state(node) == "NODE_FAIL"
    expected = {
        walltime: FailureClass.WALLTIME,
        memory: FailureClass.OUT_OF_MEMORY,
        cancelled: FailureClass.NODE,
        node: FailureClass.NODE,
    }
    for job, kind in expected.items():
        lines = lines_of(tmp_path / f"slurm-{job}.out")
        assert lines[0] == "began"
        assert classify(Evidence(last_lines=lines)).failure_class is kind, lines

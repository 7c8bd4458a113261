"""Sending ready Fireworks on their way from a rendered worker, as an operator would."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import yaml

from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = "local"
"""The worker that has no queue: its rockets run here."""

# -P: rockets start in a launch folder, whose files are no modules.
COMMANDS = ("-P", "-m", "hts_battery.connections.launchpad.fireworks_commands")
_LAST_LINES = 5


def launch_ready(worker: str, config: Path, launches: Path, *, jobs: int) -> None:
    """
    Send what is ready for a worker to its queue, or run it where there is none.

    Returns when nothing more is ready: jobs of a queue, of which there are at most
    ``jobs`` at once, may then still wait or run. A SubmissionError has the last lines
    that the launcher printed.
    """
    launches.mkdir(parents=True, exist_ok=True)
    where = ["-c", str(config)]
    if worker == LOCAL:
        words = ["rlaunch", *where, "rapidfire"]
    else:
        words = [
            *("qlaunch", *where, "--launch_dir", str(launches), "-r", "rapidfire"),
            *("--nlaunches", "0", "-m", str(jobs), "--sleep", "1"),
        ]
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, *COMMANDS, *words],
        env=os.environ | environment(config),
        cwd=launches,
        capture_output=True,
        text=True,
        check=False,
    )
    # FireWorks' launcher logs its errors and returns as if all were well.
    if done.returncode or "Traceback" in done.stderr + done.stdout:
        lines = (done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:]
        raise SubmissionError(f"worker {worker} cannot launch: {' | '.join(lines)}")


def environment(config: Path) -> dict[str, str]:
    """Return the variables by which the stack finds the files of a worker."""
    return {
        "FW_CONFIG_FILE": str(config / "FW_config.yaml"),
        "JOBFLOW_CONFIG_FILE": str(config / "jobflow.yaml"),
        "ATOMATE2_CONFIG_FILE": str(config / "atomate2.yaml"),
    }


def is_offline(config: Path) -> bool:
    """Say whether the jobs of a rendered worker do without the database."""
    adapter = yaml.safe_load((config / "my_qadapter.yaml").read_text("utf-8"))
    return "--offline" in adapter["rocket_launch"]

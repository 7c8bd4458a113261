"""Sending ready Fireworks on their way from a rendered worker, as an operator would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
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
_SUBMISSION_S = 10.0
_ENDING_S = 5.0


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
    with subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, *COMMANDS, *words],
        env=os.environ | environment(config),
        cwd=launches,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C must not end it between submitting a job and writing down its number.
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate()
        except BaseException:
            _end(process, 0.0 if worker == LOCAL else _SUBMISSION_S)
            raise
    # FireWorks' launcher logs its errors and returns as if all were well.
    if process.returncode or "Traceback" in printed:
        lines = printed.strip().splitlines()[-_LAST_LINES:]
        raise SubmissionError(f"worker {worker} cannot launch: {' | '.join(lines)}")


def _end(process: subprocess.Popen[str], patience: float) -> None:
    """Let a launcher write down what it submits, then end it with its rockets."""
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=patience)
        return
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDING_S)
            return


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

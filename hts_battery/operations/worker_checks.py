"""What is wrong with a rendered worker: its files, its interpreter, its queue."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.queue_worker import QueueWorker
from hts_battery.connections.workers.checks import CHECK, check_worker
from hts_battery.connections.workers.launch import LOCAL
from hts_battery.errors import ConfigurationError, QueueRefusalError
from hts_battery.schemas.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.launchpad.scheduler import QueueScheduler

_IMPORTS = "import hts_battery.connections.launchpad.fireworks_commands"
_TIMEOUT_S = 120.0


def examine_worker(
    config: Path, *, scheduler: QueueScheduler | None = None
) -> list[Finding]:
    """
    Find what is wrong with a rendered worker before a job waits for it.

    Parameters
    ----------
    config
        Folder of its files.
    scheduler
        Its queue, where that is not the one of its files.

    Returns
    -------
    list of Finding
        ``problem`` where a job would fail; ``warning`` where it could not be asked.
    """
    folder = config.expanduser().absolute()
    findings = check_worker(folder)
    if findings:
        return findings  # the rest would only repeat it
    worker = QueueWorker.read(folder)
    findings += _import(worker)
    if worker.name != LOCAL:
        findings += _attempt(worker, scheduler or worker.scheduler)
    return findings


def _import(worker: QueueWorker) -> Iterator[Finding]:
    """Whether the interpreter has what its rockets need."""
    program = shlex.split(worker.adapter["rocket_launch"])[0]
    where = str(worker.config / "my_qadapter.yaml")
    action = "install hts_battery there, or set HTS_PYTHON and render again"
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that jobs will run
            [program, "-c", _IMPORTS],
            cwd=worker.config,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        words = str(err)
    else:
        if not done.returncode:
            return
        lines = (done.stderr or done.stdout).strip().splitlines()
        words = lines[-1] if lines else f"status {done.returncode}"
    yield Finding(
        check=CHECK,
        level=Level.PROBLEM,
        what=f"{program} cannot run a rocket: {words}",
        where=where,
        action=action,
    )


def _attempt(worker: QueueWorker, queue: QueueScheduler) -> Iterator[Finding]:
    """Whether its queue would take its jobs, in the queue's own words."""
    where = str(worker.config / "my_qadapter.yaml")
    try:
        queue.jobs()
    except (QueueRefusalError, ConfigurationError) as err:
        yield Finding(
            check=CHECK,
            level=Level.WARNING,
            what=f"its queue was not asked: {err}",
            where=where,
            action=f"where it answers: hts worker test {worker.name}",
        )
        return
    with tempfile.TemporaryDirectory(prefix="hts-") as folder:
        script = Path(folder) / worker.script_name
        script.write_text(worker.script_of_nothing(Path(folder)), encoding="utf-8")
        words = queue.attempt(script)
    if words is not None:
        yield Finding(
            check=CHECK,
            level=Level.PROBLEM,
            what=f"its queue would not take a job: {words}",
            where=where,
            action="change what its jobs ask for, and render again",
        )

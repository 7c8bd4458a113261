"""A rehearsal through a queue in a process of its own, which a test interrupts."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PATIENCE_S = 240.0
_ENDING_S = 120.0
_SCRIPT = """
import sys, warnings
from pathlib import Path
from hts_battery.campaign.spec_file import load_campaign
from hts_battery.operations import queued_rehearsal, rehearsal

warnings.simplefilter("ignore")
# The queue is what is asked about; without competing phases it is there sooner.
rehearsal._compute_references = lambda *_: 0
queued_rehearsal.ensure_references = lambda *_, **__: None
campaign, templates = load_campaign(Path(sys.argv[1])), Path(sys.argv[2])
rehearsal.rehearse(campaign, route=queued_rehearsal.Route("slurm", templates, jobs=2))
"""


def interrupt(
    campaign: Path,
    templates: Path,
    environment: Mapping[str, str],
    *,
    when: Callable[[], bool],
    how: signal.Signals,
) -> int:
    """Run a rehearsal, send it a signal when something is so; return its status."""
    process = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", _SCRIPT, str(campaign), str(templates)],
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs there
    )
    try:
        end = time.monotonic() + _PATIENCE_S
        while not when():
            if process.poll() is not None or time.monotonic() > end:
                process.kill()
                raise AssertionError(process.communicate()[0])
            time.sleep(0.1)
        process.send_signal(how)
        # Somebody who is impatient.
        time.sleep(0.5)
        process.send_signal(how)
        printed, _ = process.communicate(timeout=_ENDING_S)
    finally:
        process.kill()
    assert "Error" not in printed, printed
    return process.returncode

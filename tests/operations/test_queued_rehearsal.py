"""A rehearsal that is interrupted leaves no queue job and no folder."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from interrupted_rehearsal import interrupt
from slurm.rendered_worker import MODEST, TEMPLATES

from hts_battery.operations.rehearsal import REHEARSALS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FAKE_QUEUE = """#!{python}
# A queue whose jobs wait for ever; what was cancelled is gone.
import sys
from pathlib import Path

jobs, command = Path("{folder}"), Path(sys.argv[0]).name
if command == "sbatch":
    number = 100 + len(list(jobs.glob("*.*")))
    (jobs / f"{{number}}.waits").touch()
    print(f"Submitted batch job {{number}}")
elif command == "scancel":
    (jobs / f"{{sys.argv[1]}}.waits").rename(jobs / f"{{sys.argv[1]}}.cancelled")
elif command == "scontrol":
    job = jobs / f"{{sys.argv[3]}}.waits"
    waits = sys.argv[2] == "job" and job.exists()
    print("JobState=PENDING" if waits else "Invalid job id specified")
    sys.exit(not waits)
elif "-u" in " ".join(sys.argv) or "--format=%A" in sys.argv:
    print("\\n".join(one.stem for one in sorted(jobs.glob("*.waits"))))
"""


class FakeWaitingQueue:
    """Commands of Slurm in a folder: its jobs wait until they are cancelled."""

    def __init__(self, folder: Path) -> None:
        self.jobs, self.commands = folder / "jobs", folder / "bin"
        for one in (self.jobs, self.commands):
            one.mkdir(parents=True)
        text = _FAKE_QUEUE.format(python=sys.executable, folder=self.jobs)
        for name in ("sbatch", "squeue", "scancel", "scontrol"):
            (self.commands / name).write_text(text)
            (self.commands / name).chmod(0o755)

    def count(self, state: str) -> int:
        return len(list(self.jobs.glob(f"*.{state}")))


@pytest.mark.mongo
@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_an_interrupted_rehearsal_leaves_no_job_and_no_folder(
    tmp_path: Path,
    campaign_file: Callable[..., Path],
    how: signal.Signals,
    status: int,
) -> None:
    queue = FakeWaitingQueue(tmp_path / "queue")
    campaign = campaign_file(
        ("engine: chgnet", "engine: vasp-mp-gga"),
        ("iterations: 500", "n_orderings: {random: 1}"),
    )
    data = tmp_path / "data"
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("HTS_")},
        **MODEST,
        "PATH": f"{queue.commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(TEMPLATES.parent),
        "HTS_BATTERY_DATA_DIR": str(data),
    }
    found = interrupt(
        campaign,
        TEMPLATES,
        environment,
        when=lambda: queue.count("waits") == 2,
        how=how,
    )
    assert found in {status, 130 if how is signal.SIGINT else status}
    assert (queue.count("waits"), queue.count("cancelled")) == (0, 2)
    assert not (data / REHEARSALS).exists()

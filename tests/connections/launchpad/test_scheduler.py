"""What a queue says is kept: refusals, silence, time-outs, odd answers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

from hts_battery.connections.launchpad.scheduler import QueueScheduler
from hts_battery.errors import ConfigurationError, QueueRefusalError

if TYPE_CHECKING:
    from pathlib import Path

QOS = (
    "sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
)
CONTROLLER = "slurm_load_jobs error: Unable to contact slurm controller"


def queue(folder: Path, kind: str = "SLURM", **commands: str) -> QueueScheduler:
    """Return a queue whose commands are shell scripts of ours."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, script in commands.items():
        path = bin_folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    adapter = CommonAdapter(kind, rocket_launch="rlaunch singleshot")
    return QueueScheduler(adapter, {"PATH": f"{bin_folder}:{os.environ['PATH']}"})


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "launch" / "FW_submit.script"
    path.parent.mkdir()
    path.write_text("#!/bin/bash\n#SBATCH --nodes=1\n")
    return path


def test_the_number_is_read_and_the_job_submitted_from_its_folder(
    tmp_path: Path, script: Path
) -> None:
    slurm = queue(
        tmp_path, sbatch='pwd > where; echo "$1" >> where; echo Submitted batch job 42'
    )
    assert slurm.submit(script) == "42"
    assert (script.parent / "where").read_text().split() == [
        str(script.parent),
        script.name,
    ]
    lsf = queue(
        tmp_path,
        "LoadSharingFacility",
        bsub='cat > given; echo "Job <7> is submitted to queue <normal>."',
    )
    assert lsf.submit(script) == "7"
    assert (script.parent / "given").read_text() == script.read_text()


@pytest.mark.parametrize(
    ("kind", "command", "shell", "words", "may_have_it"),
    [
        ("SLURM", "sbatch", f"echo '{QOS}' >&2; exit 1", QOS, True),
        ("SLURM", "sbatch", "echo on stdout; exit 1", "on stdout", True),
        ("SLURM", "sbatch", "exit 3", "it ended with status 3", True),
        ("SLURM", "sbatch", "echo taken, I think", "taken, I think", True),
        ("SLURM", "sbatch", "echo half >&2; exit 0", "it said nothing", True),
        # These cannot be asked for a job by its name: a refusal is one.
        ("PBS", "qsub", "echo 'qsub: Unknown queue' >&2; exit 170", "Unknown", False),
        ("SGE", "qsub", "echo denied >&2; exit 1", "denied", False),
        ("LoadSharingFacility", "bsub", "echo full >&2; exit 255", "full", False),
    ],
)
def test_a_refusal_has_the_words_of_the_command(  # noqa: PLR0913, PLR0917 - a table
    tmp_path: Path,
    script: Path,
    kind: str,
    command: str,
    shell: str,
    words: str,
    may_have_it: bool,
) -> None:
    with pytest.raises(QueueRefusalError) as found:
        queue(tmp_path, kind, **{command: shell}).submit(script)
    assert words in str(found.value)
    assert str(found.value).startswith(f"{command}: ")
    assert found.value.may_have_it is may_have_it


def test_a_queue_that_does_not_answer_says_so(tmp_path: Path) -> None:
    silent = queue(tmp_path, squeue=f"echo '{CONTROLLER}' >&2; exit 1")
    with pytest.raises(QueueRefusalError, match="Unable to contact"):
        silent.jobs()
    assert silent.named("f1l1") is None
    answering = queue(tmp_path, squeue='case "$*" in *--name=f1l1*) echo 12;; esac')
    assert answering.named("f1l1") == {"12"}
    assert answering.named("f2l2") == frozenset()
    assert answering.jobs() == frozenset()


def test_no_command_is_no_answer(tmp_path: Path, script: Path) -> None:
    absent = QueueScheduler(CommonAdapter("PBS"), {"PATH": str(tmp_path)})
    with pytest.raises(QueueRefusalError, match="No such file") as found:
        absent.submit(script)
    assert not found.value.may_have_it


def test_an_impossible_request_is_known_before(tmp_path: Path, script: Path) -> None:
    words = "allocation failure: Requested node configuration is not available"
    refusing = queue(
        tmp_path, sbatch=f'test "$1" = --test-only && echo "{words}" >&2; exit 1'
    )
    assert words in str(refusing.attempt(script))
    assert queue(tmp_path, sbatch="exit 0").attempt(script) is None
    assert queue(tmp_path, "PBS").attempt(script) is None


def test_a_queue_that_nobody_can_ask_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Cobalt"):
        _ = QueueScheduler(CommonAdapter("Cobalt")).kind

"""Failures as users reported them in public: classes that were wrong once."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from hts_battery.flows.engines.vasp.documents import evidence_in
from hts_battery.flows.execution.evidence import Evidence
from hts_battery.flows.execution.failures import classify, loss
from hts_battery.schemas.failure import Correction, FailureClass
from hts_battery.schemas.recovery import LossReason, LostRun

if TYPE_CHECKING:
    from pathlib import Path

NODE, OOM, TIME = FailureClass.NODE, FailureClass.OUT_OF_MEMORY, FailureClass.WALLTIME
BAD = FailureClass.BAD_INPUT
VALIDATION = RuntimeError("Validation failed: VasprunXMLValidator")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "custodian.json")
SETUP = (
    " running on   32 total cores\n vasp.5.4.4 complex\n"
    " POSCAR found :  5 types and      40 ions\n scaLAPACK will be used\n"
    " POSCAR, INCAR and KPOINTS ok, starting setup\n FFT: planning ...\n"
)
CANCELLED = (
    "slurmstepd: error: *** STEP 77.0 ON n001 CANCELLED AT 2026-01-02T03:04:05{} ***\n"
)
OOM_KILL = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=77.0. "
    "Some of the step tasks have been OOM Killed.\n"
)
MODULE = "/usr/bin/bash: line 1: module: command not found\n"
TERMINATED = (
    "srun: error: n001: tasks 0-19: Terminated\nsrun: Terminating StepId=77.0\n"
    "srun: Force Terminated StepId=77.0\n"
)
KILLED = ("forrtl: error (78): process killed (SIGTERM)",)
SYMMETRY = tuple(
    Correction(
        handler="VaspErrorHandler", errors=("posmap",), actions=({"dict": "INCAR"},)
    )
    for _ in range(5)
)
HELPLESS = (
    Correction(
        handler="MeshSymmetryErrorHandler", errors=("mesh_symmetry",), actions=None
    ),
)


def frames(ranks: int, first: str, n: int = 16) -> str:
    """Return what the run-time of a Fortran compiler prints of each rank that ends."""
    one = [
        first,
        "Image              PC                Routine            Line        Source",
    ]
    one += [
        f"vasp_std           0000000001{i:06X}  Unknown               Unknown  Unknown"
        for i in range(n)
    ]
    return "\n".join(one * ranks) + "\n"


@pytest.mark.parametrize(
    ("expected", "vasp_out", "std_err", "error", "log"),
    [
        pytest.param(NODE, SETUP, "srun: error: n001: task 3: Killed\n", VALIDATION, None, id="F01 setup line of VASP 5, rank killed"),
        pytest.param(OOM, "", OOM_KILL + frames(1, KILLED[0]), VALIDATION, None, id="F02 oom_kill, then one Fortran traceback"),
        pytest.param(OOM, "", frames(4, "forrtl: severe (41): insufficient virtual memory"), VALIDATION, None, id="F02 no virtual memory, four tracebacks"),
        pytest.param(NODE, "", TERMINATED, VALIDATION, None, id="F07 srun: tasks terminated"),
        pytest.param(NODE, "", "", FULL, b"", id="F11 empty custodian.json, disk full"),
        pytest.param(OOM, "", OOM_KILL, VALIDATION, None, id="P12 oom as the last line"),
        pytest.param(NODE, "", "=   KILLED BY SIGNAL: 9 (Killed)\n", VALIDATION, None, id="P15 Intel MPI, signal 9"),
    ],
)  # fmt: skip
def test_a_run_of_vasp(
    tmp_path: Path,
    expected: FailureClass,
    vasp_out: str,
    std_err: str,
    error: BaseException,
    log: bytes | None,
) -> None:
    (tmp_path / "vasp.out").write_text(vasp_out)
    (tmp_path / "std_err.txt").write_text(std_err)
    if log is not None:
        (tmp_path / "custodian.json").write_bytes(log)
    assert classify(evidence_in(tmp_path, error)).failure_class is expected


@pytest.mark.parametrize(
    ("expected", "file", "text"),
    [
        pytest.param(NODE, "vasp.out", SETUP, id="F01 setup line of VASP 5, node lost"),
        pytest.param(TIME, "FW_job.out", "TERM_RUNLIMIT: job killed after reaching LSF run time limit.\nExited with exit code 140.\n", id="F04 LSF run limit"),
        pytest.param(OOM, "FW_job.error", "=>> PBS: job killed: mem 38427376kb exceeded limit 33554432kb\n", id="F05 PBS memory"),
        pytest.param(OOM, "hts_77.error", "slurmstepd: error: Exceeded step memory limit at some point.\n", id="F06 Slurm step memory"),
        pytest.param(NODE, "hts_77.error", MODULE, id="F08 harmless line at the start, then node lost"),
        pytest.param(NODE, "hts_77.error", MODULE + CANCELLED.format(""), id="F08 the same, cancelled"),
        pytest.param(TIME, "hts_77.error", CANCELLED.format(" DUE TO TIME LIMIT"), id="P15 time limit as the last line"),
    ],
)  # fmt: skip
def test_a_launch_that_was_lost(
    tmp_path: Path, expected: FailureClass, file: str, text: str
) -> None:
    (tmp_path / file).write_text(text)
    lost = LostRun(
        fw_id=1,
        name="relax 1",
        state="RUNNING",
        why=LossReason.QUEUE_JOB_GONE,
        seconds=100,
        last_ping=datetime.now(UTC),
        folder=str(tmp_path),
        host="h",
    )
    assert loss(lost, 1).failure_class is expected


@pytest.mark.parametrize(
    ("expected", "evidence"),
    [
        pytest.param(BAD, Evidence(error=RuntimeError("Max errors per job reached: 5."), corrections=SYMMETRY, last_lines=KILLED), id="F03 custodian used up its corrections; its own SIGTERM printed"),
        pytest.param(BAD, Evidence(error=RuntimeError("Unrecoverable error"), corrections=HELPLESS, last_lines=KILLED), id="F03 custodian was helpless; its own SIGTERM printed"),
        pytest.param(OOM, Evidence(error=RuntimeError("CUDA out of memory. Tried to allocate 3.75 GiB")), id="F09 CUDA out of memory (older class)"),
        pytest.param(OOM, Evidence(error=RuntimeError("CUDA error: out of memory")), id="F09 CUDA error: out of memory"),
    ],
)  # fmt: skip
def test_what_was_left(expected: FailureClass, evidence: Evidence) -> None:
    assert classify(evidence).failure_class is expected

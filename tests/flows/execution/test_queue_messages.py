"""What a queue writes when it ends a job, recognised."""

from __future__ import annotations

import pytest

from hts_battery.flows.execution.evidence import Evidence
from hts_battery.flows.execution.failures import classify
from hts_battery.schemas.failure import FailureClass

# As slurm 22.05.8 wrote them on one node, 2026-11-25 (tests/slurm/test_messages.py).
SLURM_LINES = {
    FailureClass.WALLTIME: [
        (
            "slurmstepd-vm: error: *** JOB 1 ON vm CANCELLED AT 2026-11-25T20:09:39 "
            "DUE TO TIME LIMIT ***"
        ),
        (
            "slurmstepd-vm: error: *** STEP 1.0 ON vm CANCELLED AT 2026-11-25T20:09:39 "
            "DUE TO TIME LIMIT ***"
        ),
    ],
    FailureClass.OUT_OF_MEMORY: [
        (
            "slurmstepd-vm: error: StepId=2.batch exceeded memory limit "
            "(308281344 > 209715200), being killed"
        ),
        "slurmstepd-vm: error: Exceeded job memory limit",
    ],
    FailureClass.NODE: [
        (
            "slurmstepd-vm: error: *** JOB 3 ON vm CANCELLED AT 2026-11-25T20:10:13 "
            "DUE TO NODE FAILURE, SEE SLURMCTLD LOG FOR DETAILS ***"
        ),
        "srun: error: Node failure on vm",
        "slurmstepd-vm: error: *** JOB 3 ON vm CANCELLED AT 2026-11-25T20:07:33 ***",
    ],
}


@pytest.mark.parametrize(
    ("expected", "line"),
    [(kind, line) for kind, lines in SLURM_LINES.items() for line in lines],
)
def test_slurm_lines_are_recognised(expected: FailureClass, line: str) -> None:
    assert classify(Evidence(last_lines=(line,))).failure_class is expected


def test_the_reason_wins_over_the_cancellation_that_follows() -> None:
    lines = (
        SLURM_LINES[FailureClass.OUT_OF_MEMORY][0],
        "slurmstepd-vm: error: *** JOB 2 ON vm CANCELLED AT 2026-11-25T20:07:32 ***",
        "Terminated",
    )
    found = classify(Evidence(last_lines=lines))
    assert found.failure_class is FailureClass.OUT_OF_MEMORY

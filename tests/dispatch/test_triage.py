from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hts_battery.dispatch.triage import Failed, group_failures
from hts_battery.flows.execution.failures import known_policy
from hts_battery.schemas.dispatch import BacklogItem, Ending, EndingKind
from hts_battery.schemas.failure import FailureClass


def failed(number: int, kind: FailureClass | None, campaign: str = "a") -> Failed:
    ending = Ending(
        kind=EndingKind.FAILED,
        failure_class=kind,
        reason=f"reason {number}",
        node_hours=0.5,
        time=datetime.now(UTC),
    )
    item = BacklogItem(
        content_key=f"k{number}",
        candidate_id=f"c{number}",
        formula=f"F{number}",
        fw_id=number,
        ending=ending,
    )
    return Failed(campaign, item)


def test_failures_are_grouped_the_largest_group_first() -> None:
    rows = [
        failed(1, FailureClass.BAD_INPUT),
        failed(2, FailureClass.WALLTIME, "b"),
        failed(3, FailureClass.WALLTIME),
        failed(4, None),
    ]
    groups = group_failures(rows, known_policy(), {2: "/launches/2"})
    assert [(one.failure_class, one.candidates) for one in groups] == [
        (FailureClass.WALLTIME, 2),
        (FailureClass.BAD_INPUT, 1),
        (FailureClass.UNKNOWN, 1),
    ]
    first = groups[0]
    assert (first.formula, first.reason, first.folder) == (
        "F2",
        "reason 2",
        "/launches/2",
    )
    assert first.campaigns == ("a", "b")
    assert first.node_hours == pytest.approx(1.0)
    assert [one.has_remedies for one in groups] == [True, False, False]
    assert "2 times the wall time" in first.policy


def test_nothing_failed() -> None:
    assert group_failures([], known_policy()) == ()

"""What a campaign costs and where it stands, as a user asks for it."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from hts_battery.cli.status import has_ended
from hts_battery.cli.status_view import advice, lines, panel
from hts_battery.schemas.state import CandidateState
from hts_battery.schemas.status import BuildStatus, CampaignStatus, DispatchStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

NOW = datetime(2026, 11, 25, 20, 51, 3, tzinfo=UTC)
DISPATCH = DispatchStatus(
    worker="slurm",
    hold="budget",
    waiting=11_000,
    in_hand=4000,
    ended=3810,
    fireworks={"READY": 150, "RUNNING": 50},
    failed={
        "walltime": 120,
        "node or filesystem failure": 31,
        "electronic non-convergence": 12,
        "ionic non-convergence": 5,
        "unknown": 2,
    },
    repeated={"walltime": 300},
    node_hours=812.4,
    node_hours_running=11.0,
    budget=800.0,
    candidates_per_hour=312.0,
    hours_left=48.1,
)
STATUS = CampaignStatus(
    campaign="hedrx_18810",
    candidates=18_810,
    states={"ranked": 2000, "failed": 170, "held": 11_000, "queued": 3000}
    | {"running": 1000, "computed": 1640},
    reasons={"failed: walltime": 120},
    exact=False,
    time=NOW,
    dispatch=DISPATCH,
    last_build=BuildStatus(run_id="r", state="finished", finished=NOW, error=None),
)


@pytest.mark.parametrize("width", [80, 120])
def test_the_view_fits_a_terminal(width: int) -> None:
    file = StringIO()
    Console(width=width, file=file, emoji=False).print(panel(STATUS, None))
    shown = file.getvalue().splitlines()
    assert {len(line) for line in shown} == {width}
    text = " ".join(" ".join(line.strip("│ ") for line in shown).split())
    for word in (
        "held",
        "11,000 58.5%",
        "312 candidates/h",
        "120 walltime",
        "2 others",
    ):
        assert word in text, word
    order = [str(state) for state in CandidateState]
    found = [line.split()[1] for line in shown[1:7]]
    assert found == sorted(found, key=order.index)


def test_every_state_has_advice() -> None:
    for state in CandidateState:
        assert advice(state)


def test_the_lines_beside_the_counts() -> None:
    found = dict(lines(STATUS, None))
    assert found["fireworks"] == "150 READY, 50 RUNNING on slurm"
    # What is held has no end.
    assert found["rate"] == "312 candidates/h"
    free = DISPATCH.model_copy(update={"hold": None})
    going = dict(lines(STATUS.model_copy(update={"dispatch": free}), None))
    assert going["rate"] == "312 candidates/h, 2.0 days left"
    assert found["node-hours"] == "823 spent, budget 800"
    assert found["held"].startswith("the budget is spent")
    assert found["last build"] == "finished 2026-11-25 20:51 UTC"


@pytest.mark.mongo
def test_a_plan_before_and_after_a_run(
    hts: Callable[..., Answer], screened: Answer, fake_file: Path
) -> None:
    assert screened.status == 0, screened.err
    (plan,) = hts("campaign", "plan", fake_file, "--json").lines
    assert {"candidates", "jobs", "node_hours", "bytes"} <= set(plan)
    assert (plan["candidates"], plan["jobs"], plan["jobs_left"]) == (2, 4, 0)
    answer = hts("campaign", "plan", fake_file)
    assert answer.status == 0, answer.err
    assert "2 need nothing more" in answer.out


def test_a_plan_needs_no_database(
    hts: Callable[..., Answer], campaign_file: Callable[..., Path], folder: Path
) -> None:
    answer = hts("campaign", "plan", campaign_file())
    assert answer.status == 0, answer.err
    assert "default of relax (chgnet): measured" in answer.out
    assert list(folder.iterdir()) == []


@pytest.mark.mongo
def test_watching_ends_with_the_campaign_and_leaves_a_picture(
    hts: Callable[..., Answer], screened: Answer, fake_file: Path, tmp_path: Path
) -> None:
    assert screened.status == 0
    picture = tmp_path / "picture.svg"
    answer = hts("campaign", "status", fake_file, "--watch", "--picture", picture)
    assert answer.status == 0, answer.err
    assert "ranked" in answer.out
    drawn = picture.read_text(encoding="utf-8")
    assert "<svg" in drawn
    assert "url(" not in drawn.replace("url(#", "")
    (whole,) = hts("campaign", "status", fake_file, "--watch", "--json").lines
    assert CampaignStatus.model_validate(whole).states == {"ranked": 2}


def test_a_test_message_needs_an_address(hts: Callable[..., Answer]) -> None:
    answer = hts("launchpad", "notify-test")
    assert answer.status == 2
    assert "HTS_BATTERY_NOTIFY_URLS" in answer.err


@pytest.mark.parametrize(
    ("states", "waiting", "in_hand", "ended"),
    [
        ({"ranked": 2, "failed": 1}, 0, 0, True),
        # Members that nobody submitted are not waited for.
        ({"computed": 2, "waiting": 6}, 0, 0, True),
        ({"computed": 2, "declared": 6}, 0, 0, True),
        ({"computed": 1, "waiting": 7}, 1, 0, False),
        ({"computed": 1, "queued": 1, "waiting": 6}, 0, 1, False),
        ({"computed": 1, "returned": 1, "waiting": 6}, 0, 0, False),
        # A process of another run computes one.
        ({"computed": 1, "running": 1, "waiting": 6}, 0, 0, False),
    ],
)
def test_watching_ends_when_what_was_sent_has_ended(
    states: dict[str, int],
    waiting: int,
    in_hand: int,
    ended: bool,
) -> None:
    dispatch = DISPATCH.model_copy(update={"waiting": waiting, "in_hand": in_hand})
    status = CampaignStatus(
        campaign="some",
        candidates=sum(states.values()),
        states=states,
        reasons={},
        exact=False,
        time=NOW,
        dispatch=dispatch,
        last_build=None,
    )
    assert has_ended(status) is ended
    alone = status.model_copy(update={"dispatch": None})
    assert has_ended(alone) is (set(states) <= {"ranked", "failed", "computed"})

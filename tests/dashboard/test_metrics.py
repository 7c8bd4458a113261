from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from hts_battery.dashboard.metrics import exposition
from hts_battery.schemas.alert import AlertKind, AlertMemory
from hts_battery.schemas.status import BuildStatus, CampaignStatus, DispatchStatus
from hts_battery.schemas.worker_control import LauncherState, WorkerControl

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LINE = re.compile(
    r'^[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? [-+.e0-9]+$'
)
DISPATCH = DispatchStatus(
    worker="slurm",
    hold="paused",
    waiting=30,
    in_hand=12,
    ended=58,
    fireworks={"READY": 3, "RUNNING": 1},
    failed={"walltime": 2},
    repeated={},
    node_hours=10.0,
    node_hours_running=2.5,
    budget=100.0,
    candidates_per_hour=None,
    hours_left=None,
)
STATUS = CampaignStatus(
    campaign="drx",
    candidates=100,
    states={"ranked": 58, "waiting": 30, "queued": 12},
    reasons={},
    exact=False,
    time=NOW,
    dispatch=DISPATCH,
    last_build=BuildStatus(
        run_id="1", state="failed", finished=NOW - timedelta(hours=2), error="x"
    ),
    alerts=(AlertKind.FAILURES,),
)
BROKEN = STATUS.model_copy(
    update={"campaign": 'odd"\\\nname', "problem": "newer", "dispatch": None}
)
WORKER = WorkerControl(
    worker="slurm",
    paused=True,
    launcher=LauncherState(host="login", pid=1, looked_at=NOW, queued=7),
)


def test_every_line_is_in_the_text_format() -> None:
    text = exposition([STATUS, BROKEN], [WORKER], now=NOW)
    assert text.endswith("\n")
    names = set()
    for line in text.splitlines():
        if line.startswith("#"):
            names.add(line.split()[2])
        else:
            assert LINE.match(line), line
            assert re.split(r"[{ ]", line)[0] in names
    assert all(name.startswith("hts_") for name in names)


@pytest.mark.parametrize(
    "line",
    [
        'hts_campaign_candidates{campaign="drx",state="waiting"} 30',
        'hts_campaign_backlog{campaign="drx"} 30',
        'hts_campaign_in_hand{campaign="drx"} 12',
        'hts_campaign_fireworks{campaign="drx",state="READY"} 3',
        'hts_campaign_failed{campaign="drx",class="walltime"} 2',
        'hts_campaign_node_hours{campaign="drx"} 12.5',
        'hts_campaign_budget_node_hours{campaign="drx"} 100',
        'hts_campaign_held{campaign="drx",reason="paused"} 1',
        'hts_campaign_unreadable{campaign="drx"} 0',
        'hts_campaign_unreadable{campaign="odd\\"\\\\\\nname"} 1',
        'hts_alert{campaign="drx",kind="failures"} 1',
        'hts_worker_paused{worker="slurm"} 1',
        'hts_worker_queued{worker="slurm"} 7',
        "hts_last_build_failed 1",
        "hts_last_build_age_seconds 7200",
    ],
)
def test_what_is_told(line: str) -> None:
    assert line in exposition([STATUS, BROKEN], [WORKER], now=NOW).splitlines()


def test_what_was_never_seen_has_no_line() -> None:
    text = exposition([], [], now=NOW)
    assert "hts_last_build" not in text
    assert all(line.startswith("#") for line in text.splitlines())


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({}, ()),
        ({"is_failing": True}, (AlertKind.FAILURES,)),
        ({"told_share": 0.8}, (AlertKind.BUDGET_NEAR,)),
        ({"told_share": 1.0}, (AlertKind.BUDGET_REACHED,)),
        ({"told_build": "7"}, (AlertKind.BUILD_FAILED,)),
        ({"told_build": "6"}, ()),
        ({"told_ended": 9}, ()),
        ({"told_holds": ("slurm",)}, (AlertKind.HELD,)),
        ({"told_unlaunched": ("slurm",)}, (AlertKind.NO_LAUNCHER,)),
    ],
)
def test_alerts_that_last(
    memory: dict[str, object], expected: tuple[AlertKind, ...]
) -> None:
    found = AlertMemory.model_validate({"campaign": "drx", **memory})
    assert found.lasting(failed_build="7") == expected

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer


TEMPLATES = Path(__file__).resolve().parents[2] / "launchpad_configs"

pytestmark = pytest.mark.mongo


@pytest.fixture
def submit(
    hts: Callable[..., Answer], on_server: Path, fake_file: Path
) -> Callable[..., Answer]:
    assert on_server.is_dir()

    def call(*words: str) -> Answer:
        return hts(
            "campaign", "submit", fake_file, "--worker", "here", "--any-worker", *words
        )

    return call


def test_from_submission_to_the_last_look(
    hts: Callable[..., Answer],
    submit: Callable[..., Answer],
    launch: Callable[[], None],
    fake_file: Path,
) -> None:
    plan = submit("--dry-run", "--json")
    assert plan.lines == [
        {
            "campaign": "small",
            "candidates": 2,
            "new": 2,
            "known": 0,
            "sent": 2,
            "written": False,
        }
    ]
    first = submit("--json")
    assert first.status == 0, first.err
    assert first.lines == [
        {"campaign": "small", "candidates": 2, "new": 2, "known": 0, "sent": 2}
    ]
    second = submit()
    assert "2 candidates: 0 new in the backlog, 2 known" in second.out
    look = hts("launchpad", "feed", "--dry-run", "--json")
    assert look.lines[0]["in_hand"] == 2
    assert look.lines[0]["actions"] == []
    launch()
    assert (
        "  collect: 1 workflows, 2 candidates"
        in hts("launchpad", "feed", "--dry-run").out
    )
    (planned,) = hts("launchpad", "feed", "--dry-run", "--json").lines
    assert planned["actions"] == [
        {"action": "collect", "workflows": 1, "candidates": 2}
    ]
    assert (planned["ended"], planned["in_hand"], planned["written"]) == (2, 2, False)
    fed = hts("launchpad", "feed", "--watch", "--every", 0.1)
    assert fed.status == 0, fed.err
    assert "small: 2 ended; 0 waiting, 0 in 0 Fireworks" in fed.out
    status = hts("campaign", "status", fake_file, "--json")
    assert status.lines == [{"candidates": 2, "states": {"computed": 2}}]


def test_paused_resumed_and_cancelled(
    hts: Callable[..., Answer], submit: Callable[..., Answer], fake_file: Path
) -> None:
    submit("--chunk", "1")
    assert "would be changed" in hts("campaign", "pause", "small", "--dry-run").out
    assert "actions" not in hts("launchpad", "feed", "--json").lines[0]
    assert "held: paused" in hts("campaign", "pause", fake_file).out
    assert hts("campaign", "resume", "small", "--json").lines[0]["sent"] == 2
    cancelled = hts("campaign", "cancel", "small", "--json").lines[0]
    assert (cancelled["hold"], cancelled["waiting"], cancelled["in_hand"]) == (
        "cancelled",
        0,
        0,
    )
    assert hts("campaign", "resume", "small").status == 1


def test_what_is_refused(
    hts: Callable[..., Answer], submit: Callable[..., Answer], fake_file: Path
) -> None:
    unknown = hts("campaign", "submit", fake_file, "--worker", "nowhere")
    assert unknown.status == 2
    assert "there is no worker nowhere" in unknown.err
    for words, message in (
        (("--range", "5:2"), "holds no member"),
        (("--range", "x"), "a range is A:B"),
        (("--shard", "3/2"), "not one of"),
        (("--mode", "steps", "--chunk", "4"), "leave --chunk out"),
        (("--prerelax-worker", "gpu"), "needs --mode steps"),
        (("--prerelax-worker", "gpu", "--mode", "steps"), "no prerelax step"),
    ):
        refused = submit(*words)
        assert refused.status == 2, words
        assert message in " ".join(refused.err.split())
    assert hts("campaign", "pause", "small").status == 1
    assert "no campaign was submitted" in hts("launchpad", "feed").out


def test_a_share_of_the_members(submit: Callable[..., Answer]) -> None:
    assert submit("--range", "0:1", "--json").lines[0]["new"] == 1
    assert submit("--shard", "2/2", "--json").lines[0]["new"] == 1
    assert submit("--json").lines[0]["new"] == 0


def test_a_worker_without_a_place_for_memory_is_refused(
    hts: Callable[..., Answer], on_server: Path, fake_file: Path, tmp_path: Path
) -> None:
    assert on_server.is_dir()
    templates = tmp_path / "configs"
    shutil.copytree(TEMPLATES / "pbs", templates / "pbs")
    file = templates / "pbs" / "my_qadapter.yaml"
    text = file.read_text().replace(
        "hts_battery.connections.workers.queue_adapters.QueueAdapter",
        "fireworks.user_objects.queue_adapters.common_adapter.CommonAdapter",
    )
    own_script = "_fw_template_file: ${CONFIG_DIR}/queue_script.txt\n"
    file.write_text(text.replace(own_script, ""))
    (templates / "pbs" / "queue_script.txt").unlink()
    words = ("campaign", "submit", fake_file, "--worker", "pbs", "--dry-run")
    answer = hts(*words, "--templates", templates)
    assert answer.status == 2
    assert "mem: the queue script has no place for it" in answer.err
    assert "_leave_out: [walltime, mem]" in answer.err
    file.write_text(f"{file.read_text()}_leave_out: [mem]\n")
    answer = hts(*words, "--templates", templates)
    assert answer.status == 0
    assert "worker pbs asks its queue for no mem" in answer.err

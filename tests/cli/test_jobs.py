from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.cli.jobs import age
from hts_battery.schemas.launchpad_job import LaunchpadJob

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

    from hts_battery.connections.database.stores import Stores

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, "5 s"), (90, "2 min"), (7200, "2 h"), (200_000, "2 d"), (-3, "0 s")],
)
def test_how_long_a_job_has_been_so(seconds: float, expected: str) -> None:
    since = NOW - timedelta(seconds=seconds)
    job = LaunchpadJob(fw_id=1, name="chunk", state="READY", since=since)
    assert age(job, NOW) == expected


pytestmark = pytest.mark.mongo


@pytest.fixture
def sent(hts: Callable[..., Answer], on_server: Path, fake_file: Path) -> None:
    assert on_server.is_dir()
    answer = hts(
        *("campaign", "submit", fake_file, "--worker", "here", "--any-worker"),
        *("--chunk", "1"),
    )
    assert answer.status == 0, answer.err


@pytest.fixture
def running(sent: None, stores: Stores, tmp_path: Path) -> Path:
    """Let a queue have taken the first job: its launch, its number, its folder."""
    del sent
    folder = tmp_path / "launcher_1"
    folder.mkdir()
    (folder / "hts-4711.out").write_text("first\nlast\n")
    (folder / "empty.error").touch()
    (folder / "inner").mkdir()
    (folder / "inner" / "OUTCAR").write_text("x" * 2048)
    began = NOW.isoformat()
    history = [
        {"state": "RESERVED", "created_on": began, "reservation_id": "4711"},
        {"state": "RUNNING", "created_on": began, "updated_on": began},
    ]
    launch: dict[str, Any] = {
        "launch_id": 9,
        "fw_id": 1,
        "state": "RUNNING",
        "host": "node017",
        "launch_dir": str(folder),
        "fworker": {"name": "here"},
        "state_history": history,
    }
    beside = stores.campaigns.collection.database
    beside["launches"].insert_one(launch)
    beside["fireworks"].update_one(
        {"fw_id": 1}, {"$set": {"state": "RUNNING", "launches": [9]}}
    )
    return folder


def test_what_goes_on(hts: Callable[..., Answer], running: Path) -> None:
    shown = hts("jobs", "list")
    assert shown.status == 0, shown.err
    assert str(running) in shown.out
    first, second = hts("jobs", "list", "--json").lines
    assert (first["fw_id"], first["state"], first["queue_id"]) == (1, "RUNNING", "4711")
    assert (first["host"], first["worker"], first["campaign"]) == (
        "node017",
        "here",
        "small",
    )
    assert (second["state"], second["queue_id"]) == ("READY", None)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--state", "running"), [1]),
        (("--state", "READY", "--state", "RUNNING"), [1, 2]),
        (("--campaign", "small"), [1, 2]),
        (("--campaign", "other"), []),
        (("--worker", "here"), [1, 2]),
        (("--worker", "there"), []),
        (("--class", "walltime"), []),
    ],
)
def test_filters(
    hts: Callable[..., Answer],
    running: Path,
    words: tuple[str, ...],
    expected: list[int],
) -> None:
    assert running.is_dir()
    answer = hts("jobs", "list", *words, "--json")
    assert [line["fw_id"] for line in answer.lines] == expected
    assert hts("jobs", "list", *words).status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--state", "asleep"), "there is no state ASLEEP"),
        (("--class", "bad luck"), "the classes are: walltime"),
    ],
)
def test_a_filter_that_cannot_be(
    hts: Callable[..., Answer], on_server: Path, words: tuple[str, ...], message: str
) -> None:
    assert on_server.is_dir()
    answer = hts("jobs", "list", *words)
    assert answer.status == 2
    assert message in answer.err


def test_one_job(hts: Callable[..., Answer], running: Path) -> None:
    shown = hts("jobs", "show", 1)
    assert "4711" in shown.out
    assert hts("jobs", "show", 1, "--json").lines[0]["folder"] == str(running)
    missing = hts("jobs", "show", 99)
    assert missing.status == 1
    assert "there is no job 99" in missing.err


def test_its_files_and_its_log(hts: Callable[..., Answer], running: Path) -> None:
    files = {
        line["name"]: line["size"] for line in hts("jobs", "files", 1, "--json").lines
    }
    assert files == {"hts-4711.out": 11, "empty.error": 0, "inner/OUTCAR": 2048}
    assert "inner/OUTCAR" in hts("jobs", "files", 1).out
    log = hts("jobs", "log", 1, "--lines", 1)
    assert log.out == f"==> {running / 'hts-4711.out'} <==\nlast\n"
    waiting = hts("jobs", "log", 2)
    assert waiting.status == 1
    assert "it has not begun" in waiting.err


def test_a_folder_that_is_not_here_is_said(
    hts: Callable[..., Answer], running: Path
) -> None:
    running.rename(running.with_name("moved"))
    answer = hts("jobs", "log", 1)
    assert answer.status == 1
    assert "it is on node017" in answer.err


def test_following_ends_with_the_job(
    hts: Callable[..., Answer],
    running: Path,
    stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = running / "hts-4711.out"
    looks: list[int] = []

    def sleep(_: float) -> None:
        looks.append(1)
        with log.open("a") as file:
            file.write(f"line {len(looks)}\n")
        if len(looks) == 2:
            beside = stores.campaigns.collection.database
            beside["fireworks"].update_one(
                {"fw_id": 1}, {"$set": {"state": "COMPLETED"}}
            )

    monkeypatch.setattr("hts_battery.dispatch.jobs.time.sleep", sleep)
    answer = hts("jobs", "log", 1, "--follow", "--lines", 1, "--json")
    printed = [
        line for one in answer.out.splitlines() for line in json.loads(one)["lines"]
    ]
    assert printed == ["last", "line 1", "line 2"]

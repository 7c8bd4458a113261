from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from maggma.stores import MemoryStore

from hts_battery.connections.records.launch_files import MARK, write_mark
from hts_battery.errors import SubmissionError
from hts_battery.flows.execution import launch_folders
from hts_battery.flows.execution.launch_folders import (
    decide,
    launch_rules,
    rule_of,
    state_of,
    tidy,
)
from hts_battery.flows.recipes.local import refuse_full
from hts_battery.schemas.launch import LaunchFile, LaunchMark, LaunchState, LaunchVerb

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MINE = LaunchMark(
    uuid="a",
    index=1,
    engine="rehearsal:vasp-mp-gga",
    step="relax",
    content_key="k",
    ordering_id="o1",
)
FILES = ("CONTCAR", "OUTCAR", "vasprun.xml.gz", "CHGCAR", "WAVECAR", "CHG")


@pytest.fixture
def tasks() -> Iterator[MemoryStore]:
    store = MemoryStore(key="uuid")
    store.connect()
    yield store
    store.close()


@pytest.fixture
def launch(tmp_path: Path) -> Path:
    folder = tmp_path / "launches" / "launch-1" / "job_1"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(name)
    write_mark(folder, MINE)
    return folder


def task(state: str | None = "successful", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - fields
    """Return what the store has of an attempt of the first calculation."""
    run = {"step": "relax 1", "converged": state == "successful"}
    document: dict[str, Any] = {
        "uuid": "a",
        "index": 1,
        "metadata": {
            "content_key": "k",
            "step": "relax",
            "ordering_id": "o1",
            "final": False,
        },
        "output": {"state": state, "run": run},
    }
    for name, value in changes.items():
        if name in document:
            document[name] = value
        elif name == "run_step":
            run["step"] = value
        else:
            document["metadata"][name] = value
    return document


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        ([], "absent"),
        ([task()], "stored"),
        ([task("failed")], "failed"),
        ([task("failed"), task(index=2)], "superseded"),
        ([task("failed"), task("failed", index=2)], "failed"),
        # The same calculation of another flow; another calculation of that flow.
        ([task("failed"), task(uuid="b")], "superseded"),
        ([task("failed"), task(uuid="b", run_step="relax 2")], "failed"),
        ([task("failed"), task(uuid="b", ordering_id="o2")], "failed"),
        # It left no document: only the last calculation proves that all are done.
        ([task(uuid="b")], "absent"),
        ([task(uuid="b", final=True)], "superseded"),
        ([task("failed", uuid="b", final=True)], "absent"),
        ([task(output=[{"ordering_id": "o1"}])], "stored"),
    ],
)
def test_the_store_says_what_became_of_a_job(
    tasks: MemoryStore, stored: list[dict[str, Any]], state: str
) -> None:
    tasks.update(stored, key=["uuid", "index"])
    assert state_of(MINE, tasks) is LaunchState(state)


def test_what_the_rules_say() -> None:
    assert launch_rules()[-1].engine == "*"
    found = [LaunchFile(name=name, size=1) for name in (*FILES, MARK)]
    done = {
        state: {
            action.name: action.verb
            for action in decide(found, state, rule_of("vasp-mp24"))
        }
        for state in LaunchState
    }
    assert done[LaunchState.ABSENT] == {}
    assert done[LaunchState.FAILED] == {
        "vasprun.xml.gz": LaunchVerb.DELETE,
        "CHG": LaunchVerb.DELETE,
    }
    assert done[LaunchState.STORED] == {
        "CONTCAR": LaunchVerb.COMPRESS,
        "OUTCAR": LaunchVerb.COMPRESS,
        **dict.fromkeys(("CHGCAR", "WAVECAR", "CHG"), LaunchVerb.DELETE),
    }
    assert set(done[LaunchState.SUPERSEDED]) == {*FILES, MARK}
    assert list(done[LaunchState.SUPERSEDED])[-1] == MARK
    assert {
        action.name for action in decide(found, LaunchState.STORED, rule_of("chgnet"))
    } == {*FILES, MARK}


def test_nothing_is_deleted_before_its_output_is_stored(
    tasks: MemoryStore, launch: Path
) -> None:
    assert tidy(launch.parent, tasks) == []
    assert names(launch) == {*FILES, MARK}
    tasks.update([task("failed")], key=["uuid", "index"])
    tidy(launch.parent, tasks)
    assert {"CONTCAR", "CHGCAR", "WAVECAR"} < names(launch)
    tasks.update([task(index=2)], key=["uuid", "index"])
    assert tidy(launch.parent, tasks, dry_run=True)
    assert "WAVECAR" in names(launch)
    tidy(launch.parent, tasks)
    assert not launch.parent.exists()


@pytest.mark.parametrize("killed_at", range(6))
def test_killed_anywhere_it_goes_on(
    tasks: MemoryStore,
    launch: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
) -> None:
    tasks.update([task()], key=["uuid", "index"])
    todo = iter(range(100))
    do = launch_folders._do  # noqa: SLF001 - a kill between two actions

    def killed(*arguments: Any) -> None:  # noqa: ANN401 - as given
        if next(todo) == killed_at:
            raise KeyboardInterrupt
        do(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(launch_folders, "_do", killed)
        try:
            tidy(launch.parent, tasks)
        except KeyboardInterrupt:
            # As if it had been killed while it packed.
            (launch / "OUTCAR.gz.part").write_bytes(b"half")
    tidy(launch.parent, tasks)
    assert names(launch) == {"CONTCAR.gz", "OUTCAR.gz", "vasprun.xml.gz", MARK}
    assert gzip.decompress((launch / "OUTCAR.gz").read_bytes()) == b"OUTCAR"
    assert tidy(launch.parent, tasks) == []


def test_a_folder_with_nothing_in_it_goes(tasks: MemoryStore, tmp_path: Path) -> None:
    folder = tmp_path / "launch" / "job"
    folder.mkdir(parents=True)
    write_mark(folder, MINE)
    tidy(folder.parent, tasks)
    assert not folder.parent.exists()


def test_nobody_is_asked_about_a_folder_with_nothing_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "launch" / "job"
    folder.mkdir(parents=True)
    write_mark(folder, MINE)
    # A store that was never connected refuses every question.
    tidy(folder.parent, MemoryStore(key="uuid"))
    assert not folder.parent.exists()


def test_a_full_folder_holds_new_jobs(launch: Path) -> None:
    launches = launch.parents[1]
    refuse_full(launches, None)
    refuse_full(launches, 10_000)
    with pytest.raises(SubmissionError, match="hts launches clean"):
        refuse_full(launches, 10)

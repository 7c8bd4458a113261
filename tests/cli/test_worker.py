from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hts_battery.connections.records.worker_controls import read_worker_control

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Answer

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def worker(on_server: Path) -> str:
    """Make the folder of a worker; what is in it does not matter here."""
    folder = on_server / "launchpad_configs" / "slurm"
    folder.mkdir(parents=True)
    (folder / "my_fworker.yaml").touch()
    return folder.name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("pause",), {"paused": True, "paused_by": "operator"}),
        (("pause", "--reason", "disk is full"), {"reason": "disk is full"}),
        (("drain",), {"drain": True, "paused": False}),
        (("cap", "4"), {"cap": 4}),
        (("cap", "0"), {"cap": 0}),
        (("exclude", "n1", "n[2-4]"), {"exclude_nodes": ["n1", "n[2-4]"]}),
        (("resume",), {"paused": False, "drain": False}),
    ],
)
def test_each_setting_is_written(
    hts: Callable[..., Answer],
    worker: str,
    stores: Stores,
    words: tuple[str, ...],
    expected: dict[str, Any],
) -> None:
    verb, *rest = words
    tried = hts("worker", verb, worker, *rest, "--dry-run", "--json").lines[0]
    assert tried["written"] is False
    assert stores.workers.count() == 0
    done = hts("worker", verb, worker, *rest, "--json").lines[0]
    assert {name: done[name] for name in expected} == expected
    stored = read_worker_control(stores, worker).model_dump(mode="json")
    assert {name: stored[name] for name in expected} == expected
    assert worker in hts("worker", verb, worker, *rest).out


def test_settings_stand_beside_each_other_and_are_taken_back(
    hts: Callable[..., Answer], worker: str, stores: Stores
) -> None:
    for words in (("cap", worker, "4"), ("exclude", worker, "n1"), ("drain", worker)):
        assert hts("worker", *words).status == 0
    hts("worker", "exclude", worker, "n2", "n1")
    control = read_worker_control(stores, worker)
    assert (control.cap, control.exclude_nodes) == (4, ("n1", "n2"))
    hts("worker", "exclude", worker, "--clear", "n3")
    hts("worker", "cap", worker, "none")
    hts("worker", "resume", worker)
    control = read_worker_control(stores, worker)
    assert (control.cap, control.exclude_nodes, control.drain) == (None, ("n3",), False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pause", "slrum"), "there is no worker slrum"),
        (("cap", "slurm", "many"), "a number of jobs"),
        (("cap", "slurm", "-1"), ""),
        (("exclude", "slurm"), "name nodes"),
        (("exclude", "slurm", "n1; rm -r ~"), "no name of a node"),
        (("exclude", "slurm", "$(id)"), "no name of a node"),
    ],
)
def test_what_is_refused_is_not_written(
    hts: Callable[..., Answer],
    worker: str,
    stores: Stores,
    words: tuple[str, ...],
    message: str,
) -> None:
    assert worker == "slurm"
    answer = hts("worker", *words)
    assert answer.status == 2
    assert message in answer.err
    assert stores.workers.count() == 0


def test_a_drained_worker_is_sent_nothing_more(
    hts: Callable[..., Answer], worker: str, fake_file: Path
) -> None:
    hts("worker", "drain", worker, "--reason", "maintenance")
    where = ("--templates", PROJECT / "launchpad_configs")
    sent = hts("campaign", "submit", fake_file, "--worker", worker, "--json", *where)
    assert sent.status == 0, sent.err
    assert (sent.lines[0]["new"], sent.lines[0]["sent"]) == (2, 0)
    assert "drained: slurm" in hts("launchpad", "feed").out
    (row,) = hts("worker", "list", "--json").lines
    assert (row["worker"], row["reason"], row["fireworks"]) == (
        "slurm",
        "maintenance",
        {},
    )
    hts("worker", "resume", worker)
    assert hts("launchpad", "feed", "--json").lines[0]["sent"] == 2
    shown = hts("worker", "list").out
    assert "1 READY" in shown
    assert "never seen" in shown

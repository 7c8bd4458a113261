from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fakes import FakeTask
from fireworks import Firework, FWAction, FWorker, Workflow

from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.connections.launchpad.trials import read_trial, remove_trial

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad

pytestmark = pytest.mark.mongo


@pytest.fixture
def launchpad(database: Database) -> Iterator[ExactLaunchPad]:
    with open_launchpad(database) as opened:
        yield opened


def sent(launchpad: ExactLaunchPad) -> int:
    """Insert a workflow of two steps, as a trial has them; return its first."""
    first, second = (
        Firework(FakeTask(error=""), name=name, spec={"stage": name}, fw_id=one)
        for one, name in ((-2, "node"), (-1, "outputs"))
    )
    numbers = launchpad.add_wf(Workflow([first, second], {first: [second]}))
    return min(numbers.values())


def test_every_firework_of_a_trial_is_read_in_order(launchpad: ExactLaunchPad) -> None:
    root = sent(launchpad)
    waiting = read_trial(launchpad, root, "stage")
    assert [one.tag for one in waiting] == ["node", "outputs"]
    assert [one.state for one in waiting] == ["READY", "WAITING"]
    assert all(one.launches == 0 and one.folder is None for one in waiting)


def test_a_run_says_when_it_began_and_how_it_failed(
    launchpad: ExactLaunchPad, tmp_path: Path
) -> None:
    root = sent(launchpad)
    worker = FWorker(name="here")
    _, launch = launchpad.checkout_fw(worker, str(tmp_path), host="n1")
    assert launch is not None
    run = read_trial(launchpad, root, "stage")[0]
    assert run.began is not None
    assert (run.ended, run.launches, run.host) == (None, 1, "n1")
    error = {"_exception": {"_stacktrace": "Traceback:\n  x\nOSError: no\n\n"}}
    launchpad.complete_launch(launch, FWAction(stored_data=error), "FIZZLED")
    run = read_trial(launchpad, root, "stage")[0]
    assert (run.state, run.error, run.folder) == ("FIZZLED", "OSError: no", tmp_path)
    assert run.ended is not None
    assert run.ended >= run.began


def test_a_trial_leaves_nothing_and_touches_no_other(launchpad: ExactLaunchPad) -> None:
    first, other = sent(launchpad), sent(launchpad)
    remove_trial(launchpad, first)
    assert read_trial(launchpad, first, "stage") == []
    assert len(read_trial(launchpad, other, "stage")) == 2
    remove_trial(launchpad, first)
    assert launchpad.workflows.count_documents({}) == 1

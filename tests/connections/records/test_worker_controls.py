"""The settings of a worker: defaults, changes of single fields, pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hts_battery.connections.records.worker_controls import (
    change_worker_control,
    pause_worker,
    read_worker_control,
    read_worker_controls,
    resume_worker,
)
from hts_battery.schemas.worker_control import PausedBy, WorkerControl

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores


def test_of_a_worker_that_nobody_touched_nothing_is_restricted(stores: Stores) -> None:
    assert read_worker_control(stores, "slurm") == WorkerControl(worker="slurm")
    assert read_worker_controls(stores) == ()


def test_who_changes_one_field_leaves_the_others(stores: Stores) -> None:
    change_worker_control(stores, "slurm", cap=4)
    change_worker_control(stores, "slurm", exclude_nodes=("n1", "n2"))
    paused = pause_worker(stores, "slurm", "no node begins", PausedBy.BRAKE)
    assert (paused.cap, paused.exclude_nodes) == (4, ("n1", "n2"))
    assert not paused.may_submit
    assert paused.reason == "no node begins"
    pause_worker(stores, "pbs", "maintenance")
    assert [one.worker for one in read_worker_controls(stores)] == ["pbs", "slurm"]

    resumed = resume_worker(stores, "slurm")
    assert resumed.may_submit
    assert (resumed.reason, resumed.paused_by) == ("", None)
    assert resumed.resumed_at is not None
    assert resumed.cap == 4


def test_what_is_no_setting_is_refused(stores: Stores) -> None:
    with pytest.raises(ValidationError, match="caps"):
        change_worker_control(stores, "slurm", caps=4)
    with pytest.raises(ValidationError, match="cap"):
        change_worker_control(stores, "slurm", cap=-1)
    assert read_worker_controls(stores) == ()

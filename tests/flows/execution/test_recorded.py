from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from jobflow import Flow, Job, Response, job, run_locally
from monty.json import MontyDecoder, MontyEncoder

from hts_battery.connections.records.executions import ledger, read_executions
from hts_battery.flows.execution.recorded import RecordedJob, recorded
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo


@job
def add(first: int, second: int) -> int:
    return first + second


@job
def fail() -> None:
    raise ValueError("no such luck")


@job
def grow(kind: str) -> Response[int]:
    """Make more jobs on the node, in each of the ways jobflow has."""
    more = add(10, 20)
    if kind == "addition":
        return Response(output=1, addition=Flow([more]))
    if kind == "detour":
        return Response(output=1, detour=more)
    return Response(replace=more)


@pytest.fixture
def job_store(stores: Stores) -> JobStore:
    return stores.job_store


def run(flow: Flow | Job, job_store: JobStore, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    run_locally(flow, store=job_store, root_dir=folder, log=False)


def names(folder: Path) -> list[tuple[str, Outcome]]:
    return [(one.start.name, one.outcome) for one in read_executions(folder).executions]


def test_a_job_leaves_a_start_and_an_end(
    job_store: JobStore, execution_folder: Path, tmp_path: Path
) -> None:
    one = add(1, 2)
    tags = {"candidate_id": "c", "content_key": "k", "step": "s", "ordering_id": "o"}
    one.update_metadata(tags)
    run(recorded(one), job_store, tmp_path / "launch")
    (execution,) = read_executions(execution_folder).executions
    assert execution.outcome is Outcome.COMPLETED
    assert execution.start.job_uuid == one.uuid
    assert tags.items() <= execution.start.model_dump().items()
    assert job_store.get_output(one.uuid) == 3


def test_a_failing_job_leaves_its_error(
    job_store: JobStore, execution_folder: Path, tmp_path: Path
) -> None:
    run(recorded(fail()), job_store, tmp_path / "launch")
    (execution,) = read_executions(execution_folder).executions
    assert execution.outcome is Outcome.FAILED
    assert execution.end is not None
    assert execution.end.error_class == "builtins.ValueError"
    assert execution.end.error_message == "no such luck"
    assert str(execution.end.traceback).endswith("ValueError: no such luck\n")
    assert "test_recorded.py" in str(execution.end.traceback)


@pytest.mark.parametrize("kind", ["addition", "detour", "replace"])
def test_jobs_made_on_the_node_are_recorded(
    job_store: JobStore, execution_folder: Path, tmp_path: Path, kind: str
) -> None:
    run(recorded(grow(kind)), job_store, tmp_path / "launch")
    assert [name for name, _ in names(execution_folder)][:2] == ["grow", "add"]
    assert {outcome for _, outcome in names(execution_folder)} == {Outcome.COMPLETED}


def test_nested_flows_are_recorded_to_the_last_job(
    job_store: JobStore, execution_folder: Path, tmp_path: Path
) -> None:
    first = add(1, 2)
    second = add(first.output, 3)
    flow = Flow([first, Flow([second], output=second.output)])
    assert recorded(flow) is flow
    run(flow, job_store, tmp_path / "launch")
    assert len(names(execution_folder)) == 2
    assert job_store.get_output(second.uuid) == 6


def test_a_job_that_travelled_as_json_still_records(
    job_store: JobStore, execution_folder: Path, tmp_path: Path
) -> None:
    # FireWorks stores a job as JSON and rebuilds it on the worker.
    one = recorded(grow("addition"))
    assert isinstance(one, RecordedJob)
    text = json.dumps(one, cls=MontyEncoder)
    back = json.loads(text, cls=MontyDecoder)
    assert type(back) is RecordedJob
    assert back.uuid == one.uuid
    assert json.loads(json.dumps(back, cls=MontyEncoder)) == json.loads(text)
    run(back, job_store, tmp_path / "launch")
    assert ledger(execution_folder).total.completed == 2


def test_a_flow_handed_to_fireworks_holds_recorded_jobs() -> None:
    from jobflow.managers.fireworks import flow_to_workflow  # noqa: PLC0415 - slow

    flow = recorded(Flow([add(1, 2)]))
    assert isinstance(flow, Flow)
    workflow = flow_to_workflow(flow)
    (firework,) = workflow.fws
    stored = json.loads(json.dumps(firework.to_dict(), default=str))
    assert stored["spec"]["_tasks"][0]["job"]["@class"] == "RecordedJob"
    assert stored["spec"]["_tasks"][0]["job"]["@module"] == RecordedJob.__module__

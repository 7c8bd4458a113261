from __future__ import annotations

import math
import resource
import signal
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from jobflow import Flow, Job, Response, job
from pymongo.errors import AutoReconnect

from hts_battery.connections.database.retries import RetryPolicy
from hts_battery.connections.extended_json import pack_document
from hts_battery.connections.records.executions import read_executions
from hts_battery.errors import DatabaseOutageError, StoreError
from hts_battery.flows.execution.recorded import (
    FIREWORK_FILE,
    OWN_OUTPUT,
    RecordedJob,
    recorded,
)
from hts_battery.flows.execution.spool import (
    SPOOL,
    HeldStore,
    read_spool,
    spool,
    store_output,
    store_spooled,
)
from hts_battery.flows.recipes.local import run_flow_locally
from hts_battery.schemas.execution import Outcome
from hts_battery.schemas.recovery import ResponseKind
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobflow import JobStore

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.recovery import SpooledOutput

pytestmark = pytest.mark.mongo


@job(data="large")
def compute(folder: str, number: int) -> dict[str, Any]:
    """Count how often it is computed; return something with a large part."""
    from pathlib import Path  # noqa: PLC0415 - a job is a file of its own on a node

    with (Path(folder) / "computed").open("a") as file:
        file.write(".")
    return {"number": number, "large": [number] * 3, "none": math.inf}


@job
def grow(folder: str) -> Response[int]:
    return Response(output=1, addition=Flow([compute(folder, 5)]))


@job
def grow_from(folder: str, found: dict[str, Any] | None = None) -> Response[Any]:
    found = found or compute.original(folder, 6)
    return Response(output=found, addition=Flow([compute(folder, found["number"])]))


class BrokenStore:
    """A store that loses its server for some writes; everything else is the store's."""

    def __init__(self, store: Any, failures: int) -> None:  # noqa: ANN401 - a maggma store
        self.store, self.failures = store, failures

    def update(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passes it on
        if self.failures:
            self.failures -= 1
            raise AutoReconnect("connection closed")
        self.store.update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever it has
        return getattr(self.store, name)


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a launch of a rocket that waits for no database."""
    monkeypatch.setenv("HTS_BATTERY_OUTAGE_PATIENCE", "0")
    get_settings.cache_clear()
    folder = tmp_path / "first"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def in_rocket(made: Job) -> Job:
    one = recorded(made)
    assert isinstance(one, Job)
    one.metadata["fw_id"] = 7
    return one


def breaking(stores: Stores, failures: int) -> JobStore:
    """Return the job store with documents that cannot be written."""
    from jobflow import JobStore  # noqa: PLC0415 - as elsewhere

    return JobStore(
        BrokenStore(stores.tasks, failures),  # type: ignore[arg-type] # a named fake
        additional_stores={"data": stores.blobs},
    )


def output_of(made: Job, store: JobStore) -> SpooledOutput:
    held = HeldStore(store, made.uuid)
    return held.output(made.run(held))


def again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to the folder of the next launch of the same Firework, as FireWorks does."""
    second = folder.parent / "second"
    second.mkdir()
    launches = f'[{{"launch_id": 1, "launch_dir": "{folder}"}}]'
    (second / FIREWORK_FILE).write_text(f'{{"archived_launches": {launches}}}')
    monkeypatch.chdir(second)
    return second


@pytest.mark.usefixtures("execution_folder")
def test_an_output_survives_an_outage_and_is_not_computed_again(
    stores: Stores,
    launch: Path,
    execution_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = in_rocket(compute(str(launch), 3))
    with pytest.raises(DatabaseOutageError, match=r"kept as .*hts launchpad recover"):
        one.run(breaking(stores, 9))
    assert stores.tasks.count() == 0
    again(launch, monkeypatch)
    # The same Firework run again finds it where the earlier launch left it.
    response = one.run(stores.job_store)
    assert response.output == {"number": 3, "large": [3] * 3, "none": math.inf}
    assert (launch / "computed").read_text() == "."
    assert not (launch / SPOOL).exists()
    outcomes = [one.outcome for one in read_executions(execution_folder).executions]
    assert outcomes == [Outcome.COMPLETED, Outcome.REUSED]
    # And once more, from the store.
    assert one.run(stores.job_store).output["number"] == 3
    assert (launch / "computed").read_text() == "."


@pytest.mark.usefixtures("execution_folder")
def test_a_short_outage_is_waited_for(
    stores: Stores, launch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTS_BATTERY_OUTAGE_PATIENCE", "60")
    get_settings.cache_clear()
    one = in_rocket(compute(str(launch), 3))
    one.run(breaking(stores, 2))
    assert stores.job_store.get_output(one.uuid, load=True)["large"] == [3, 3, 3]
    assert not (launch / SPOOL).exists()


@pytest.mark.usefixtures("execution_folder")
def test_a_job_that_made_jobs_is_run_again(
    stores: Stores, launch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = in_rocket(grow(str(launch)))
    with pytest.raises(DatabaseOutageError):
        one.run(breaking(stores, 9))
    assert read_spool(launch / SPOOL).response is ResponseKind.CONTINUED
    again(launch, monkeypatch)
    response = one.run(stores.job_store)
    assert isinstance(response.addition, Flow)
    assert stores.tasks.query_one({"uuid": one.uuid})["metadata"]["response"] == (
        "continued"
    )


def test_a_job_that_made_jobs_takes_what_it_had_found(
    stores: Stores,
    launch: Path,
    execution_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = in_rocket(grow_from(str(launch)))
    one.metadata[OWN_OUTPUT] = "found"
    text = one.as_dict()
    one.run(stores.job_store)  # killed before the rocket wrote down its new jobs
    again(launch, monkeypatch)
    second = RecordedJob.from_dict(text)
    response = second.run(stores.job_store)
    assert isinstance(response.addition, Flow)
    assert (launch / "computed").read_text() == "."
    outcomes = [one.outcome for one in read_executions(execution_folder).executions]
    assert outcomes == [Outcome.COMPLETED, Outcome.REUSED]
    (task,) = stores.tasks.query({"uuid": one.uuid})
    assert (task["output"]["number"], task["metadata"]["response"]) == (6, "continued")


@pytest.mark.usefixtures("execution_folder")
def test_without_a_folder_of_its_own_nothing_is_written_and_nothing_reused(
    stores: Stores, launch: Path
) -> None:
    one = recorded(compute(str(launch), 3))
    assert isinstance(one, Job)
    with pytest.raises(DatabaseOutageError):
        one.run(breaking(stores, 9))
    assert [path.name for path in launch.iterdir()] == ["computed"]
    one.run(stores.job_store)
    one.run(stores.job_store)
    assert (launch / "computed").read_text() == "..."


@pytest.mark.usefixtures("execution_folder")
def test_a_local_run_keeps_the_output_and_does_not_wait(
    stores: Stores, launch: Path
) -> None:
    one = compute(str(launch), 3)
    flow = recorded(Flow([one]))
    assert isinstance(flow, Flow)
    with pytest.raises(StoreError, match="hts launchpad recover"):
        run_flow_locally(flow, breaking(stores, 9), launch / "runs")
    assert store_spooled(launch / "runs", stores.job_store) == (one.uuid,)
    assert stores.job_store.get_output(one.uuid, load=True)["number"] == 3


@pytest.mark.usefixtures("execution_folder")
def test_ingesting_twice_and_over_a_newer_output(stores: Stores, launch: Path) -> None:
    made = compute(str(launch), 3)
    output = output_of(made, stores.job_store)
    (launch / "deep").mkdir()
    spool(output, launch / "deep")
    assert store_spooled(launch, stores.job_store, dry_run=True) == (made.uuid,)
    assert stores.tasks.count() == 0
    assert store_spooled(launch, stores.job_store) == (made.uuid,)
    assert store_spooled(launch, stores.job_store) == ()
    assert not (launch / "deep" / SPOOL).exists()
    assert stores.job_store.get_output(made.uuid, load=True)["large"] == [3, 3, 3]
    stores.tasks.update([{**output.task, "output": "newer"}], key=["uuid", "index"])
    spool(output, launch)
    assert store_spooled(launch, stores.job_store) == ()
    assert stores.job_store.get_output(made.uuid) == "newer"
    assert not (launch / SPOOL).exists()


def test_types_of_the_database_survive(stores: Stores, launch: Path) -> None:
    output = output_of(compute(str(launch), 3), stores.job_store)
    time = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
    task = {**output.task, "time": time, "raw": b"\x00\x01", "big": 2**40}
    path = spool(output.model_copy(update={"task": task}), launch)
    found = read_spool(path)
    assert found.task["raw"] == b"\x00\x01"
    assert found.task["big"] == 2**40
    assert found.task["time"] == time
    assert found.blobs == output.blobs
    store_output(found, stores.job_store)
    assert stores.tasks.query_one({"uuid": output.uuid})["raw"] == b"\x00\x01"


def test_a_file_that_is_cut_off_hides_nothing_after_it(
    launch: Path, stores: Stores
) -> None:
    made = compute(str(launch), 3)
    output = output_of(made, stores.job_store)
    for name in ("1", "2", "3"):
        (launch / name).mkdir()
    whole = spool(output, launch / "1").read_bytes()
    (launch / "1" / SPOOL).write_bytes(whole[: len(whole) // 2])
    (launch / "2" / SPOOL).write_bytes(b"")
    spool(output, launch / "3")
    said: list[str] = []
    found = store_spooled(launch, stores.job_store, dry_run=True, report=said.append)
    assert (found, len(said)) == ((made.uuid,), 2)
    assert (launch / "1" / SPOOL).exists()
    found = store_spooled(launch, stores.job_store, report=said.append)
    assert (found, len(said)) == ((made.uuid,), 4)
    for text, name in zip(said[2:], ("1", "2"), strict=True):
        assert f"{name}/{SPOOL}: not a packed document" in text
        assert f"kept as {SPOOL}.broken-1, its job is computed again" in text
        assert [one.name for one in (launch / name).iterdir()] == [f"{SPOOL}.broken-1"]
    assert store_spooled(launch, stores.job_store, report=said.append) == ()
    assert len(said) == 4
    # Cut off once more, nothing of the first is lost.
    (launch / "1" / SPOOL).write_bytes(b"")
    store_spooled(launch, stores.job_store, report=said.append)
    assert (launch / "1" / f"{SPOOL}.broken-1").read_bytes() == whole[: len(whole) // 2]
    assert (launch / "1" / f"{SPOOL}.broken-2").exists()


def test_an_output_of_another_format_stays(launch: Path, stores: Stores) -> None:
    newer = {"file_format": 2, "uuid": "a"}
    (launch / SPOOL).write_bytes(pack_document(newer))
    said: list[str] = []
    assert store_spooled(launch, stores.job_store, report=said.append) == ()
    assert "file_format" in said[0]
    assert (launch / SPOOL).exists()


@contextmanager
def full_disk() -> Iterator[None]:
    """Let this process write no file longer than a hundred bytes, its log included."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_no_half_file(launch: Path, stores: Stores) -> None:
    output = output_of(compute(str(launch), 3), stores.job_store)
    with full_disk(), pytest.raises(OSError, match="too large"):
        spool(output, launch)
    assert [path.name for path in launch.iterdir()] == ["computed"]


def test_retries_count_from_the_first_failure_to_the_next_success() -> None:
    time, waits = [0.0], []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time[0] += seconds

    limit = RetryPolicy(10.0, clock=lambda: time[0], sleep=sleep)

    def gone() -> None:
        raise AutoReconnect("closed")

    with pytest.raises(AutoReconnect):
        limit.attempt(gone)
    assert time[0] == pytest.approx(10.0)
    # The outage goes on: nothing waits for it a second time.
    with pytest.raises(AutoReconnect):
        limit.attempt(gone)
    assert time[0] == pytest.approx(10.0)
    assert limit.attempt(lambda: 1) == 1
    with limit.suspended(), pytest.raises(AutoReconnect):
        limit.attempt(gone)
    assert time[0] == pytest.approx(10.0)
    with pytest.raises(AutoReconnect):
        limit.attempt(gone)
    assert time[0] == pytest.approx(20.0)
    assert max(waits) <= 15.0

"""Jobs that write themselves into the execution record as they start and end."""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from jobflow import Flow, Job, OutputReference, Response
from monty.json import jsanitize
from pydantic import ValidationError

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.retries import RetryPolicy, allocation_end
from hts_battery.connections.processes import (
    host_name,
    process_identity,
    process_scope,
)
from hts_battery.connections.queue_job import own_queue_job
from hts_battery.connections.records.executions import ExecutionRecord, described_error
from hts_battery.connections.records.launch_files import mark_of, write_mark
from hts_battery.errors import CalculationError, DatabaseOutageError, StoreError
from hts_battery.flows.execution.node import node_settings, refuse_other_versions
from hts_battery.flows.execution.spool import (
    RESPONSE_FIELD,
    SPOOL,
    HeldStore,
    spool,
    store_output,
    store_spooled,
)
from hts_battery.schemas.failure import FailureDoc
from hts_battery.schemas.launch import LaunchMark
from hts_battery.schemas.launchpad_rows import stored_data
from hts_battery.schemas.recovery import ResponseKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobflow import JobStore

    from hts_battery.schemas.launchpad_rows import LaunchRow
    from hts_battery.schemas.recovery import SpooledOutput

    Failure = dict[str, object]
    """Step, ordering_id, n_orderings, error_class, error_message and traceback of a
    failed job; failure_class and evidence where its program said more."""

FIREWORK_FILE = "FW.json"
OWN_OUTPUT = "own_output"
"""Where the metadata of a job that makes more name the argument by which it takes what
an earlier launch of it has stored."""


@dataclass(frozen=True)
class EarlierLaunch:
    """An earlier launch of the same Firework, and how it was lost, if it was."""

    folder: Path
    failure: FailureDoc | None = None

    def ran(self, uuid: str) -> bool:
        """Say whether its folder can be seen from here and is that of a job."""
        mark = mark_of(self.folder)
        return mark is not None and mark.uuid == uuid


def earlier_launches(folder: Path) -> tuple[EarlierLaunch, ...]:
    """Read the earlier launches of the Firework of a folder, the last one last."""
    try:
        content = json.loads((folder / FIREWORK_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return ()
    launches = sorted(
        content.get("archived_launches") or (), key=lambda one: one["launch_id"]
    )
    return tuple(
        EarlierLaunch(Path(one["launch_dir"]), loss_of(one)) for one in launches
    )


def loss_of(launch: LaunchRow) -> FailureDoc | None:
    """Read from the document of a launch how it was lost; None if nobody knows."""
    stored = stored_data(launch.get("action"))
    try:
        return FailureDoc.model_validate(stored.get("hts_lost"))
    except ValidationError:
        return None


@dataclass
class Watch:
    """
    What the one who runs jobs in this process learns of them.

    Parameters
    ----------
    on_failure
        Told of each job that raised an error of its own.
    """

    on_failure: Callable[[Failure], None] = lambda _failure: None
    outages: list[StoreError] = field(default_factory=list)
    """Errors of the database or the record: nobody's calculation failed."""
    own_folders: bool = False
    """Whether each job runs in a folder of its own, to be marked as the job's."""


PRERELAX_STEP = "prerelax"
_FIREWORK = "fw_id"  # jobflow puts it into the metadata of a job that a rocket runs
_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
_retries: ContextVar[RetryPolicy | None] = ContextVar("retries", default=None)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Let the recorded jobs of this block report to a watch."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


class RecordedJob(Job):
    """
    A jobflow job whose every execution is recorded on disk.

    Only ``run`` differs from :class:`jobflow.Job`: whatever runs the job (a local
    loop, a FireWorks rocket, jobflow-remote) leaves a line when it starts and one
    when it ends, and the jobs it makes on the node are recorded too. The folder
    comes from the settings of the machine that runs the job, because the machine
    that submitted it may have another file system. A job that was submitted with
    other versions of packages than there are here is refused.

    What a finished job returned is not lost because the database is away: its output
    is kept in the launch folder (:mod:`hts_battery.flows.execution.spool`). A rocket
    waits for the database for a while. The same Firework run again takes an output that
    is there. A job that had made more jobs, which are not kept, is given that output if
    it takes it, and runs to make them.
    """

    def run(
        self,
        store: JobStore,
        job_dir: Path = None,  # type: ignore[assignment] # noqa: RUF013 - jobflow's own
    ) -> Response[Any]:
        """
        Run the job between its two lines in the execution record.

        Raises
        ------
        VersionSkewError
            If a package differs from the one that the job was submitted with.
        DatabaseOutageError
            If the database went away; where a watch is kept, the flow is stopped
            instead.
        """
        watch = _watch.get()
        folder = None
        if self._has_own_folder(watch):
            folder = Path.cwd()
            write_mark(folder, self._mark())
        settings = node_settings()
        record = ExecutionRecord(settings.execution_folder)
        try:
            with self._waiting(settings.outage_patience):
                response = self._reused(store, job_dir, folder, record)
                if response is None:
                    response = self._run_recorded(store, job_dir, folder, record)
        except StoreError as err:
            if watch is None:
                raise
            watch.outages.append(err)
            # Whatever would come next has nowhere to put its result.
            return Response(stop_jobflow=True)
        except Exception as err:
            if watch is not None:
                watch.on_failure(self._failure(err))
            raise
        _record_made(response)
        return response

    def as_dict(self) -> dict[str, object]:
        """
        Return the job as plain values, the options of its maker too.

        FireWorks makes a text of whatever is left that is none, and the node could not
        make a maker of that.
        """
        found: dict[str, object] = jsanitize(
            super().as_dict(), strict=True, enum_values=True
        )
        return found

    def resolve_args(self, store: JobStore, *args: Any, **kwargs: Any) -> Job:  # noqa: ANN401 - jobflow's own
        """Fetch the outputs that the job refers to; a rocket waits for the database."""
        resolve = super().resolve_args
        return self._retries().attempt(lambda: resolve(store, *args, **kwargs))

    def _has_own_folder(self, watch: Watch | None) -> bool:
        return self._in_rocket if watch is None else watch.own_folders

    @property
    def _in_rocket(self) -> bool:
        return _FIREWORK in self.metadata and _watch.get() is None

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Wait for the database in a rocket; jobs that its job runs share the time."""
        if not self._in_rocket:
            yield
            return
        token = _retries.set(RetryPolicy(seconds, end=allocation_end()))
        try:
            yield
        finally:
            _retries.reset(token)

    @staticmethod
    def _retries() -> RetryPolicy:
        # Whoever sits before a local run sees the outage and starts it again.
        return _retries.get() or RetryPolicy(0)

    def _run_recorded(
        self,
        store: JobStore,
        job_dir: Path | None,
        folder: Path | None,
        record: ExecutionRecord,
        *,
        reused: bool = False,
    ) -> Response[Any]:
        uri = store_uri(store)
        kept: Path | None = None
        with self._execution(record, reused=reused):
            refuse_other_versions(self.metadata.get("versions", {}))
            held = HeldStore(store, self.uuid)
            with translated_outages(uri, f"running {self.name}"):
                response = super().run(held, job_dir)  # type: ignore[arg-type] # as its caller
                output = held.output(response)
                try:
                    with translated_outages(uri, f"storing {self.name}"):
                        store_output(output, store)
                except DatabaseOutageError as err:
                    kept = self._keep(output, folder, err)
                    if kept is None:
                        self._retries().attempt(lambda: self._store(output, store))
        if kept is not None:
            self._deliver(output, kept, store)
        return response

    def _execution(
        self, record: ExecutionRecord, *, reused: bool = False
    ) -> AbstractContextManager[object]:
        return record.execution(
            job_uuid=self.uuid,
            name=self.name,
            candidate_id=self.metadata.get("candidate_id"),
            content_key=self.metadata.get("content_key"),
            step=self.metadata.get("step"),
            ordering_id=self.metadata.get("ordering_id"),
            reused=reused,
        )

    @staticmethod
    def _keep(
        output: SpooledOutput, folder: Path | None, outage: DatabaseOutageError
    ) -> Path | None:
        """Keep on disk what cannot be stored now; None where that cannot be either."""
        if folder is None:
            return None
        try:
            return spool(output, folder)
        except OSError as full:
            outage.add_note(f"its output could not be kept in {folder}: {full}")
            return None

    def _deliver(self, output: SpooledOutput, path: Path, store: JobStore) -> None:
        """Store what is kept on disk as soon as the database is there."""
        try:
            self._retries().attempt(lambda: self._store(output, store))
        except DatabaseOutageError as err:
            raise DatabaseOutageError(
                f"{err}; the job has finished, its output is kept as {path}: "
                "`hts launchpad recover` stores it, and it is not computed again"
            ) from None
        with suppress(OSError):  # the store has it: what stays is found and dropped
            path.unlink()

    def _store(self, output: SpooledOutput, store: JobStore) -> None:
        with translated_outages(store_uri(store), f"storing {self.name}"):
            store_output(output, store)

    def _reused(
        self,
        store: JobStore,
        job_dir: Path | None,
        folder: Path | None,
        record: ExecutionRecord,
    ) -> Response[Any] | None:
        """Return what an earlier launch of the same Firework had computed, if any."""
        if folder is None or not self._in_rocket:
            return None
        uri = store_uri(store)
        with translated_outages(uri, f"looking for the output of {self.name}"):
            kind = self._retries().attempt(lambda: self._stored_kind(store, folder))
            if kind == ResponseKind.OUTPUT:
                with self._execution(record, reused=True):
                    output = store.get_output(self.uuid, which=self.index, load=True)
                return Response(output=output)
        argument = self.metadata.get(OWN_OUTPUT)
        if kind is None or argument is None:
            return None
        self.function_kwargs[argument] = OutputReference(self.uuid)
        return self._run_recorded(store, job_dir, folder, record, reused=True)

    def _stored_kind(self, store: JobStore, folder: Path) -> str | None:
        """Say what kind of response is stored of this job; none if there is nothing."""
        for launch in earlier_launches(folder):
            if launch.ran(self.uuid) and (launch.folder / SPOOL).is_file():
                store_spooled(launch.folder, store)
        found = store.docs_store.query_one(
            {"uuid": self.uuid, "index": self.index},
            properties=[f"metadata.{RESPONSE_FIELD}"],
        )
        return ((found or {}).get("metadata") or {}).get(RESPONSE_FIELD)

    def _mark(self) -> LaunchMark:
        metadata = self.metadata
        settings = metadata.get("calculation") or metadata
        engine = settings.get("engine")
        if metadata.get("step") == PRERELAX_STEP:
            engine = (settings.get("prerelax") or {}).get("engine")
        job = own_queue_job()
        return LaunchMark(
            uuid=self.uuid,
            index=self.index,
            engine=engine,
            step=metadata.get("step"),
            content_key=metadata.get("content_key"),
            ordering_id=metadata.get("ordering_id"),
            fw_id=metadata.get(_FIREWORK),
            host=host_name(),
            pid=os.getpid(),
            process=process_identity(os.getpid()),
            scope=process_scope(),
            queue_id=job.queue_id if job else None,
            cluster=job.cluster if job else None,
        )

    def _failure(self, error: Exception) -> Failure:
        failure: Failure = {
            "step": self.metadata.get("step"),
            "ordering_id": self.metadata.get("ordering_id"),
            "n_orderings": self.metadata.get("n_orderings"),
            **described_error(error),
        }
        if isinstance(error, CalculationError):
            failure |= {"failure_class": error.kind, "evidence": error.evidence}
        return failure


def _record_made(response: Response[Any]) -> None:
    """Record what a job has made on the node."""
    for name in ("replace", "detour", "addition"):
        made = getattr(response, name)
        if isinstance(made, Flow | Job):  # jobflow has wrapped lists by now
            setattr(response, name, recorded(made))


def store_uri(store: JobStore) -> str:
    """Return where the outputs of a job store are; empty where that is no server."""
    return str(getattr(store.docs_store, "uri", ""))


@overload
def recorded(flow: Flow) -> Flow: ...


@overload
def recorded(flow: Job) -> RecordedJob: ...


def recorded(flow: Flow | Job) -> Flow | RecordedJob:
    """
    Turn every job of a flow into a recorded one.

    A flow is changed in place, nested ones too. Of a job the answer is another one with
    the same uuid, by which others refer to it.
    """
    if isinstance(flow, Job):
        return _recorded_job(flow)
    output, jobs = flow.output, [recorded(one) for one in flow.jobs]
    # A flow gives up no job that its output names.
    flow.output = None
    flow.remove_jobs(list(range(len(jobs))))
    flow.add_jobs(jobs)
    flow.output = output
    return flow


def _recorded_job(job: Job) -> RecordedJob:
    if isinstance(job, RecordedJob):
        return job
    return RecordedJob(
        function=job.function,
        function_args=job.function_args,
        function_kwargs=job.function_kwargs,
        output_schema=job.output_schema,
        uuid=job.uuid,
        index=job.index,
        name=job.name,
        metadata=job.metadata,
        config=job.config,
        hosts=job.hosts,
        metadata_updates=job.metadata_updates,
        config_updates=job.config_updates,
        name_updates=job.name_updates,
        **job._kwargs,  # noqa: SLF001 - which outputs are large: no public name
    )


def jobs_of(flow: Flow | Job) -> Iterator[Job]:
    """Yield every job of a flow, nested or not; no order is promised."""
    if isinstance(flow, Job):
        yield flow
        return
    for part in flow.jobs:
        yield from jobs_of(part)

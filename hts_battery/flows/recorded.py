"""Jobs that write themselves into the execution record as they start and end."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job, Response

from hts_battery.connections.clients import translated_outages
from hts_battery.connections.executions import ExecutionRecord, described_error
from hts_battery.errors import CalculationError, StoreError
from hts_battery.flows.launch_folders import write_mark
from hts_battery.flows.versions import refuse_other_versions
from hts_battery.schemas.launch import LaunchMark
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobflow import JobStore

    Failure = dict[str, Any]
    """Step, ordering_id, n_orderings, error_class, error_message and traceback of a
    failed job; failure_class and evidence where its program said more."""


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

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


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
        if watch is not None and watch.own_folders:
            write_mark(Path.cwd(), self._mark())
        try:
            response = self._run_recorded(store, job_dir)
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
        for made in (response.replace, response.detour, response.addition):
            if isinstance(made, Flow | Job):  # jobflow has wrapped lists by now
                recorded(made)
        return response

    def _run_recorded(self, store: JobStore, job_dir: Path) -> Response[Any]:
        record = ExecutionRecord(get_settings().execution_folder)
        uri = str(getattr(store.docs_store, "uri", ""))
        with record.execution(
            job_uuid=self.uuid,
            name=self.name,
            candidate_id=self.metadata.get("candidate_id"),
            content_key=self.metadata.get("content_key"),
            step=self.metadata.get("step"),
            ordering_id=self.metadata.get("ordering_id"),
        ):
            refuse_other_versions(self.metadata.get("versions", {}))
            with translated_outages(uri, f"running {self.name}"):
                return super().run(store, job_dir)

    def _mark(self) -> LaunchMark:
        metadata = self.metadata
        settings = metadata.get("calculation") or metadata
        engine = settings.get("engine")
        if metadata.get("step") == PRERELAX_STEP:
            engine = (settings.get("prerelax") or {}).get("engine")
        return LaunchMark(
            uuid=self.uuid,
            index=self.index,
            engine=engine,
            step=metadata.get("step"),
            content_key=metadata.get("content_key"),
            ordering_id=metadata.get("ordering_id"),
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


def recorded(flow: Flow | Job) -> Flow | Job:
    """
    Turn every job of a flow into a recorded one, in place.

    Parameters
    ----------
    flow
        A flow, nested or not, or a single job.

    Returns
    -------
    Flow or Job
        The same object.
    """
    for job in jobs_of(flow):
        # References to a job hold its uuid, not the object, but flows and hosts hold
        # the object itself: changing the class keeps every link as it is.
        job.__class__ = RecordedJob
    return flow


def jobs_of(flow: Flow | Job) -> Iterator[Job]:
    """Yield every job of a flow, nested or not; no order is promised."""
    if isinstance(flow, Job):
        yield flow
        return
    for part in flow.jobs:
        yield from jobs_of(part)

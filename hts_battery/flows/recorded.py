"""Jobs that write themselves into the execution record as they start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobflow import Flow, Job

from hts_battery.connections.executions import ExecutionRecord
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from pathlib import Path

    from jobflow import JobStore, Response


class RecordedJob(Job):
    """
    A jobflow job whose every execution is recorded on disk.

    Only ``run`` differs from :class:`jobflow.Job`: whatever runs the job (a local
    loop, a FireWorks rocket, jobflow-remote) leaves a line when it starts and one
    when it ends, and the jobs it makes on the node are recorded too. The folder
    comes from the settings of the machine that runs the job, because the machine
    that submitted it may have another file system.
    """

    def run(
        self,
        store: JobStore,
        job_dir: Path = None,  # type: ignore[assignment] # noqa: RUF013 - jobflow's own
    ) -> Response[Any]:
        """Run the job between its two lines in the execution record."""
        record = ExecutionRecord(get_settings().execution_folder)
        with record.execution(
            job_uuid=self.uuid,
            name=self.name,
            candidate_id=self.metadata.get("candidate_id"),
            content_key=self.metadata.get("content_key"),
        ):
            response = super().run(store, job_dir)
        for made in (response.replace, response.detour, response.addition):
            if isinstance(made, Flow | Job):  # jobflow has wrapped lists by now
                recorded(made)
        return response


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
    jobs = [flow] if isinstance(flow, Job) else [job for job, _ in flow.iterflow()]
    for job in jobs:
        # References to a job hold its uuid, not the object, but flows and hosts hold
        # the object itself: changing the class keeps every link as it is.
        job.__class__ = RecordedJob
    return flow

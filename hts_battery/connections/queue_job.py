"""The queue job that this process runs in: what its queue tells it by variables."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBER = re.compile(r"\d+")
# Variable of the job's name → that of its cluster's, where there is one.
_VARIABLES = {
    "SLURM_JOB_ID": "SLURM_CLUSTER_NAME",
    "PBS_JOBID": None,
    "LSB_JOBID": None,
    "COBALT_JOBID": None,
    "JOB_ID": "SGE_CLUSTER_NAME",
}


class QueueJob(NamedTuple):
    """A job of a queue."""

    queue_id: str
    """Its name, as the queue says it."""
    cluster: str | None = None
    """Cluster of that queue, where it has a name."""


def own_queue_job(environment: Mapping[str, str] = os.environ) -> QueueJob | None:
    """
    Return the queue job of this process; none outside one.

    Examples
    --------
    >>> own_queue_job({"SLURM_JOB_ID": "815", "SLURM_CLUSTER_NAME": "second"})
    QueueJob(queue_id='815', cluster='second')
    >>> own_queue_job({}) is None
    True
    """
    for variable, cluster in _VARIABLES.items():
        if name := environment.get(variable):
            return QueueJob(name, environment.get(cluster) if cluster else None)
    return None


def job_number(queue_id: str | None) -> str | None:
    """
    Return the number in the name of a queue job.

    Examples
    --------
    >>> job_number("4711.pbs-server"), job_number(None)
    ('4711', None)
    """
    found = _NUMBER.search(queue_id or "")
    return found.group() if found else None


def is_another_job(reserved: str | None, own: str | None) -> bool:
    """
    Say whether a reservation is another queue job's, by both names.

    Where nobody wrote a name, or this process knows none, nothing speaks against it.

    Examples
    --------
    >>> is_another_job("815", "814"), is_another_job("815", "815.server")
    (True, False)
    >>> is_another_job(None, "814"), is_another_job("815", None)
    (False, False)
    """
    there, here = job_number(reserved), job_number(own)
    return there is not None and here is not None and there != here

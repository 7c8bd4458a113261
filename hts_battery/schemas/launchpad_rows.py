"""FireWorks' documents as a database returns them: typed for readers, not validated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Required, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


class WrittenProcess(TypedDict):
    """A process as it is written down, for whoever looks for it later."""

    host: str
    pid: int
    process: str | None
    """Start and boot: tells a recycled number."""
    scope: str
    """Who would see it."""


class StateRow(TypedDict, total=False):
    """A state that a launch took, and when; what we add begins with ``hts_``."""

    state: Required[str]
    created_on: datetime | str
    updated_on: datetime | str
    reservation_id: str | int
    hts_rocket: str
    hts_ping_seconds: float
    hts_process: WrittenProcess


class ErrorRow(TypedDict, total=False):
    """What a job raised."""

    _stacktrace: str
    _details: Mapping[str, object]


class StoredDataRow(TypedDict, total=False):
    """What a launch left for people: the error that ended it, or how it was lost."""

    _exception: ErrorRow
    hts_lost: Mapping[str, object]


class ActionRow(TypedDict, total=False):
    """How a launch ended."""

    stored_data: StoredDataRow


class WorkerRow(TypedDict):
    """A worker of FireWorks."""

    name: str


class LaunchRow(TypedDict, total=False):
    """A launch of a Firework."""

    launch_id: Required[int]
    fw_id: Required[int]
    state: Required[str]
    launch_dir: Required[str]
    state_history: Required[Sequence[StateRow]]
    fworker: WorkerRow
    host: str
    action: ActionRow | None


class JobRow(TypedDict):
    """What is read of a job that a task runs."""

    uuid: str


class FireTaskRow(TypedDict, total=False):
    """What is read of a task."""

    job: JobRow


class SpecRow(TypedDict, total=False):
    """What the spec of a Firework says of us; ``_`` is FireWorks' own."""

    _fworker: str
    _queueadapter: dict[str, object]
    _tasks: Sequence[FireTaskRow]
    step: str
    content_key: str
    content_keys: Sequence[str]
    ordering_id: str
    n_orderings: int
    hts_campaign: str
    hts_dispatch_id: str
    hts_fw_id: int


class FireworkRow(TypedDict, total=False):
    """A Firework."""

    fw_id: Required[int]
    name: Required[str]
    state: Required[str]
    spec: SpecRow
    launches: Sequence[int]
    updated_on: datetime | str


def stored_data(action: ActionRow | None) -> StoredDataRow:
    """Return what a launch left by its action; empty where it left nothing."""
    return (action or {}).get("stored_data") or {}


def job_uuid(spec: SpecRow) -> str | None:
    """Return the job that a Firework runs."""
    task = next(iter(spec.get("_tasks") or ()), None)
    job = task.get("job") if task else None
    return job["uuid"] if job else None

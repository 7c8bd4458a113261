"""What an operator asks of jobs: which there are, what they print, what they left."""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.launchpad.job_listing import (
    ENDED,
    read_archived_jobs,
    read_jobs,
)
from hts_battery.connections.records.backlog import read_blocks
from hts_battery.errors import StoreError, SubmissionError
from hts_battery.schemas.launchpad_job import JobFile, LaunchpadJob

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.dispatch import BacklogItem, Ending
    from hts_battery.schemas.failure import FailureClass

OPEN = ("READY", "RESERVED", "RUNNING", "WAITING", "PAUSED", "FIZZLED")
"""States that are listed where none are asked for: what goes on, and what failed."""
STATES = (*OPEN, "COMPLETED", "DEFUSED", "ARCHIVED")
_LOGS = (
    "*.error",
    "*.out",
    "*.err",
    "*.log",
    "std_err.txt",
    "vasp.out",
    "stdout*",
    "stderr*",
)
"""Files of a launch folder that somebody who asks for its log wants to see."""
_LAST_LINES = 40
_LAST_BYTES = 1 << 16


class JobFilter(NamedTuple):
    """Which jobs are wanted; what is not given is not asked for."""

    campaign: str | None = None
    states: tuple[str, ...] = ()
    worker: str | None = None
    failure_class: FailureClass | None = None

    def takes(self, job: LaunchpadJob) -> bool:
        """Say whether a job is wanted, whatever its campaign and state."""
        if self.worker is not None and job.worker != self.worker:
            return False
        return self.failure_class in {None, job.failure_class}


def list_jobs(
    stores: Stores, wanted: JobFilter, *, now: datetime | None = None
) -> list[LaunchpadJob]:
    """
    List Fireworks with what is known of their queue jobs, the lowest number first.

    Without states, what ended well is left out. A class of failure is that which the
    backlog has, so it is known once the feeder has collected the job.
    """
    now = now or datetime.now(UTC)
    # What failed in a chunk does not fail the chunk.
    states = wanted.states or (OPEN if wanted.failure_class is None else STATES)
    jobs = read_jobs(stores, now, campaign=wanted.campaign, states=states)
    if not ENDED.isdisjoint(states):
        archived = read_archived_jobs(stores, campaign=wanted.campaign)
        jobs += [job for job in archived if job.state in states]
    jobs = with_failures(jobs, lambda name: _items(stores, name))
    return sorted(filter(wanted.takes, jobs), key=lambda job: job.fw_id)


def with_failures(
    jobs: Sequence[LaunchpadJob], read_backlog: Callable[[str], Iterable[BacklogItem]]
) -> list[LaunchpadJob]:
    """
    Add to jobs what the backlog of their campaign says of what failed in them.

    A chunk that ended well may hold candidates that failed.
    """
    campaigns = {job.campaign for job in jobs if job.campaign and job.state in ENDED}
    items = {
        item.content_key: item for name in campaigns for item in read_backlog(name)
    }
    return [_with_failure(job, items) for job in jobs]


def _with_failure(job: LaunchpadJob, items: Mapping[str, BacklogItem]) -> LaunchpadJob:
    endings = [
        ending
        for key in job.content_keys
        if key in items
        for ending in _endings(items[key], job)
        if ending is not None and ending.failure_class is not None
    ]
    if not endings or job.state not in ENDED:
        return job
    reason = endings[0].reason
    if len(job.content_keys) > 1:
        reason = f"{len(endings)} of {len(job.content_keys)} candidates: {reason}"
    kind = Counter(one.failure_class for one in endings).most_common(1)[0][0]
    return job.model_copy(update={"failure_class": kind, "reason": reason})


def _endings(item: BacklogItem, job: LaunchpadJob) -> Sequence[Ending | None]:
    """Return the ending that a job may have given a candidate."""
    if item.dispatch_id == job.dispatch_id:
        return [item.ending]
    return item.earlier[-1:] if job.state == "FIZZLED" else ()


def _items(stores: Stores, campaign: str) -> Iterator[BacklogItem]:
    for block in read_blocks(stores, campaign):
        yield from block.items


def find_job(
    stores: Stores, fw_id: int, *, now: datetime | None = None
) -> LaunchpadJob:
    """
    Return one job, from the launchpad or from the archive.

    Raises
    ------
    SubmissionError
        If there is none of that number.
    """
    found = read_jobs(stores, now or datetime.now(UTC), fw_ids=[fw_id])
    found = found or list(read_archived_jobs(stores, fw_id=fw_id))
    if not found:
        raise SubmissionError(
            f"there is no job {fw_id} in the launchpad or among the archived ones; "
            "`hts jobs list` says which there are"
        )
    return with_failures(found[:1], lambda name: _items(stores, name))[0]


def launch_folder(job: LaunchpadJob) -> Path:
    """
    Return the folder in which a job runs or ran.

    Raises
    ------
    SubmissionError
        If it has none yet.
    StoreError
        If it cannot be seen from here, or is gone.
    """
    if job.folder is None:
        raise SubmissionError(
            f"job {job.fw_id} is {job.state} and has no launch folder: it has not begun"
        )
    folder = Path(job.folder)
    if not folder.is_dir():
        raise StoreError(
            f"{folder} is not here: it is on {job.host}, or was tidied after its "
            "outputs were stored (`hts launches clean`)"
        )
    return folder


def job_files(job: LaunchpadJob) -> list[JobFile]:
    """List the files of a job's launch folder, subfolders too, by their names."""
    folder = launch_folder(job)
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            status = path.lstat()
        except OSError:
            continue  # it was removed while we looked
        if not path.is_dir():
            changed = datetime.fromtimestamp(status.st_mtime, UTC)
            name = str(path.relative_to(folder))
            found.append(JobFile(name=name, size=status.st_size, changed=changed))
    return found


def log_files(folder: Path) -> list[Path]:
    """
    Return the files to which a job prints, the one written last at the end.

    Empty ones are left out. Several rockets of one queue job print above their folders.
    """
    places = [folder, folder.parent] if _is_of_several(folder) else [folder]
    paths = {
        path
        for place in places
        for pattern in _LOGS
        for path in place.glob(pattern)
        if path.is_file() and path.stat().st_size
    }
    return sorted(paths, key=lambda path: (path.stat().st_mtime, path.name))


def _is_of_several(folder: Path) -> bool:
    """Say whether the queue's own files stand above a launch folder."""
    return not any(folder.glob("FW_submit.script")) and any(
        folder.parent.glob("FW_submit.script")
    )


def last_lines(path: Path, count: int = _LAST_LINES) -> list[str]:
    """Return the last lines of a file, however long it is."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _LAST_BYTES))
        text = file.read().decode(errors="replace")
    return text.splitlines()[-count:]


def follow(
    folder: Path,
    *,
    is_over: Callable[[], bool],
    every: float = 1.0,
    seen: Mapping[Path, int] | None = None,
) -> Iterator[tuple[Path, str]]:
    """
    Yield what a job prints from now on, file by file, until it is over.

    Parameters
    ----------
    folder
        Its launch folder.
    is_over
        Says whether the job has ended; asked before each look, so that nothing which
        it printed last is missed.
    every
        Seconds between looks.
    seen
        Bytes of each file that were shown already; everything that is there, if none.
    """
    shown = {path: path.stat().st_size for path in log_files(folder)}
    shown |= dict(seen or {})
    while True:
        over = is_over()
        for path in log_files(folder):
            with path.open("rb") as file:
                if shown.get(path, 0) > path.stat().st_size:
                    shown[path] = 0  # it was begun again
                file.seek(shown.get(path, 0))
                new = file.read()
            shown[path] = shown.get(path, 0) + len(new)
            if new:
                yield path, new.decode(errors="replace")
        if over:
            return
        time.sleep(every)

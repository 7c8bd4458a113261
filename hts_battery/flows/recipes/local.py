"""Running flows in this process, one after another."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jobflow import run_locally

from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.errors import SubmissionError
from hts_battery.flows.execution.launch_folders import tidy
from hts_battery.flows.execution.recorded import Watch, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobflow import Flow, JobStore
    from maggma.core import Store

    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.flows.recipes.calculated import Calculated
    from hts_battery.flows.recipes.screen import ScreenMaker
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.gate import HullSnapshot
    from hts_battery.schemas.launch import LaunchAction


JOB_LOG = "jobs.log"
_UNFINISHED = "Flow did not finish running successfully"  # jobflow has no class for it
_LAUNCH = re.compile(r"launch-(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-.*")


WITHOUT_ERROR: Failure = {
    "step": None,
    "ordering_id": None,
    "error_class": None,
    "error_message": "ended without an error",
    "traceback": None,
}
"""What is noted of a candidate that did not finish and raised nothing."""


def run_candidate(  # noqa: PLR0913 - each is named by its caller
    maker: ScreenMaker,
    candidate: CandidateDoc,
    known: Calculated,
    job_store: JobStore,
    launch_folder: Path,
    *,
    hull: HullSnapshot | None = None,
    released: bool = False,
    retry_failed: bool = False,
    on_failure: Callable[[Failure], None],
) -> None:
    """
    Compute in this process what a candidate lacks.

    Parameters
    ----------
    maker
        How it is ordered and computed.
    candidate
        The candidate.
    known
        What is known of its calculation: what finished is not repeated.
    job_store, launch_folder
        As for :func:`run_flow_locally`.
    hull
        Competing phases of its elements, where there is a gate.
    released
        Whether the operator lets it pass the gate.
    retry_failed
        Whether orderings that failed before are tried again.
    on_failure
        Told of each failure, the moment it happens.

    Raises
    ------
    StoreError
        If the database or the execution record failed: the candidate did not.
    """
    flow = maker.make(
        candidate,
        hull=hull,
        finished=known.done(retry_failed=retry_failed),
        prerelax_uuids=known.prerelaxed,
        released=released,
    )
    failures: list[Failure] = []

    def note(failure: Failure) -> None:
        failures.append(failure)
        on_failure(failure)

    finished = run_flow_locally(flow, job_store, launch_folder, on_failure=note)
    if not finished and not failures:
        on_failure(dict(WITHOUT_ERROR))


def run_flow_locally(
    flow: Flow,
    job_store: JobStore,
    launch_folder: Path,
    *,
    on_failure: Callable[[Failure], None] = lambda _failure: None,
) -> bool:
    """
    Run one flow to its end, each job in a folder of its own.

    Afterwards the folders are kept, packed or removed by the rules of
    :mod:`hts_battery.flows.execution.launch_folders`; after an outage they are left as
    they are.

    What jobs print, warnings included, goes to ``jobs.log`` in the folder of launches.

    A job that raises does not stop the caller, nor the other jobs: its outcome stands
    in the execution record, and its output is missing from the store.

    Parameters
    ----------
    flow
        Made of recorded jobs; it may refer to outputs that the store has already.
    job_store
        Connected store of outputs.
    launch_folder
        Folder in which the launch folder is made.
    on_failure
        Told of each job that raised an error of its own, before the next one starts.

    Returns
    -------
    bool
        Whether every job of the flow, those made on the way included, finished.

    Raises
    ------
    StoreError
        If the database or the execution record failed: no job is run after that.
    """
    launch_folder.mkdir(parents=True, exist_ok=True)
    watch = Watch(on_failure, own_folders=True)
    folder = Path(tempfile.mkdtemp(dir=launch_folder, prefix=_prefix(os.getpid())))
    try:
        return _run(flow, job_store, folder, watch)
    finally:
        if not watch.outages:
            with translated_outages(_uri(job_store), "tidying launch folders"):
                tidy(folder, job_store.docs_store)


def _run(flow: Flow, job_store: JobStore, folder: Path, watch: Watch) -> bool:
    with (
        (folder.parent / JOB_LOG).open("a", encoding="utf-8") as log,
        redirect_stdout(log),
        redirect_stderr(log),
        watched(watch),
        translated_outages(_uri(job_store), f"running {flow.name}"),
        warnings.catch_warnings(),
    ):
        # The orderings of a candidate do not depend on each other, and jobflow warns
        # that it may run them in any order.
        warnings.filterwarnings("ignore", "Some jobs are not connected", UserWarning)
        try:
            run_locally(
                flow,
                store=job_store,
                root_dir=folder,
                # Codes find the files of the calculation before them by its folder.
                create_folders=True,
                log=False,
                ensure_success=True,
                allow_external_references=True,
            )
        except RuntimeError as err:
            if str(err) != _UNFINISHED:
                raise
            if watch.outages:
                raise watch.outages[0] from None
            return False
    return True


def tidy_launches(
    launch_folder: Path, tasks: Store, *, dry_run: bool = False
) -> list[tuple[Path, LaunchAction]]:
    """
    Tidy the launch folders that ended processes of this host left behind.

    What a killed calculation wrote stays until the same calculation has succeeded.

    Parameters
    ----------
    launch_folder
        Folder of launches; one that does not exist holds none.
    tasks
        Store of outputs.
    dry_run
        Only say what would be done.

    Returns
    -------
    list
        Launch folder and action.
    """
    done = []
    for folder in _ended(launch_folder):
        done += tidy(folder, tasks, dry_run=dry_run)
    return done


def refuse_full(launch_folder: Path, quota: int | None) -> None:
    """
    Hold new jobs where launch folders take more room than they may.

    Nothing is deleted for the sake of room: what the rules keep, somebody wants.

    Raises
    ------
    SubmissionError
        With what to do.
    """
    if quota is None:
        return
    used = sum(
        path.lstat().st_size for path in launch_folder.rglob("*") if path.is_file()
    )
    if used > quota:
        raise SubmissionError(
            f"{launch_folder} holds {used / 1e9:.3f} GB of {quota / 1e9:.3f} allowed: "
            "nothing new is started; run `hts launches clean`, move finished folders "
            "away, or raise launch_quota (HTS_BATTERY_LAUNCH_QUOTA)"
        )


def _ended(launch_folder: Path) -> Iterator[Path]:
    """Yield the launch folders of processes of this host that are gone."""
    for folder in launch_folder.glob("launch-*"):
        found = _LAUNCH.fullmatch(folder.name)
        if found is None or folder.name.startswith(_prefix(int(found["pid"]))):
            continue  # not ours, or of a process that is alive
        if found["host"] != _short(host_name()):
            continue  # of a host whose processes cannot be seen from here
        yield folder


def _uri(job_store: JobStore) -> str:
    return str(getattr(job_store.docs_store, "uri", ""))


def _prefix(pid: int) -> str:
    """Begin the name of a launch folder so that its process can be told from others."""
    identity = process_identity(pid) or "gone"
    return f"launch-{_short(host_name())}-{pid}-{_short(identity)}-"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]

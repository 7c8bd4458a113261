"""Running flows in this process, one after another."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from jobflow import run_locally

from hts_battery.connections.clients import translated_outages
from hts_battery.connections.processes import host_name, process_identity
from hts_battery.flows.recorded import Watch, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobflow import Flow, JobStore

    from hts_battery.flows.recorded import Failure


JOB_LOG = "jobs.log"
_UNFINISHED = "Flow did not finish running successfully"  # jobflow has no class for it
_LAUNCH = re.compile(r"launch-(?P<host>[0-9a-f]{8})-(?P<pid>[0-9]+)-.*")


def run_flow_locally(
    flow: Flow,
    job_store: JobStore,
    launch_folder: Path,
    *,
    on_failure: Callable[[Failure], None] = lambda _failure: None,
) -> bool:
    """
    Run one flow to its end in a launch folder that is removed afterwards.

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
    watch = Watch(on_failure)
    uri = str(getattr(job_store.docs_store, "uri", ""))
    with (
        tempfile.TemporaryDirectory(
            dir=launch_folder, prefix=_prefix(os.getpid())
        ) as folder,
        (launch_folder / JOB_LOG).open("a", encoding="utf-8") as log,
        redirect_stdout(log),
        redirect_stderr(log),
        watched(watch),
        translated_outages(uri, f"running {flow.name}"),
        warnings.catch_warnings(),
    ):
        # The orderings of a candidate do not depend on each other, and jobflow warns
        # that it may run them in any order.
        warnings.filterwarnings("ignore", "Some jobs are not connected", UserWarning)
        try:
            run_locally(
                flow,
                store=job_store,
                root_dir=Path(folder),
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


def remove_empty_launches(launch_folder: Path) -> int:
    """
    Remove the empty launch folders that killed processes of this host left behind.

    A folder with files in it is left: what a killed calculation wrote may be wanted.

    Parameters
    ----------
    launch_folder
        Folder of launches; one that does not exist holds none.

    Returns
    -------
    int
        Number of folders removed.
    """
    removed = 0
    for folder in launch_folder.glob("launch-*"):
        found = _LAUNCH.fullmatch(folder.name)
        if found is None or folder.name.startswith(_prefix(int(found["pid"]))):
            continue  # not ours, or of a process that is alive
        if found["host"] != _short(host_name()):
            continue  # of a host whose processes cannot be seen from here
        with suppress(OSError):  # it holds files
            folder.rmdir()
            removed += 1
    return removed


def _prefix(pid: int) -> str:
    """Begin the name of a launch folder so that its process can be told from others."""
    identity = process_identity(pid) or "gone"
    return f"launch-{_short(host_name())}-{pid}-{_short(identity)}-"


def _short(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]

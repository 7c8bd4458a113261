"""Running flows in this process, one after another."""

from __future__ import annotations

import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from jobflow import run_locally

if TYPE_CHECKING:
    from jobflow import Flow, JobStore


JOB_LOG = "jobs.log"
_UNFINISHED = "Flow did not finish running successfully"  # jobflow has no class for it


def run_flow_locally(flow: Flow, job_store: JobStore, launch_folder: Path) -> bool:
    """
    Run one flow to its end in a launch folder that is removed afterwards.

    What jobs print, warnings included, goes to ``jobs.log`` in the folder of launches.

    A job that raises does not stop the caller: its outcome stands in the execution
    record, and its output is missing from the store.

    Parameters
    ----------
    flow
        Made of recorded jobs.
    job_store
        Connected store of outputs.
    launch_folder
        Folder in which the launch folder is made.

    Returns
    -------
    bool
        Whether every job of the flow, those made on the way included, finished.
    """
    launch_folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=launch_folder, prefix="launch-") as folder,
        (launch_folder / JOB_LOG).open("a", encoding="utf-8") as log,
        redirect_stdout(log),
        redirect_stderr(log),
    ):
        try:
            run_locally(
                flow,
                store=job_store,
                root_dir=Path(folder),
                log=False,
                ensure_success=True,
            )
        except RuntimeError as err:
            if str(err) != _UNFINISHED:
                raise
            return False
    return True

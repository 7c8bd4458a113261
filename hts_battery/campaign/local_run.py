"""Computing on this machine what has no result yet; interrupted, it goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.campaign.local_processes import run_in_processes
from hts_battery.campaign.source import resolved
from hts_battery.connections.database.clients import translated_outages
from hts_battery.flows.execution.spool import store_spooled
from hts_battery.flows.recipes.calculated import released_ids
from hts_battery.flows.recipes.local import JOB_LOG, CandidateRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Where a run reports what it does; each field may be left as it is."""

    total: Callable[[str, int], None] = lambda _stage, _total: None
    advance: Callable[[str, str], None] = lambda _stage, _what: None
    begin: Callable[[str, str], None] = lambda _stage, _what: None
    problem: Callable[[str], None] = logger.error
    """Told of what went wrong with a process while others go on."""


def run_candidates(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    *,
    launch_folder: Path,
    execution_folder: Path,
    relax_maker: Maker | None = None,
    prerelax_maker: Maker | None = None,
    retry_failed: bool = False,
    processes: int = 1,
    progress: Progress | None = None,
) -> int:
    """
    Compute on this machine every candidate's orderings that have no result yet.

    Interrupted at any moment and called again, it goes on where it stopped: what
    counts as done is an output in the job store, or a recorded failure. Several
    processes may run at once on one folder of launches: a candidate that another one
    computes now is left to it.

    Parameters
    ----------
    campaign
        The campaign, registered.
    stores
        Open stores.
    launch_folder
        Where jobs run.
    execution_folder
        Folder of the execution record.
    relax_maker, prerelax_maker
        Injected instead of the engines' own makers.
    retry_failed
        Whether orderings whose last execution raised an error are tried again.
    processes
        How many compute at once, each with one thread; 1 is this process.
    progress
        Told before and after each candidate.

    Returns
    -------
    int
        Number of candidates that were computed here.

    Raises
    ------
    StoreError
        If the database or the execution record failed. The candidate that was being
        computed has not failed and stays to be done.
    """
    progress = progress or Progress()
    campaign = resolved(campaign, stores)
    with translated_outages(stores.database.uri, "computing candidates"):
        # What finished while the database was away is there, and not to be done.
        store_spooled(launch_folder, stores.job_store)
        run = CandidateRun(
            campaign.spec,
            launch_folder,
            frozenset(released_ids(campaign.spec.name, stores)),
            retry_failed,
            relax_maker,
            prerelax_maker,
        )
        todo = list(run.unfinished(campaign.members(), stores))
        progress.total("compute", len(todo))
        if not todo:
            return 0
        run.make_ready(todo, stores)
        processes = min(processes, len(todo))
        if processes > 1:
            return run_in_processes(
                todo,
                run,
                stores.database,
                processes=processes,
                execution_folder=execution_folder,
                log=launch_folder / JOB_LOG,
                progress=progress,
            )
        compute = run.started(stores)
        computed = 0
        for candidate in todo:
            progress.begin("compute", candidate.formula)
            computed += compute(candidate)
            progress.advance("compute", candidate.formula)
        return computed

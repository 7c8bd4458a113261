"""Computing in this process what has no result yet; interrupted, it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.connections.executions import read_executions
from hts_battery.schemas.execution import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores


@dataclass(frozen=True)
class Progress:
    """Where a run reports what it does; each field may be left as it is."""

    total: Callable[[str, int], None] = lambda _stage, _total: None
    advance: Callable[[str, str], None] = lambda _stage, _what: None
    begin: Callable[[str, str], None] = lambda _stage, _what: None


def run_candidates(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    *,
    launch_folder: Path,
    execution_folder: Path,
    relax_maker: Maker | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> int:
    """
    Compute, in this process, every candidate that has no result yet.

    Interrupted at any moment and called again, it goes on where it stopped: what
    counts as done is an output in the job store.

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
    relax_maker
        Injected instead of the engine's own maker.
    retry_failed
        Whether candidates whose last execution raised an error are tried again.
    progress
        Told before and after each candidate.

    Returns
    -------
    int
        Number of candidates that were computed.
    """
    progress = progress or Progress()
    done = finished_keys(stores)
    if not retry_failed:
        done |= set(stores.failures.distinct("content_key"))
    todo = [
        candidate
        for _, candidate in campaign.members()
        if campaign.key(candidate) not in done
    ]
    progress.total("compute", len(todo))
    if not todo:
        return 0
    from hts_battery.flows.local import run_flow_locally  # noqa: PLC0415 - only when there is work
    from hts_battery.flows.screen import ScreenMaker  # noqa: PLC0415 - likewise

    maker = ScreenMaker.from_campaign(campaign.spec, relax_maker=relax_maker)
    for candidate in todo:
        progress.begin("compute", candidate.formula)
        finished = run_flow_locally(
            maker.make(candidate), stores.job_store, launch_folder
        )
        key = campaign.key(candidate)
        stores.failures.remove_docs({"content_key": key})
        if not finished:
            stores.failures.update(
                {
                    "content_key": key,
                    "candidate_id": candidate.candidate_id,
                    **last_error(key, execution_folder),
                },
                key="content_key",
            )
        progress.advance("compute", candidate.formula)
    return len(todo)


def finished_keys(stores: Stores) -> set[str]:
    """Content keys of every relaxation whose output is in the job store."""
    found = stores.tasks.distinct("metadata.content_key", {"metadata.step": "relax"})
    return set(found)


def last_error(key: str, execution_folder: Path) -> dict[str, str | None]:
    """Name and message of the error that ended the last execution of a key."""
    ends = [
        execution.end
        for execution in read_executions(execution_folder).executions
        if execution.start.content_key == key
        and execution.end is not None
        and execution.end.outcome is Outcome.FAILED
    ]
    if not ends:
        return {"error_class": None, "error_message": "ended without an error"}
    last = max(ends, key=lambda end: end.time)
    return {"error_class": last.error_class, "error_message": last.error_message}

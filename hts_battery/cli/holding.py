"""hts campaign pause, resume, cancel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.feeding import print_report
from hts_battery.cli.opening import campaign_name, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun, NameOrSpec
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.cancellation import QueueCancellation
    from hts_battery.schemas.dispatch import FeedReport


def pause(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take back what has not begun; what runs runs to its end."""
    from hts_battery.dispatch.feeder import pause as hold

    _hold(name, hold, dry_run=dry_run, as_json=as_json)


def resume(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Go on with a campaign that was paused."""
    from hts_battery.dispatch.feeder import resume as go_on

    _hold(name, go_on, dry_run=dry_run, as_json=as_json)


def cancel(
    name: NameOrSpec,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Let what has begun run to its end.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take back what has not begun, end its queue jobs; a submission goes on again."""
    from hts_battery.connections.launchpad.cancellation import cancel_queue_jobs
    from hts_battery.dispatch.feeder import cancel as give_up

    def jobs_of(launchpad: ExactLaunchPad, campaign: str) -> list[QueueCancellation]:
        return cancel_queue_jobs(
            launchpad, campaign, keep_running=keep_running, dry_run=True
        )

    change = partial(give_up, keep_running=keep_running)
    _hold(name, change, dry_run=dry_run, as_json=as_json, jobs_of=jobs_of)


def _hold(
    name: str,
    change: Callable[[Stores, ExactLaunchPad, str], FeedReport],
    *,
    dry_run: bool,
    as_json: bool,
    jobs_of: Callable[[ExactLaunchPad, str], list[QueueCancellation]] | None = None,
) -> None:
    from hts_battery.dispatch.feeder import plan_feeding

    campaign = campaign_name(name)
    with opened_launchpad() as (stores, launchpad):
        if dry_run:
            found = plan_feeding(stores, launchpad, campaigns=[campaign])
            if not found:
                raise SubmissionError(f"the campaign {campaign} was never submitted")
            jobs = jobs_of(launchpad, campaign) if jobs_of else []
            report = found[0].model_copy(update={"queue_jobs": tuple(jobs)})
        else:
            report = change(stores, launchpad, campaign)
    if as_json:
        fields = report.model_dump(mode="json", exclude={"actions"})
        formatting.json_line({**fields, "written": not dry_run})
        return
    if dry_run:
        formatting.line(
            f"{campaign}: {report.waiting:,} candidates wait and {report.in_hand:,} "
            f"are in {report.fireworks:,} Fireworks; those that have not begun would "
            "be changed"
        )
    else:
        print_report(report)
    _print_jobs(report.queue_jobs)


def _print_jobs(jobs: Sequence[QueueCancellation]) -> None:
    """Say of each queue job what became of it."""
    for job in jobs:
        place = f" of {job.cluster}" if job.cluster else ""
        name = f"queue job {job.queue_id}{place}" if job.queue_id else "a queue job"
        fireworks = ", ".join(map(str, job.fw_ids))
        words = f": {job.words}" if job.words else ""
        formatting.line(f"{name} (Firework {fireworks}): {job.state}{words}")

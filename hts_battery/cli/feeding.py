"""hts launchpad feed; campaign pause, resume, cancel: what is sent, and held."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import campaign_name, get_settings, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun, NameOrSpec, Supervised
from hts_battery.errors import StoreError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.cancellation import QueueCancellation
    from hts_battery.schemas.dispatch import FeedReport


def feed_launchpad(
    watch: Annotated[
        bool, typer.Option(help="Go on until every campaign is done or held.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between passes.")
    ] = 30.0,
    stay: Annotated[
        bool,
        typer.Option(help="Go on when all is done, too: for what is submitted later."),
    ] = False,
    supervised: Supervised = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take in what ended, and send what the windows of the campaigns leave room for."""
    from hts_battery.connections.notifications import check_urls

    if supervised:
        from hts_battery.operations.runner import end_with_runner

        end_with_runner()
    # Better now than when there is something to tell.
    check_urls(get_settings().notify_urls)
    watch = watch or stay
    changes = Changes()
    with opened_launchpad() as (stores, launchpad):
        while True:
            reports = _feed(stores, launchpad, every, watch=watch, dry_run=dry_run)
            if reports is not None:
                # Under --watch a pass that changes nothing says nothing.
                shown = changes.of(reports) if watch else reports
                _print_all(shown, dry_run=dry_run, as_json=as_json)
                if not reports and not as_json and changes.is_first:
                    formatting.line("no campaign was submitted: `hts campaign submit`")
                changes.is_first = False
                if not watch:
                    _complain(reports)
                done = not stay and all(one.is_done for one in reports)
                if dry_run or not watch or done:
                    break
            time.sleep(every)
        if not dry_run:
            _say_what_waits(stores, reports, as_json=as_json)


class Changes:
    """Which reports say something that the last one of their campaign did not."""

    def __init__(self) -> None:
        self.is_first = True
        self._last: dict[str, FeedReport] = {}

    def of(self, reports: Sequence[FeedReport]) -> list[FeedReport]:
        """Return the reports that are news; node-hours alone, which run on, are not."""
        # Nor is it news that nothing was done after something was.
        found = []
        for one in reports:
            told = one.model_copy(
                update={"node_hours": 0.0, "actions": (), "archived": 0}
            )
            last = self._last.get(one.campaign)
            did = one.sent or one.ended or one.again or one.repaired
            still = {"sent": 0, "ended": 0, "again": 0, "repaired": 0}
            if did or last is None or told != last.model_copy(update=still):
                found.append(one)
            self._last[one.campaign] = told
        return found


def _say_what_waits(
    stores: Stores, reports: Sequence[FeedReport], *, as_json: bool
) -> None:
    """Say of campaigns that are done which members nobody submitted."""
    from hts_battery.campaign.unsubmitted import unsubmitted

    for report in reports:
        if not report.is_done or report.hold is not None:
            continue
        found = unsubmitted(stores, report.campaign)
        if found is None:
            continue
        if as_json:
            formatting.json_line(found.model_dump(mode="json"))
        else:
            formatting.line(
                f"{found.campaign}: {found.members:,} members were never submitted: "
                f"`{found.command}` sends them"
            )


def _complain(reports: Sequence[FeedReport]) -> None:
    """Leave with status 1 where a pass was broken off."""
    broken = [one.campaign for one in reports if one.problem is not None]
    if broken:
        raise SubmissionError(
            f"could not look after {', '.join(broken)}: the reasons stand above"
        )


def _feed(
    stores: Stores,
    launchpad: ExactLaunchPad,
    every: float,
    *,
    watch: bool,
    dry_run: bool,
) -> list[FeedReport] | None:
    """Feed once; none where it did not work and is tried again."""
    from hts_battery.dispatch.feeder import feed, plan_feeding
    from hts_battery.operations.alerts import tell
    from hts_battery.operations.brake import BrakeLimits

    if dry_run:
        return plan_feeding(stores, launchpad)
    try:
        reports = feed(stores, launchpad, wait=watch)
        settings = get_settings()
        limits = BrakeLimits(settings.brake_runs, settings.brake_failures)
        tell(stores, reports, settings.notify_urls, limits=limits)
    except (StoreError, SubmissionError) as err:
        if not watch:
            raise
        formatting.note(f"{err}; trying again in {every:g} s")
        return None
    return reports


def _print_all(reports: Sequence[FeedReport], *, dry_run: bool, as_json: bool) -> None:
    for report in reports:
        if as_json:
            fields = report.model_dump(
                mode="json", exclude=None if dry_run else {"actions"}
            )
            formatting.json_line({**fields, "written": not dry_run})
        else:
            print_report(report)
            if dry_run:
                _print_actions(report)


def _print_actions(report: FeedReport) -> None:
    """Print one line for each action, in their order."""
    for one in report.actions:
        counts = {"workflows": one.workflows, "candidates": one.candidates}
        what = ", ".join(f"{count:,} {of}" for of, count in counts.items() if count)
        formatting.line(f"  {one.action}: {what}" if what else f"  {one.action}")


def print_report(report: FeedReport) -> None:
    """Print one line about one pass over one campaign."""
    if report.problem is not None:
        formatting.line(f"{report.campaign}: {report.problem}")
        return
    done = {
        "sent": report.sent,
        "sent again": report.again,
        "ended": report.ended,
        "completed sendings": report.repaired,
    }
    did = ", ".join(f"{count:,} {what}" for what, count in done.items() if count)
    hold = "" if report.hold is None else f"; held: {report.hold}"
    if report.drained and report.waiting:
        hold += f"; drained: {', '.join(report.drained)}"
    formatting.line(
        f"{report.campaign}: {did or 'nothing to do'}; {report.waiting:,} waiting, "
        f"{report.in_hand:,} in {report.fireworks:,} Fireworks, "
        f"{report.node_hours:.3g} node-hours spent{hold}"
    )


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

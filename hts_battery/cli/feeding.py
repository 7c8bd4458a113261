"""hts launchpad feed; hts campaign pause, resume, cancel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun, NameOrSpec
from hts_battery.errors import StoreError, SubmissionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad
    from hts_battery.schemas.dispatch import FeedReport


def pause(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take back what has not begun; what runs runs to its end."""
    from hts_battery.dispatch.feeder import pause as hold

    _hold(name, hold, dry_run=dry_run, as_json=as_json)


def resume(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Go on with a campaign that was paused."""
    from hts_battery.dispatch.feeder import resume as go_on

    _hold(name, go_on, dry_run=dry_run, as_json=as_json)


def cancel(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take back what has not begun, until the campaign is submitted again."""
    from hts_battery.dispatch.feeder import cancel as give_up

    _hold(name, give_up, dry_run=dry_run, as_json=as_json)


def _hold(
    name: str,
    change: Callable[[Stores, ExactLaunchPad, str], FeedReport],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from hts_battery.dispatch.feeder import plan_feeding

    campaign = _name(name)
    with opened_launchpad() as (stores, launchpad):
        if dry_run:
            found = plan_feeding(stores, launchpad, campaigns=[campaign])
            if not found:
                raise SubmissionError(f"the campaign {campaign} was never submitted")
            report = found[0]
        else:
            report = change(stores, launchpad, campaign)
    if as_json:
        fields = report.model_dump(mode="json", exclude={"actions"})
        formatting.json_line({**fields, "written": not dry_run})
    elif dry_run:
        formatting.line(
            f"{campaign}: {report.waiting:,} candidates wait and {report.in_hand:,} "
            f"are in {report.fireworks:,} Fireworks; those that have not begun would "
            "be changed"
        )
    else:
        print_report(report)


def _name(name_or_spec: str) -> str:
    """Return the name of a campaign that is named by itself or by its file."""
    path = Path(name_or_spec)
    if path.suffix not in (".yaml", ".yml") and not path.is_file():
        return name_or_spec
    from hts_battery.campaign.spec_file import read_campaign

    return read_campaign(path).spec.name


def feed_launchpad(
    watch: Annotated[
        bool, typer.Option(help="Go on until every campaign is done or held.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, help="Seconds between passes.")
    ] = 30.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take in what ended, and send what the windows of the campaigns leave room for."""
    from hts_battery.connections.notifications import check_urls

    # Better now than when there is something to tell.
    check_urls(get_settings().notify_urls)
    with opened_launchpad() as (stores, launchpad):
        while True:
            reports = _feed(stores, launchpad, every, watch=watch, dry_run=dry_run)
            if reports is not None:
                _print_all(reports, dry_run=dry_run, as_json=as_json)
                if not watch:
                    _complain(reports)
                if dry_run or not watch or all(one.is_done for one in reports):
                    break
            time.sleep(every)


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

    if dry_run:
        return plan_feeding(stores, launchpad)
    try:
        reports = feed(stores, launchpad, wait=watch)
        tell(stores, reports, get_settings().notify_urls)
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
    if not reports and not as_json:
        formatting.line("no campaign was submitted: `hts campaign submit`")


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
    formatting.line(
        f"{report.campaign}: {did or 'nothing to do'}; {report.waiting:,} waiting, "
        f"{report.in_hand:,} in {report.fireworks:,} Fireworks, "
        f"{report.node_hours:.3g} node-hours spent{hold}"
    )

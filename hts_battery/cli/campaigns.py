"""hts campaign list, usage, rerun, own, delete: what an operator asks of campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.completion import TEMPLATES, note_names
from hts_battery.cli.opening import campaign_name, get_settings, opened_stores
from hts_battery.cli.options import AsJson, DryRun, NameOrSpec, Templates

if TYPE_CHECKING:
    from hts_battery.campaign.listing import CampaignRow
    from hts_battery.schemas.usage import CampaignUsage, StepUsage

_HOUR = 3600.0
_MINUTE = 60.0
_PICTURES = (".png", ".svg", ".pdf")


def list_all(as_json: AsJson = False) -> None:
    """List the campaigns of the database: whose, how far, what they have used."""
    from hts_battery.campaign.listing import list_campaigns

    settings = get_settings()
    with opened_stores(make_indexes=False) as stores:
        rows = list_campaigns(stores, execution_folder=settings.execution_folder)
        note_names(stores, settings.data_dir)
    if as_json:
        for row in rows:
            formatting.json_line(row.model_dump(mode="json"))
        return
    if not rows:
        formatting.line("no campaign was run or submitted")
        return
    formatting.table(
        ("campaign", "owner", "engine", "worker", "done", "of", "node-h", "stands"),
        (
            (
                row.campaign,
                row.owner,
                row.engine,
                row.worker,
                f"{row.done:,}",
                f"{row.candidates:,}",
                formatting.amount(row.node_hours),
                _stands(row),
            )
            for row in rows
        ),
        right=("done", "of", "node-h"),
        least={"campaign": max(len(row.campaign) for row in rows)},
    )


def _stands(row: CampaignRow) -> str:
    if row.problem is not None:
        return f"cannot be read: {row.problem}"
    held = f"{row.hold}: " if row.hold else ""
    return held + ", ".join(f"{n:,} {name}" for name, n in row.states.items())


def usage(
    name: NameOrSpec,
    figure: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw it, too: FILE.png, .svg or .pdf."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add up what a campaign used: node-hours, memory and efficiency by step."""
    from hts_battery.campaign.usage import campaign_usage
    from hts_battery.errors import ConfigurationError

    if figure is not None and figure.suffix not in _PICTURES:
        raise ConfigurationError(
            f"--figure {figure}: the name of a picture ends with {', '.join(_PICTURES)}"
        )
    with opened_stores(make_indexes=False) as stores:
        found = campaign_usage(
            stores,
            campaign_name(name),
            execution_folder=get_settings().execution_folder,
        )
    if figure is not None:
        from hts_battery.query.usage_figure import usage_figure

        usage_figure(found, figure)
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    _show(found)
    if figure is not None:
        formatting.line(f"figure: {figure}")


def _show(found: CampaignUsage) -> None:
    """Print what was used, then how well, where that is known."""
    if found.steps:
        numbers = ("runs", "done", "failed", "lost", "hours", "median")
        formatting.table(
            ("counted from", "step", *numbers),
            (
                (
                    one.source,
                    one.step,
                    one.runs,
                    one.completed,
                    one.failed,
                    one.lost,
                    formatting.amount(_hours(one)),
                    "" if one.median_seconds is None else duration(one.median_seconds),
                )
                for one in found.steps
            ),
            right=numbers,
            title=f"{found.campaign}: {formatting.amount(found.node_hours)} node-hours "
            "(launches: node-hours; executions: hours of wall time)",
        )
    jobs = [one for one in found.steps if one.node_hours is not None]
    if jobs:
        shares = ("useful time", "of time asked", "GB of asked", "CPU")
        formatting.table(
            ("step", *shares),
            (
                (
                    one.step,
                    _share(one.useful),
                    _share(one.used_of_asked),
                    _memory(one),
                    _share(one.cpu),
                )
                for one in jobs
            ),
            right=shares,
        )
    for line in found.missing:
        formatting.line(f"not known: {line}")


def _hours(one: StepUsage) -> float:
    return one.hours if one.node_hours is None else one.node_hours


def _memory(one: StepUsage) -> str:
    if one.memory is None and one.asked_memory is None:
        return ""
    used = "?" if one.memory is None else f"{one.memory:.1f}"
    asked = "?" if one.asked_memory is None else f"{one.asked_memory:g}"
    return f"{used} of {asked}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def duration(seconds: float) -> str:
    """
    Write a time for people.

    Examples
    --------
    >>> duration(4.25), duration(95), duration(9000)
    ('4.2 s', '1.6 min', '2.5 h')
    """
    if seconds < _MINUTE:
        return f"{formatting.amount(seconds)} s"
    if seconds < _HOUR:
        return f"{formatting.amount(seconds / _MINUTE)} min"
    return f"{formatting.amount(seconds / _HOUR)} h"


def rerun(
    name: NameOrSpec,
    candidate: Annotated[
        str, typer.Option(metavar="ID", help="Id or formula of the candidate.")
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="What its queue job asks for instead, like walltime=48:00:00.",
        ),
    ] = None,
    templates: Templates = TEMPLATES,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send one candidate again that failed or was cancelled; the feeder sends it."""
    from hts_battery.connections.records.backlog import read_submission
    from hts_battery.dispatch.rerun import read_request, rerun_candidate

    campaign = campaign_name(name)
    with opened_stores(make_indexes=not dry_run) as stores:
        submission = read_submission(stores, campaign)
        worker = "" if submission is None else submission.worker
        request = read_request(settings or (), worker, templates)
        item = rerun_candidate(
            stores, campaign, candidate, request=request, dry_run=dry_run
        )
    if as_json:
        fields = {"campaign": campaign, "candidate_id": item.candidate_id}
        formatting.json_line(
            {**fields, "request": item.request, "written": not dry_run}
        )
        return
    verb = "would be sent" if dry_run else "will be sent"
    asked = ", ".join(f"{key}={value}" for key, value in item.request.items())
    formatting.line(
        f"{item.formula} {verb} again by the next `hts launchpad feed`"
        + (f", asking for {asked}" if asked else "")
    )


def own(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Take over a campaign that is another user's."""
    from hts_battery.campaign.ownership import take_over, user_name

    campaign = campaign_name(name)
    with opened_stores(make_indexes=not dry_run) as stores:
        before = take_over(stores, campaign, dry_run=dry_run)
    if as_json:
        now = before.owner if dry_run else user_name()
        formatting.json_line(
            {
                "campaign": campaign,
                "before": before.owner,
                "owner": now,
                "written": not dry_run,
            }
        )
        return
    verb = "would be" if dry_run else "is"
    formatting.line(
        f"{campaign} {verb} yours, and was {before.owner or 'nobody'}'s; its file is "
        f"{before.file or 'not known'}"
    )


def delete(name: NameOrSpec, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Delete a campaign with all that only it uses; what others share stays."""
    from hts_battery.campaign.removal import delete_campaign

    settings = get_settings()
    with opened_stores(make_indexes=not dry_run) as stores:
        found = delete_campaign(stores, campaign_name(name), dry_run=dry_run)
        if not dry_run:
            note_names(stores, settings.data_dir)
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    verb = "would go" if dry_run else "gone"
    formatting.table(
        ("collection", verb),
        ((what, f"{count:,}") for what, count in found.goes.items()),
        right=(verb,),
        title=f"campaign {found.campaign}",
    )
    for what, count in found.stays.items():
        formatting.line(f"stays: {count:,} {what}")
    formatting.line(
        f"stays: launch folders, and the execution record {settings.execution_folder}"
    )

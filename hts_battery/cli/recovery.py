"""hts launchpad recover, triage and rerun: when something broke."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import failure_kind, opened_launchpad, opened_stores
from hts_battery.cli.options import AsJson, DryRun

if TYPE_CHECKING:
    from hts_battery.schemas.recovery import FailureGroup, RecoveryReport

Campaign = Annotated[
    str | None, typer.Option("--campaign", metavar="NAME", help="Only this campaign.")
]


def recover(
    folders: Annotated[
        list[Path] | None,
        typer.Option("--folder", help="Search below it for outputs too."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put right what outages, kills and lost nodes left; `feed` does it as well."""
    from hts_battery.dispatch.recovery import recover as put_right

    with opened_launchpad() as (stores, launchpad):
        report = put_right(
            stores, launchpad, launch_folders=folders or (), dry_run=dry_run
        )
    if as_json:
        formatting.json_line(report.model_dump(mode="json"))
        return
    _tell(report, dry_run=dry_run)


def _tell(report: RecoveryReport, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    if report.found_nothing:
        formatting.line("nothing is lost")
        return
    if report.runs:
        formatting.table(
            ("Firework", "name", f"{would}done", "class", "times lost", "why"),
            (
                (
                    one.fw_id,
                    one.name,
                    one.action,
                    one.failure_class or "",
                    one.losses or "",
                    one.reason,
                )
                for one in report.runs
            ),
            right=("Firework", "times lost"),
        )
    for count, what in (
        (len(report.outputs), "outputs from disk {}put into the store"),
        (len(report.unlocked), "workflows {}unlocked"),
        (len(report.orphans), "Fireworks of no workflow {}removed"),
    ):
        if count:
            formatting.line(f"{count} {what.format(would)}")
    for problem in report.problems:
        formatting.error(problem)


def triage(campaign: Campaign = None, as_json: AsJson = False) -> None:
    """Sort what failed by class: how many, an example, what the policy does."""
    from hts_battery.dispatch.triage import triage as sort

    with opened_stores() as stores:
        groups = sort(stores, campaign)
    if as_json:
        for group in groups:
            formatting.json_line(group.model_dump(mode="json"))
        return
    if not groups:
        formatting.line("nothing has failed")
        return
    formatting.table(
        ("class", "candidates", "node-hours", "policy"),
        (
            (one.failure_class, one.candidates, f"{one.node_hours:.3g}", one.policy)
            for one in groups
        ),
        right=("candidates", "node-hours"),
    )
    for group in groups:
        _example(group)


def _example(group: FailureGroup) -> None:
    formatting.line(f"{group.failure_class}, for example {group.formula}")
    formatting.line(f"    {group.reason or 'no reason was written down'}")
    if group.folder is not None:
        formatting.line(f"    {group.folder}")


def rerun(
    failure_class: Annotated[
        str, typer.Option("--class", metavar="CLASS", help="Class, as triage says it.")
    ],
    campaign: Campaign = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where the policy gives up at once.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send the candidates of one class of failures again; the feeder sends them."""
    from hts_battery.dispatch.triage import rerun as send_again

    kind = failure_kind(failure_class)
    with opened_stores() as stores:
        counts = send_again(
            stores, kind, campaign=campaign, force=force, dry_run=dry_run
        )
    if as_json:
        for name, count in counts.items():
            formatting.json_line(
                {"campaign": name, "candidates": count, "written": not dry_run}
            )
        return
    verb = "would be sent" if dry_run else "will be sent"
    for name, count in counts.items():
        formatting.line(f"{name}: {count} candidates {verb} again")
    if not counts:
        formatting.line(f"no candidate failed by {kind}")

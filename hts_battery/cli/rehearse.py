"""hts rehearse: a campaign with a stand-in for VASP, before node-hours are spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.campaign import phase_gaps
from hts_battery.cli.completion import TEMPLATES
from hts_battery.cli.opening import (
    get_settings,
    load_campaign,
    say_left_out,
    with_members,
)
from hts_battery.cli.options import AsJson, DryRun, SkipBad, SpecFile, Templates
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.operations.rehearsal import RehearsalReport

_BYTES = 1e6


def rehearse(  # noqa: PLR0913, PLR0917 - each is an option
    spec: SpecFile,
    failure_rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=RATE",
            help="Share of the launches that fail so, like node=0.1; may be repeated.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which launches fail.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Rehearse only the first so many.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave database and folder behind.")
    ] = False,
    worker: Annotated[
        str | None, typer.Option(help="Go through the queue of this worker.")
    ] = None,
    templates: Templates = TEMPLATES,
    skip_bad: SkipBad = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run a VASP campaign with a stand-in for VASP; say what the real run lacks."""
    from hts_battery.operations.queued_rehearsal import Route
    from hts_battery.operations.rehearsal import (
        Injection,
        elements_of,
        lacking,
        rehearsed,
    )
    from hts_battery.operations.rehearsal import rehearse as run_rehearsal

    campaign = with_members(load_campaign(spec, skip_bad=skip_bad))
    say_left_out(campaign)
    injection = Injection.from_words(failure_rate or (), seed=seed)
    phases = tuple(phase_gaps(campaign, elements_of(campaign))[0])
    if dry_run:
        problems = lacking(campaign) + phases
        _plan(rehearsed(campaign, limit=limit), problems, as_json=as_json)
        return
    with formatting.progress() as progress:
        report = run_rehearsal(
            campaign,
            injection=injection,
            limit=limit,
            keep=keep,
            route=None if worker is None else Route(worker, templates),
            progress=progress,
        )
    report = report.model_copy(update={"lacking": report.lacking + phases})
    if as_json:
        formatting.json_line(report.model_dump(mode="json"))
    else:
        _show(report)
    _complain(report)


def _plan(stand_in: Campaign, problems: tuple[str, ...], *, as_json: bool) -> None:
    """Say what would be rehearsed, and what the production run lacks."""
    from hts_battery.operations.rehearsal import REHEARSALS

    candidates = sum(1 for _ in stand_in.members())
    if as_json:
        formatting.json_line({"candidates": candidates, "lacking": problems})
        return
    formatting.line(
        f"would rehearse {candidates:,} candidates with {stand_in.spec.engine} in a "
        f"folder and a database of its own ({get_settings().data_dir}/{REHEARSALS})"
    )
    _list_lacking(problems)


def _show(report: RehearsalReport) -> None:
    """Print the report as tables."""
    states = ", ".join(f"{count} {state}" for state, count in report.states.items())
    rows = {
        "campaign": f"{report.campaign}, engine {report.engine}",
        "candidates": f"{report.candidates}: {states}",
        "competing phases": report.references,
        "jobs": f"{report.jobs}, repetitions included",
        "time": f"{report.seconds:.0f} s",
        "launch folders": f"{report.launch_bytes / _BYTES:.2f} MB",
        "database": f"{report.database_bytes / _BYTES:.2f} MB"
        if report.database_bytes
        else "on the server",
    }
    formatting.table(("rehearsal", ""), rows.items())
    if report.failures:
        formatting.table(
            ("failure", "attempts", "repeated", "kept", "given up"),
            (
                (one.failure_class, one.attempts, one.repeated, one.kept, one.given_up)
                for one in report.failures
            ),
            right=("attempts", "repeated", "kept", "given up"),
        )
    else:
        formatting.line("no calculation failed")
    where = f"database {report.database}, folder {report.folder}"
    formatting.line(f"left behind: {where}" if report.kept else f"removed: {where}")
    _list_lacking(report.lacking)


def _list_lacking(problems: tuple[str, ...]) -> None:
    for problem in problems:
        formatting.line(f"the production run lacks: {problem}")
    if not problems:
        formatting.line("the production run lacks nothing here")


def _complain(report: RehearsalReport) -> None:
    """Leave with status 1 where the production run would not succeed either."""
    parts = list(report.unexpected[:1])
    if len(report.unexpected) > 1:
        parts.append(f"{len(report.unexpected) - 1} more candidates like it")
    if report.lacking:
        parts.append(
            f"the production run lacks {len(report.lacking)} things on this machine, "
            "listed above"
        )
    if parts:
        raise SubmissionError("; ".join(parts))

"""hts campaign: check a campaign file, run it, let candidates by."""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.completion import note_names
from hts_battery.cli.opening import (
    get_settings,
    load_campaign,
    opened_stores,
    refuse_other_file,
    say_left_out,
    stores_if_any,
    with_members,
)
from hts_battery.cli.options import AsJson, DryRun, Replace, SkipBad, SpecFile
from hts_battery.errors import ConfigurationError, SubmissionError
from hts_battery.schemas.state import NEEDS_NOTHING, CandidateState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.campaign.status import CandidateStatus
    from hts_battery.connections.database.stores import Stores


def check(
    spec: SpecFile,
    skip_bad: SkipBad = False,
    replace: Replace = False,
    as_json: AsJson = False,
) -> None:
    """Read a campaign file and check it to the last member; write nothing."""
    from hts_battery.campaign.deviating_cells import DeviatingCells
    from hts_battery.campaign.spec_file import load_members
    from hts_battery.compositions.filters import FilterReport

    report = FilterReport()
    campaign, members = load_members(spec, report, skip_bad=skip_bad)
    if campaign.spec.source is not None:
        campaign = with_members(campaign)
        members = campaign.kept()
    refuse_other_file(campaign, replace=replace)
    cells = DeviatingCells(campaign.spec.structure)
    candidates, elements = 0, set[str]()
    for _, candidate in members:
        candidates += 1
        elements.update(candidate.amounts)
        if campaign.spec.screens:
            cells.add(candidate)
    missing, lacking = phase_gaps(campaign, elements)
    answer = {
        "campaign": campaign.spec.name,
        "space": None if campaign.space is None else campaign.space.count,
        "candidates": candidates,
        "removed": dict(report.removed),
        "short": report.short if report.removed else {},
        "missing": missing,
        "lacking": lacking,
        **cells.as_dict(),
        **({"left_out": list(map(str, campaign.listed.bad))} if skip_bad else {}),
    }
    if as_json:
        formatting.json_line(answer)
        return
    formatting.line(
        f"{spec}: sound; {candidates:,} candidates out of {_whole(campaign)}"
    )
    say_left_out(campaign)
    for rule, count in sorted(report.removed.items()):
        formatting.line(f"{rule} removes {count:,}, such as {report.examples[rule]}")
    if report.removed:
        _say_what_is_short(campaign, candidates, report.short)
    for line in (*cells.lines(), *missing, *lacking):
        formatting.line(line)


def _whole(campaign: Campaign) -> str:
    """Say out of what the candidates of a campaign are chosen."""
    source = campaign.spec.source
    if source is not None:
        return f"those of {source.campaign}, build {campaign.build}"
    count = 0 if campaign.space is None else campaign.space.count
    return f"{count:,} compositions"


def _say_what_is_short(
    campaign: Campaign, candidates: int, short: Mapping[str, int]
) -> None:
    """Name the strata of a sample of which the filters leave too little."""
    for stratum, count in short.items():
        formatting.line(
            f"the filters leave no more than {count:,} of {stratum or 'the space'}: "
            "other strata give the rest"
        )
    selection = campaign.spec.selection
    wanted = None if selection is None else selection.count
    if wanted is not None and candidates < wanted:
        formatting.line(f"{candidates:,} are fewer than the {wanted:,} asked for")


def phase_gaps(campaign: Campaign, elements: set[str]) -> tuple[list[str], list[str]]:
    """
    Say which engine lacks competing phases, and of which compounds; write nothing.

    First the engines, then the compounds of the library a hull has no energy for.
    """
    from hts_battery.campaign.reference_gaps import (
        lacking_compounds,
        missing_references,
    )

    spec = campaign.spec
    with stores_if_any() as stores:
        missing = missing_references(spec, elements, stores)
        return missing, lacking_compounds(spec, elements, stores)


def run(  # noqa: PLR0913, PLR0917 - each is an option of the command
    spec: SpecFile,
    out: Annotated[
        Path, typer.Option(help="Folder of the table and the figure.")
    ] = Path("results"),
    retry_failed: Annotated[
        bool, typer.Option(help="Try candidates again whose last execution failed.")
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates computed at once; one a core by default."),
    ] = None,
    skip_bad: SkipBad = False,
    replace: Replace = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run a campaign here, from compositions to a ranking; interrupted, it resumes."""
    campaign = load_campaign(spec, skip_bad=skip_bad)
    say_left_out(campaign)
    settings = get_settings()
    refuse_other_file(campaign, replace=replace)
    if dry_run:
        campaign = with_members(campaign)
        candidates = sum(1 for _ in campaign.members())
        if as_json:
            formatting.json_line({"candidates": candidates})
        else:
            formatting.line(
                f"would put up to {candidates:,} candidates and as many calculations "
                f"into the database {settings.database} (data in {settings.data_dir})"
            )
        return
    from hts_battery.campaign.status import candidate_statuses

    problems: list[str] = []
    with opened_stores() as stores:
        formatting.note(f"database: {stores.database.location}")
        computed = _compute(
            campaign,
            stores,
            processes,
            problems,
            retry=retry_failed,
            replace=replace,
        )
        note_names(stores, settings.data_dir)
        found = candidate_statuses(
            campaign, stores, execution_folder=settings.execution_folder
        )
        report = _report if campaign.spec.screens else _report_properties
        report(campaign, stores, found, out=out, as_json=as_json)
    if not as_json:
        running = sum(item.state is CandidateState.RUNNING for item in found)
        known = sum(item.state in NEEDS_NOTHING for item in found) - computed
        formatting.line(f"{computed} computed now, {known} known before")
        if running:
            formatting.line(
                f"{running} are being computed by another process of this data "
                "folder; run again to rank them"
            )
        _what_next(campaign, settings.data_dir, found)
    _complain(found, problems)


def _compute(
    campaign: Campaign,
    stores: Stores,
    processes: int | None,
    problems: list[str],
    *,
    retry: bool,
    replace: bool,
) -> int:
    """Compute and build under a progress bar; add what ended processes."""
    from hts_battery.campaign.local_processes import default_processes
    from hts_battery.campaign.run import run_campaign

    settings = get_settings()
    processes = processes or default_processes(
        campaign.spec, device=settings.chgnet_device, note=formatting.note
    )
    with formatting.progress() as progress:

        def note_problem(text: str) -> None:
            problems.append(text)
            progress.problem(text)

        computed, _ = run_campaign(
            campaign,
            stores,
            data_dir=settings.data_dir,
            execution_folder=settings.execution_folder,
            temperatures=settings.temperatures,
            retry_failed=retry,
            processes=processes,
            progress=dataclasses.replace(progress, problem=note_problem),
            replace=replace,
        )
    return computed


def _complain(found: list[CandidateStatus], problems: list[str]) -> None:
    """Leave with status 1 where something failed."""
    failed = sum(item.state is CandidateState.FAILED for item in found)
    orderings = sum(item.failed_orderings for item in found)
    parts = []
    if failed:
        parts.append(f"{failed} of {len(found)} candidates failed")
    if orderings:
        parts.append(f"{orderings} orderings of other candidates failed")
    if problems:
        raise SubmissionError(
            f"{len(problems)} of the processes that compute did not come to the end, "
            "as said above; run the same command again for what they left"
            + "".join(f"; {part}" for part in parts)
        )
    if parts:
        raise SubmissionError(
            f"{' and '.join(parts)}; the reasons stand above, `--retry-failed` tries "
            "them again"
        )


def _report_properties(
    campaign: Campaign,
    stores: Stores,
    found: list[CandidateStatus],
    *,
    out: Path,
    as_json: bool,
) -> None:
    """Write the table of what a recipe that ranks nothing found out, and print it."""
    from hts_battery.campaign.run import recipe_properties
    from hts_battery.cli.recipe_results import report_properties
    from hts_battery.query.exports import write_properties

    made = recipe_properties(campaign, stores)
    report_properties(campaign.spec, found, made, as_json=as_json)
    path = out / f"{campaign.spec.name}.csv"
    write_properties(made, path)
    if not as_json:
        formatting.line(f"table: {path}")


def _report(
    campaign: Campaign,
    stores: Stores,
    found: list[CandidateStatus],
    *,
    out: Path,
    as_json: bool,
) -> None:
    """Write the table and the figure, and print the ranking."""
    from hts_battery.cli.ranking import ranking
    from hts_battery.query.exports import write_csv
    from hts_battery.query.figures import ranking_figure
    from hts_battery.query.screening_database import ScreeningDatabase

    name = campaign.spec.name
    temperature = max(campaign.spec.temperatures or get_settings().temperatures)
    summaries = list(
        ScreeningDatabase(stores).ranking(campaign=name, temperature=temperature)
    )
    if as_json:
        for summary in summaries:
            formatting.json_line(summary)
    if not summaries:
        reasons = Counter(item.reason for item in found if item.reason)
        raise SubmissionError(
            f"no candidate of {name} has a stability; most frequent reason: "
            f"{reasons.most_common(1)[0][0] if reasons else 'none given'}"
        )
    out.mkdir(parents=True, exist_ok=True)
    csv, png = out / f"{name}.csv", out / f"{name}.png"
    write_csv(summaries, csv)
    ranking_figure(
        summaries,
        temperature=temperature,
        title=f"{name}: {len(summaries)} candidates, {summaries[0]['calculator']}",
        path=png,
    )
    if as_json:
        return
    engines = ", ".join(sorted({doc["engine"] for doc in summaries}))
    title = f"campaign {name}, engine {engines}" if engines else name
    ranking(summaries, temperature=temperature, title=title)
    for item in found:
        if item.reason:
            formatting.line(f"{item.candidate.formula}: {item.state}: {item.reason}")
    states = Counter(str(item.state) for item in found)
    formatting.line(
        f"{len(found)} candidates: "
        + ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    )
    formatting.line(f"table: {csv}   figure: {png}")


def _what_next(
    campaign: Campaign, data_dir: Path, found: list[CandidateStatus]
) -> None:
    formatting.line(f"data: {data_dir}   what next:")
    example = found[0].candidate.candidate_id
    # `make screen` calls the command by its path, a person mostly by its name.
    folder = "" if shutil.which("hts") else ".venv/bin/"
    ranked = ("hts query stable", "what mixing entropy stabilises")
    for command, purpose in (
        *([ranked] if campaign.spec.screens else []),
        (f"hts query show {example}", "one candidate with every term"),
        (f"hts campaign status {campaign.path}", "where every candidate stands"),
        ("hts references list", "the competing phases"),
    ):
        formatting.line(f"  {folder}{command:<60} {purpose}")


def release(
    spec: SpecFile,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Candidates to let by; all gated ones if none."
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let gated candidates pass the gate; the next run computes them."""
    from hts_battery.campaign.registration import release as let_pass
    from hts_battery.campaign.status import candidate_statuses

    campaign = load_campaign(spec, skip_bad=True)
    with opened_stores(make_indexes=not dry_run) as stores:
        found = candidate_statuses(
            campaign, stores, execution_folder=get_settings().execution_folder
        )
        gated = {
            item.candidate.candidate_id: item
            for item in found
            if item.state is CandidateState.GATED
        }
        if other := sorted(set(ids or ()) - set(gated)):
            raise ConfigurationError(
                f"not gated in {campaign.spec.name}: {', '.join(other)}; `hts campaign "
                f"status {spec}` lists the gated ones"
            )
        chosen = list(ids or gated)
        if not dry_run:
            let_pass(campaign, stores, chosen)
    if as_json:
        formatting.json_line({"released": chosen, "written": not dry_run})
        return
    for name in chosen:
        item = gated[name]
        formatting.line(f"{name} {item.candidate.formula}: {item.reason}")
    verb = "would release" if dry_run else "released"
    formatting.line(f"{verb} {len(chosen)} of {len(gated)} gated candidates")

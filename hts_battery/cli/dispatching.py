"""hts campaign submit: hand a campaign to a worker."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.completion import TEMPLATES, complete_worker, note_names
from hts_battery.cli.feeding import print_report
from hts_battery.cli.opening import (
    get_settings,
    opened_launchpad,
    read_campaign,
    refuse_other_file,
    say_left_out,
    stores_if_any,
    with_members,
)
from hts_battery.cli.options import (
    AsJson,
    DryRun,
    Replace,
    SkipBad,
    SpecFile,
    Templates,
)
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.dispatch_options import BLOCK_SIZE, DispatchMode, PriorityRule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.submission import MemberSubset, Submitted
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.dispatch import FeedReport, Submission


ForWorker = Annotated[
    str,
    typer.Option(help="Worker that computes it.", autocompletion=complete_worker),
]
Mode = Annotated[
    DispatchMode | None,
    typer.Option(help="chunks: whole candidates; steps: each calculation alone."),
]
Chunk = Annotated[int | None, typer.Option(min=1, help="Candidates of one Firework.")]
Window = Annotated[
    int | None, typer.Option(min=1, help="Fireworks of unfinished work at once.")
]
Rule = Annotated[PriorityRule, typer.Option(help="In which order candidates are sent.")]
Priority = Annotated[
    int | None, typer.Option(help="Priority in FireWorks: the larger, the earlier.")
]
Nodes = Annotated[int, typer.Option(min=1, help="Nodes of one queue job.")]
Budget = Annotated[
    float | None, typer.Option(min=0, help="Node-hours that may be spent.")
]
MaxWalltime = Annotated[
    float, typer.Option(min=0.1, help="Longest time in h that a job may ask for.")
]
MaxMemory = Annotated[
    float | None,
    typer.Option(min=0.1, help="Most GB of a node that a job may ask for."),
]
Span = Annotated[
    str | None,
    typer.Option("--range", metavar="A:B", help="Only members A to B-1, from 0."),
]
Shard = Annotated[
    str | None,
    typer.Option(metavar="I/N", help="Only every N-th member, I from 1."),
]
MaxCandidates = Annotated[
    int | None, typer.Option(min=0, help="Most candidates that are sent.")
]
PrerelaxWorker = Annotated[
    str | None, typer.Option(help="Other worker for the pre-relaxation.")
]
AnyWorker = Annotated[
    bool, typer.Option(help="Allow a worker without a folder of configuration.")
]
RetryFailed = Annotated[
    bool, typer.Option(help="Send candidates again whose calculation failed.")
]


def submit(  # noqa: PLR0913, PLR0917 - each is an option of the command
    spec: SpecFile,
    worker: ForWorker,
    mode: Mode = None,
    chunk: Chunk = None,
    window: Window = None,
    rule: Rule = PriorityRule.FILE,
    priority: Priority = None,
    nodes: Nodes = 1,
    budget: Budget = None,
    max_walltime: MaxWalltime = 24.0,
    max_memory: MaxMemory = None,
    span: Span = None,
    shard: Shard = None,
    max_candidates: MaxCandidates = None,
    prerelax_worker: PrerelaxWorker = None,
    any_worker: AnyWorker = False,
    templates: Templates = TEMPLATES,
    retry_failed: RetryFailed = False,
    skip_bad: SkipBad = False,
    replace: Replace = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Hand a campaign to a worker; a second time it adds what is missing."""
    from hts_battery.dispatch.submission import (
        MemberSubset,
        plan_submission,
        unmet_requests,
    )

    routes = {} if prerelax_worker is None else {"prerelax": prerelax_worker}
    if not any_worker:
        _refuse_unknown({worker, *routes.values()}, templates)
    subset = MemberSubset.parse(span, shard)
    campaign = read_campaign(spec, skip_bad=skip_bad)
    say_left_out(campaign)
    submission = plan_submission(
        campaign.spec,
        worker,
        mode=mode,
        chunk=chunk,
        window=window,
        routes=routes,
        rule=rule,
        priority=priority,
        nodes=nodes,
        budget=budget,
        max_walltime=max_walltime,
        max_memory=max_memory,
        max_candidates=max_candidates,
    )
    if not any_worker:
        for problem in unmet_requests(campaign.spec, submission, templates):
            formatting.note(problem)
    refuse_other_file(campaign, replace=replace)
    work = _plan if dry_run else partial(_submit, replace=replace)
    work(campaign, submission, subset, retry_failed=retry_failed, as_json=as_json)


def _refuse_unknown(workers: set[str], templates: Path) -> None:
    from hts_battery.connections.workers.configs import worker_names

    known = worker_names(templates) if templates.is_dir() else ()
    if unknown := sorted(workers - set(known)):
        raise ConfigurationError(
            f"there is no worker {', '.join(unknown)} in {templates} (there are: "
            f"{', '.join(known) or 'none'}): jobs routed to it would wait for ever; "
            "--any-worker sends them all the same"
        )


def _plan(
    campaign: Campaign,
    submission: Submission,
    subset: MemberSubset,
    *,
    retry_failed: bool,
    as_json: bool,
) -> None:
    from hts_battery.campaign.local_run import Progress
    from hts_battery.campaign.spec_file import load_members
    from hts_battery.dispatch.submission import plan_backlog, read_members

    campaign = with_members(campaign)
    checked = load_members(campaign.path, skip_bad=campaign.skip_bad)[1]
    members = read_members(campaign, Progress(), checked)
    candidates = new = len(subset.of(members))
    with stores_if_any() as stores:
        if stores is not None:
            found = plan_backlog(
                campaign,
                stores,
                submission,
                members=members,
                subset=subset,
                retry_failed=retry_failed,
            )
            candidates, new = found.candidates, found.new
    limit = submission.max_candidates
    sent = min(
        new, submission.window * submission.chunk, new if limit is None else limit
    )
    fireworks = -(-sent // submission.chunk)
    blocks = -(-new // BLOCK_SIZE)
    if as_json:
        formatting.json_line(
            {
                "campaign": submission.campaign,
                "candidates": candidates,
                "new": new,
                "known": candidates - new,
                "sent": sent,
                "written": False,
            }
        )
        return
    formatting.line(
        f"would submit {new:,} of {candidates:,} candidates to {submission.worker}: up "
        f"to {2 * len(members):,} documents of candidates and members, {blocks:,} "
        f"blocks of the backlog; and send {sent:,} of them in {fireworks:,} Fireworks"
    )


def _submit(
    campaign: Campaign,
    submission: Submission,
    subset: MemberSubset,
    *,
    retry_failed: bool,
    replace: bool,
    as_json: bool,
) -> None:
    from hts_battery.campaign.source import resolved
    from hts_battery.dispatch.feeder import feed
    from hts_battery.dispatch.submission import read_members, readiness, submit_campaign

    with opened_launchpad() as (stores, launchpad), formatting.progress() as progress:
        campaign = resolved(campaign, stores)
        members = read_members(campaign, progress, _checked(campaign, stores))
        for problem in readiness(campaign.spec, submission, members, stores):
            formatting.note(problem)
        found = submit_campaign(
            campaign,
            stores,
            submission,
            members=members,
            subset=subset,
            retry_failed=retry_failed,
            progress=progress,
            replace=replace,
        )
        note_names(stores, get_settings().data_dir)
        (report,) = feed(
            stores,
            launchpad,
            campaigns=[submission.campaign],
            candidates={one.candidate_id: one for _, one in members},
        )
    _print(found, report, as_json=as_json)


def _print(found: Submitted, report: FeedReport, *, as_json: bool) -> None:
    if as_json:
        formatting.json_line(
            {
                "campaign": report.campaign,
                "candidates": found.candidates,
                "new": found.new,
                "known": found.known,
                "sent": report.sent,
            }
        )
        return
    submission = found.submission
    formatting.line(
        f"{found.candidates:,} candidates: {found.new:,} new in the backlog, "
        f"{found.known:,} known; {submission.mode} of {submission.chunk} to "
        f"{submission.worker}, at most {submission.window:,} Fireworks at once"
    )
    print_report(report)
    if report.waiting or report.in_hand:
        formatting.line("`hts launchpad feed --watch` sends the rest as work ends")


def _checked(
    campaign: Campaign, stores: Stores
) -> Iterator[tuple[int, Candidate]] | None:
    """Check members as they come, unless this file was registered, and so checked."""
    from hts_battery.campaign.spec_file import load_members
    from hts_battery.connections.records.stored_documents import read_registration

    doc = read_registration(stores, campaign.spec.name)
    if doc is not None and doc["spec"] == campaign.spec.model_dump(mode="json"):
        return None
    return load_members(campaign.path, skip_bad=campaign.skip_bad)[1]

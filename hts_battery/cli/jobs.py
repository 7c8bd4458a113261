"""hts jobs: the Fireworks of campaigns and their queue jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.completion import (
    complete_campaign_name,
    complete_worker,
    note_names,
)
from hts_battery.cli.opening import failure_kind, get_settings, opened_stores
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.schemas.launchpad_job import LaunchpadJob

JobId = Annotated[
    int, typer.Argument(metavar="ID", help="Number of the Firework: `hts jobs list`.")
]
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))
_KB = 1024


def list_jobs(
    campaign: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only of this campaign.",
            autocompletion=complete_campaign_name,
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only in this state, as FireWorks says it; may be repeated."),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(help="Only of this worker.", autocompletion=complete_worker),
    ] = None,
    failure_class: Annotated[
        str | None,
        typer.Option("--class", metavar="CLASS", help="Only what failed in this way."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows of the table.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List Fireworks and their queue jobs: what goes on, and what failed."""
    from hts_battery.dispatch.jobs import JobFilter
    from hts_battery.dispatch.jobs import list_jobs as find

    kind = None if failure_class is None else failure_kind(failure_class)
    wanted = JobFilter(campaign, _states(state or ()), worker, kind)
    with opened_stores(make_indexes=False) as stores:
        found = find(stores, wanted)
        note_names(stores, get_settings().data_dir)
    if as_json:
        for job in found:
            formatting.json_line(job.model_dump(mode="json", exclude={"error"}))
        return
    if not found:
        formatting.line("no such job" if any(wanted) else "no job goes on, none failed")
        return
    _show(found[:limit])
    if len(found) > limit:
        formatting.line(f"{len(found) - limit:,} more: --limit, or filters")


def _states(words: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    from hts_battery.dispatch.jobs import STATES

    states = tuple(word.upper() for word in words)
    if unknown := sorted(set(states) - set(STATES)):
        raise ConfigurationError(
            f"--state: there is no state {', '.join(unknown)}; the states are "
            f"{', '.join(STATES)}"
        )
    return states


def _show(jobs: list[LaunchpadJob]) -> None:
    now = datetime.now(UTC)
    formatting.table(
        ("ID", "campaign", "state", "for", "worker", "queue job", "node", "step"),
        (
            (
                job.fw_id,
                job.campaign,
                job.state,
                age(job, now),
                job.worker,
                job.queue_id,
                job.host,
                job.step,
            )
            for job in jobs
        ),
        right=("ID", "for"),
    )
    for job in jobs:
        if job.folder:
            formatting.line(f"{job.fw_id}: {job.folder}")
        if job.failure_class:
            formatting.line(f"{job.fw_id}: {job.failure_class}: {job.reason or ''}")


def age(job: LaunchpadJob, now: datetime) -> str:
    """Write for how long a job has been in its state."""
    if job.since is None:
        return ""
    seconds = max(0.0, (now - job.since).total_seconds())
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def show(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: state, queue job, folder, what it computes, how it failed."""
    from hts_battery.dispatch.jobs import find_job

    with opened_stores(make_indexes=False) as stores:
        job = find_job(stores, job_id)
    if as_json:
        formatting.json_line(job.model_dump(mode="json"))
        return
    values = job.model_dump(mode="json", exclude={"error", "content_keys"})
    values["for"] = age(job, datetime.now(UTC))
    values["content_keys"] = " ".join(job.content_keys)
    formatting.fields({name: one for name, one in values.items() if one})
    if job.error:
        formatting.line(job.error.rstrip())


def files(job_id: JobId, as_json: AsJson = False) -> None:
    """List the files of the launch folder of a job."""
    from hts_battery.dispatch.jobs import find_job, job_files, launch_folder

    with opened_stores(make_indexes=False) as stores:
        job = find_job(stores, job_id)
    found = job_files(job)
    if as_json:
        for one in found:
            formatting.json_line(one.model_dump(mode="json"))
        return
    formatting.table(
        ("file", "kB", "last written (UTC)"),
        (
            (
                one.name,
                f"{one.size / _KB:,.1f}",
                one.changed.isoformat(" ", "seconds").removesuffix("+00:00"),
            )
            for one in found
        ),
        title=f"job {job_id} on {job.host}: {launch_folder(job)}",
        right=("kB",),
    )


def log(
    job_id: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")
    ] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Last lines of each file.")
    ] = 40,
    as_json: AsJson = False,
) -> None:
    """Print the last lines of what a job prints, and go on with it while it runs."""
    from hts_battery.dispatch.jobs import (
        find_job,
        last_lines,
        launch_folder,
        log_files,
    )
    from hts_battery.dispatch.jobs import follow as read_on

    with opened_stores(make_indexes=False) as stores:
        job = find_job(stores, job_id)
        folder = launch_folder(job)
        shown = log_files(folder)
        sizes = {path: path.stat().st_size for path in shown}
        for path in shown:
            _print_lines(path, last_lines(path, lines), as_json=as_json)
        if not shown and not follow:
            formatting.note(f"nothing was printed yet in {folder}")
        if not follow:
            return

        def is_over() -> bool:
            return find_job(stores, job_id).state not in {"RUNNING", "RESERVED"}

        for path, text in read_on(folder, is_over=is_over, seen=sizes):
            _print_lines(path, text.splitlines(), as_json=as_json)


def _print_lines(path: Path, lines: list[str], *, as_json: bool) -> None:
    if as_json:
        formatting.json_line({"file": str(path), "lines": lines})
        return
    formatting.line(f"==> {path} <==")
    for one in lines:
        formatting.line(one)

"""hts worker test: does a worker work, before a campaign waits for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.launching import Worker, read_worker
from hts_battery.cli.launchpad import OFFLINE, report_findings
from hts_battery.cli.opening import get_settings, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from hts_battery.connections.launchpad.queue_worker import QueueWorker
    from hts_battery.schemas.worker_trial import StageResult, WorkerTrialReport


def run_trial(
    worker: Worker,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="Engine that is to relax LiF there; ionic if not given."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Minutes after which it is given up.")
    ] = 60.0,
    launches: Annotated[
        Path | None, typer.Option(help="Folder of its jobs; queue/WORKER if not given.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Send a small real job of each stage through the queue, and remove them."""
    rendered = read_worker(worker)
    report_findings(rendered.name, rendered.config)
    engines = engine or ["ionic"]
    if dry_run:
        from hts_battery.flows.recipes.worker_check import NODE, OUTPUTS

        for stage in (NODE, OUTPUTS, *engines):
            if as_json:
                formatting.json_line({"stage": stage, "written": False})
            else:
                formatting.line(f"would submit a job of the stage {stage}")
        return
    place = (launches or get_settings().queue_folder / rendered.name).expanduser()
    report = _run(rendered, engines, place.absolute(), 60 * timeout, as_json=as_json)
    failed = [one for one in report.stages if one.state != "done"]
    if failed:
        raise SubmissionError(
            f"worker {rendered.name}: {failed[0].stage} {failed[0].state}: "
            f"{failed[0].words}"
        )


def _run(
    worker: QueueWorker,
    engines: list[str],
    launches: Path,
    seconds: float,
    *,
    as_json: bool,
) -> WorkerTrialReport:
    from hts_battery.dispatch.launcher import launcher_of
    from hts_battery.operations.worker_trial import WorkerTrial

    def tell(result: StageResult) -> None:
        if as_json:
            formatting.json_line(result.model_dump(mode="json"))
        else:
            formatting.line(_line(result))

    with opened_launchpad() as (stores, launchpad):
        launcher = launcher_of(worker, stores, launchpad, launches)
        offline = get_settings().data_dir / OFFLINE
        return WorkerTrial(launcher, engines, offline, seconds).run(tell)


def _line(result: StageResult) -> str:
    job = "" if result.queue_id is None else f" as job {result.queue_id}"
    host = "" if result.host is None else f" on {result.host}"
    times = ", ".join(
        f"{name} {seconds:.0f} s"
        for name, seconds in (("waited", result.waited), ("ran", result.ran))
        if seconds is not None
    )
    text = f"{result.stage}: {result.state}{job}{host}"
    return ": ".join(part for part in (text, times, result.words) if part)

"""hts launchpad launch and worker test: what is READY becomes jobs of a queue."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hts_battery.cli import formatting
from hts_battery.cli.launchpad import OFFLINE, report_findings
from hts_battery.cli.opening import get_settings, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun, Launches, Supervised
from hts_battery.errors import SubmissionError

if TYPE_CHECKING:
    from hts_battery.connections.launchpad.queue_worker import QueueWorker
    from hts_battery.dispatch.launcher import Launcher
    from hts_battery.schemas.worker_trial import StageResult, WorkerTrialReport

Worker = Annotated[
    str,
    typer.Argument(
        metavar="WORKER", help="Rendered worker, or the folder of its files."
    ),
]
_TERMINATED = 128 + signal.SIGTERM


def launch(  # noqa: PLR0913, PLR0917 - each is an option of the command
    worker: Worker,
    once: Annotated[
        bool, typer.Option("--once", help="Look once; status 1 if a job was refused.")
    ] = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-m", min=1, help="Most jobs of it in the queue.")
    ] = 20,
    launches: Launches = None,
    supervised: Supervised = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Submit what is ready for a worker to its queue, and go on until ended."""
    from hts_battery.dispatch.launcher import launcher_of

    rendered = read_worker(worker)
    place = launches or get_settings().queue_folder / rendered.name
    with opened_launchpad() as (stores, launchpad):
        launcher = launcher_of(
            rendered,
            stores,
            launchpad,
            place.expanduser().absolute(),
            jobs=jobs,
            say=formatting.line,
        )
        if dry_run:
            _plan(launcher, as_json=as_json)
        elif once:
            _once(launcher, as_json=as_json)
        else:
            if supervised:
                from hts_battery.operations.runner import end_with_runner

                end_with_runner()
            end_by_signal()
            launcher.run()


def read_worker(name: str) -> QueueWorker:
    """Read a worker by its name, or by the folder into which it was rendered."""
    from hts_battery.connections.launchpad.queue_worker import QueueWorker

    given = Path(name).expanduser()
    is_name = given.name == name and not given.is_dir()
    return QueueWorker.read(get_settings().workers_folder / name if is_name else given)


def end_by_signal() -> None:
    """Let SIGTERM end this process as Ctrl-C does: what it holds is given back."""

    def leave(*_: object) -> NoReturn:
        # Asked again, it goes on giving back.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(_TERMINATED)

    signal.signal(signal.SIGTERM, leave)


def _plan(launcher: Launcher, *, as_json: bool) -> None:
    waiting, paused = launcher.plan()
    if as_json:
        fields = {"fireworks": waiting, "paused": paused, "written": False}
        formatting.json_line({"worker": launcher.worker.name, **fields})
    elif paused is not None:
        formatting.line(f"{launcher.worker.name} is paused: {paused}")
    else:
        names = ", ".join(map(str, waiting))
        formatting.line(f"would submit {len(waiting)} Fireworks: {names or 'none'}")


def _once(launcher: Launcher, *, as_json: bool) -> None:
    done = launcher.once()
    if as_json:
        formatting.json_line(
            {
                "worker": launcher.worker.name,
                "submitted": list(done.submitted),
                "queued": done.queued,
                "written": True,
            }
        )
        return
    numbers = ", ".join(done.submitted)
    formatting.line(
        f"{launcher.worker.name}: submitted {numbers or 'nothing'}; {done.queued} of "
        "its jobs in the queue"
    )


def run_trial(
    worker: Worker,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="Engine that is to relax LiF there; ionic if not given."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Minutes after which it is given up.")
    ] = 60.0,
    launches: Launches = None,
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

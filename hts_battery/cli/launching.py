"""hts launchpad launch: what is READY for a worker becomes jobs of its queue."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_launchpad
from hts_battery.cli.options import AsJson, DryRun, Supervised

if TYPE_CHECKING:
    from hts_battery.connections.launchpad.queue_worker import QueueWorker
    from hts_battery.dispatch.launcher import Launcher

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
    launches: Annotated[
        Path | None, typer.Option(help="Folder of its jobs; queue/WORKER if not given.")
    ] = None,
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

"""hts runner: feeder and launchers that stay up."""

from __future__ import annotations

import os
import signal
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.launching import read_worker
from hts_battery.cli.opening import get_settings
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.operations.runner import RunnerFolder
    from hts_battery.schemas.runner import RunnerStatus

Workers = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORKER]...", help="Workers whose launchers run; or none."),
]
_FOLLOW_S = 0.5


def start(
    workers: Workers = None,
    foreground: Annotated[
        bool, typer.Option(help="Stay here, as under systemd; Ctrl-C ends it.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Keep a feeder and the launchers of some workers up, logged out too."""
    from hts_battery.operations.runner import Runner, start_runner

    commands = _commands(workers or [])
    if dry_run:
        for name, words in commands.items():
            _line(f"{name}: {' '.join(words)}", as_json=as_json, child=name)
        return
    folder = _folder()
    if foreground:
        runner = Runner(folder, commands)
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, lambda *_: runner.stopping.set())
        runner.run()
        return
    state = start_runner(folder, workers or [])
    names = ", ".join(commands)
    _line(
        f"started process {state.pid} with {names}; logs in {folder.folder / 'logs'}",
        as_json=as_json,
        pid=state.pid,
        children=list(commands),
    )


def stop(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """End the runner and exactly what it started."""
    from hts_battery.operations.runner import runner_status, stop_runner

    folder = _folder()
    if dry_run:
        found = runner_status(folder)
        pids = list(found.orphans)
        if found.running and found.state is not None:
            pids = [found.state.pid]
        _line(f"would end {pids or 'nothing'}", as_json=as_json, pids=pids)
        return
    ended = stop_runner(folder)
    text = f"ended {len(ended)} processes" if ended else "no runner is running"
    _line(text, as_json=as_json, pids=list(ended))


def status(as_json: AsJson = False) -> None:
    """Say what runs, since when, and how often it was started again."""
    from hts_battery.operations.runner import runner_status

    found = runner_status(_folder())
    if as_json:
        formatting.json_line(found.model_dump(mode="json"))
        return
    _show(found)


def _show(found: RunnerStatus) -> None:
    state = found.state
    if state is None:
        formatting.line("no runner was ever started here: `hts runner start WORKER`")
        return
    if found.elsewhere:
        formatting.line(f"started on {state.host}: ask there")
        return
    if found.running:
        formatting.line(
            f"running as process {state.pid} since {state.started:%Y-%m-%d %H:%M} UTC"
        )
    else:
        formatting.line("not running")
    formatting.table(
        ("process", "pid", "state", "since", "restarts", "last status"),
        (
            (
                one.name,
                one.pid or "",
                "up" if one.name in found.alive else "down",
                f"{one.started:%Y-%m-%d %H:%M}" if one.started else "",
                one.restarts,
                "" if one.last_status is None else one.last_status,
            )
            for one in state.children
        ),
        right=("pid", "restarts", "last status"),
    )
    if found.orphans:
        pids = ", ".join(map(str, found.orphans))
        formatting.error(
            f"processes {pids} are there without the runner that started them: "
            "`hts runner stop` ends them"
        )


def logs(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="feeder, runner or a worker.")
    ] = "feeder",
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many of the last ones.")
    ] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as more is written.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the feeder or a launcher printed last."""
    path = _folder().log(name)
    if not path.is_file():
        known = sorted(one.stem for one in path.parent.glob("*.log"))
        raise ConfigurationError(
            f"there is no log of {name}; there are: {', '.join(known) or 'none'}"
        )
    text = path.read_text("utf-8", errors="replace").splitlines()
    last = text[len(text) - min(lines, len(text)) :]
    for line in chain(last, _followed(path) if follow else ()):
        _line(line, as_json=as_json, line=line)


def _followed(path: Path) -> Iterator[str]:
    """Yield the lines that are written from now on, over rotations."""
    file = path.open(encoding="utf-8", errors="replace")
    file.seek(0, 2)
    while True:
        if line := file.readline():
            yield line.rstrip("\n")
            continue
        time.sleep(_FOLLOW_S)
        if path.exists() and path.stat().st_ino != os.fstat(file.fileno()).st_ino:
            file.close()
            file = path.open(encoding="utf-8", errors="replace")


def unit(
    workers: Workers = None,
    env_file: Annotated[
        Path | None, typer.Option(help="File of the variables that hts needs.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a systemd unit of the user that keeps the runner up over reboots."""
    from hts_battery.operations.runner import systemd_unit
    from hts_battery.settings_file import chosen_profile

    _commands(workers or [])
    place = None if env_file is None else env_file.expanduser().absolute()
    if place is not None and not place.is_file():
        raise ConfigurationError(f"--env-file: there is no file {place}")
    profile = chosen_profile()
    text = systemd_unit(workers or [], Path.cwd(), place, profile).rstrip("\n")
    _line(text, as_json=as_json, unit=text)
    if place is None:
        formatting.note(
            "systemd does not know the variables of this shell: name a file of them "
            "with --env-file, or write ~/.hts_battery.yaml"
        )


def _commands(workers: list[str]) -> dict[str, list[str]]:
    """Return the command of each child; refuse a worker that cannot be read."""
    from hts_battery.operations.runner import FEEDER, HTS

    feeder = [*HTS, "launchpad", "feed", "--watch", "--stay", "--supervised"]
    commands = {FEEDER: feeder}
    for one in workers:
        name = read_worker(one).name
        if name in commands:
            raise ConfigurationError(f"{name} is named twice")
        commands[name] = [*HTS, "launchpad", "launch", one, "--supervised"]
    return commands


def _folder() -> RunnerFolder:
    from hts_battery.operations.runner import RunnerFolder

    folder = get_settings().runner_folder
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} is no folder")
    return RunnerFolder(folder)


def _line(text: str, *, as_json: bool, **fields: object) -> None:
    if as_json:
        formatting.json_line(fields)
    else:
        formatting.line(text)

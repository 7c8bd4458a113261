"""hts launchpad: configuration of workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.settings import get_settings

app = typer.Typer(help="Workers of a cluster.", no_args_is_help=True)


@app.command()
def render(
    worker: Annotated[str, typer.Argument(help="Folder of launchpad_configs.")],
    target: Annotated[
        Path, typer.Option("--target", "-t", help="Folder outside the repository.")
    ],
    templates: Annotated[Path, typer.Option(help="Folder of the templates.")] = Path(
        "launchpad_configs"
    ),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fill a worker's configuration files from the environment."""
    from hts_battery.connections.worker_configs import render_worker, worker_variables

    if dry_run:
        for name in worker_variables(templates, worker):
            known = name in os.environ
            if as_json:
                formatting.json_line({"variable": name, "set": known})
            else:
                formatting.line(f"{name}: {'set' if known else 'missing'}")
        return
    settings = get_settings()
    given = {
        "HTS_BATTERY_DATABASE": settings.database,
        "HTS_BATTERY_EXECUTION_RECORD": str(settings.execution_folder),
    }
    written = render_worker(templates, worker, target, {**given, **os.environ})
    for path in written:
        if as_json:
            formatting.json_line({"file": str(path)})
        else:
            formatting.line(str(path))

"""hts launchpad: configuration of workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

OFFLINE = "offline"
"""Folder in the data folder that holds the journals of offline workers."""


def render(
    worker: Annotated[str, typer.Argument(help="Folder of launchpad_configs.")],
    target: Annotated[
        Path | None,
        typer.Option(
            "--target",
            "-t",
            help="Folder outside the repository; workers/WORKER in data_dir if not "
            "given, where `launch` and `runner` look for it.",
        ),
    ] = None,
    templates: Annotated[Path, typer.Option(help="Folder of the templates.")] = Path(
        "launchpad_configs"
    ),
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fill a worker's configuration files from the environment, and check them."""
    from hts_battery.connections.workers.configs import render_worker, worker_variables

    given = _given()
    if dry_run:
        for name in worker_variables(templates, worker):
            known = name in given
            if as_json:
                formatting.json_line({"variable": name, "set": known})
            else:
                formatting.line(f"{name}: {'set' if known else 'missing'}")
        return
    place = target or get_settings().workers_folder / worker
    written = render_worker(templates, worker, place, given)
    for path in written:
        if as_json:
            formatting.json_line({"file": str(path)})
        else:
            formatting.line(str(path))
    report_findings(worker, place)


def report_findings(worker: str, config: Path) -> None:
    """Say what is wrong with a rendered worker; status 2 where a job would fail."""
    from hts_battery.operations.worker_checks import examine_worker

    findings = examine_worker(config)
    for one in findings:
        formatting.note(f"{one.level}: {one.what} ({one.where}): {one.action}")
    problems = [one for one in findings if one.level == "problem"]
    if problems:
        raise ConfigurationError(
            f"worker {worker}: {len(problems)} problems, the first: {problems[0].what}"
        )


def ingest(
    folder: Annotated[
        Path | None,
        typer.Argument(help="HTS_OFFLINE_FOLDER of the worker; offline/ if not given."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Take in what workers without the database have computed."""
    from hts_battery.connections.database.stores import screening_stores
    from hts_battery.connections.launchpad.launchpad import open_launchpad
    from hts_battery.dispatch.offline import ingest as take_in

    settings = get_settings()
    place = folder or settings.data_dir / OFFLINE
    with (
        screening_stores(settings, make_indexes=not dry_run) as stores,
        open_launchpad(
            stores.database, outage_seconds=settings.outage_patience
        ) as launchpad,
    ):
        report = take_in(place.absolute(), stores, launchpad, dry_run=dry_run)
    if as_json:
        formatting.json_line(report.model_dump(mode="json"))
        return
    would = "would be " if dry_run else ""
    formatting.table(
        (f"{would}ingested from", str(place)),
        (
            (name.replace("_", " "), count)
            for name, count in report.model_dump(exclude={"folder"}).items()
        ),
    )


def _given() -> dict[str, str]:
    """Join what the settings know with the environment, which wins."""
    settings = get_settings()
    known = {
        "HTS_BATTERY_DATABASE": settings.database,
        "HTS_BATTERY_EXECUTION_RECORD": str(settings.execution_folder),
        "HTS_PYTHON": sys.executable,
        "HTS_OFFLINE_FOLDER": str(settings.data_dir / OFFLINE),
    }
    return {**known, **os.environ}

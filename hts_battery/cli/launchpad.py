"""hts launchpad render, ingest, notify-test; launches clean: what stands around it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_launchpad, opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError, SubmissionError

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


def notify_test(as_json: AsJson = False) -> None:
    """Send a test message to every address of notify_urls."""
    from hts_battery.connections.notifications import notify
    from hts_battery.connections.processes import host_name
    from hts_battery.schemas.alert import Alert, AlertKind

    urls = get_settings().notify_urls
    if not urls:
        raise ConfigurationError(
            "no address is set: HTS_BATTERY_NOTIFY_URLS='mailto://USER:PASSWORD@HOST'"
        )
    failed = notify(
        [
            Alert(
                kind=AlertKind.TEST,
                title="hts_battery: test",
                body=f"Messages from {host_name()} arrive here.",
            )
        ],
        urls,
    )
    if as_json:
        formatting.json_line({"addresses": len(urls), "failed": failed})
    if failed:
        raise SubmissionError(f"{failed} of {len(urls)} addresses could not be reached")
    if not as_json:
        formatting.line(f"sent to {len(urls)} addresses")


def clean(
    folder: Annotated[
        Path | None,
        typer.Option(help="Folder of a queue's launches, instead of the local ones."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Pack and delete, by the rules of each engine, what ended runs left behind."""
    from hts_battery.dispatch.recovery import tidy_queue
    from hts_battery.flows.recipes.local import tidy_launches

    if folder is None:
        local = get_settings().data_dir / "launches"
        with opened_stores(make_indexes=False) as stores:
            done = tidy_launches(local, stores.tasks, dry_run=dry_run)
    else:
        with opened_launchpad() as (stores, launchpad):
            done = tidy_queue(folder, stores, launchpad, dry_run=dry_run)
    if as_json:
        for launch, action in done:
            formatting.json_line({"folder": launch, **action.model_dump(mode="json")})
        return
    for launch, action in done:
        formatting.line(f"{action.verb} {launch / action.name} ({action.size} bytes)")
    verb = "would be packed or deleted" if dry_run else "packed or deleted"
    formatting.line(f"{len(done)} files {verb}")

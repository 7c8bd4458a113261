"""hts launches: the folders in which jobs ran."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, opened_launchpad, opened_stores
from hts_battery.cli.options import AsJson, DryRun


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

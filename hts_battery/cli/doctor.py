"""hts doctor: what is wrong with this installation and its database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings, stores_if_any
from hts_battery.cli.options import AsJson


def doctor(
    fix: Annotated[
        bool,
        typer.Option(
            "--fix",
            help="Make indexes, drop locks of the dead, remove remains.",
        ),
    ] = False,
    project: Annotated[
        Path, typer.Option(help="Folder with constraints.txt and launchpad_configs.")
    ] = Path(),
    as_json: AsJson = False,
) -> None:
    """Check indexes, locks, disk, clock, durability, packages and files; explain."""
    from hts_battery.operations.doctor import Examined, examine
    from hts_battery.schemas.alert import Level

    with stores_if_any(any_layout=True) as stores:
        found = examine(Examined(get_settings(), stores, project, fix))
    for one in found:
        if as_json:
            formatting.json_line(one.model_dump(mode="json"))
            continue
        place = f" [{one.where}]" if one.where else ""
        formatting.line(f"{one.level:<8} {one.check}: {one.what}{place}")
        if one.fixed:
            formatting.line("         fixed")
        elif one.action and one.level is not Level.OK:
            formatting.line(f"         {one.action}")
    if any(one.level is Level.PROBLEM and not one.fixed for one in found):
        raise typer.Exit(1)

"""hts build: run the builders over everything in the database."""

from __future__ import annotations

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import database_exists, opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.settings import get_settings

app = typer.Typer(help="Builders: entries, thermo, summary.", no_args_is_help=True)

_COUNTS = ("read", "written", "failed", "unchanged", "removed", "seconds")


def _build(only: str | None, *, dry_run: bool, as_json: bool) -> None:
    from hts_battery.campaign.building import build_all, stored_campaigns

    if dry_run:
        names = []
        if database_exists():
            with opened_stores(make_indexes=False) as stores:
                names = [spec.name for spec in stored_campaigns(stores)]
        if as_json:
            formatting.json_line({"campaigns": names})
        else:
            formatting.line(
                "would rebuild what has changed of the campaigns: "
                + (", ".join(names) or "none")
            )
        return
    with opened_stores() as stores:
        reports = build_all(stores, temperatures=get_settings().temperatures, only=only)
    total = {
        name: {field: getattr(report, field) for field in _COUNTS}
        for name, report in reports.items()
    }
    if as_json:
        formatting.json_line(total)
        return
    formatting.table(
        ("builder", *_COUNTS),
        (
            (
                name,
                *(
                    f"{counts[field]:.3g}" if field == "seconds" else counts[field]
                    for field in _COUNTS
                ),
            )
            for name, counts in total.items()
        ),
        right=_COUNTS,
    )


@app.command("all")
def all_builders(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Run every builder for every campaign; what is unchanged is not touched."""
    _build(None, dry_run=dry_run, as_json=as_json)


@app.command()
def entries(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Make comparable entries of tasks and references."""
    _build("entries", dry_run=dry_run, as_json=as_json)


@app.command()
def thermo(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Judge every candidate that has an energy."""
    _build("thermo", dry_run=dry_run, as_json=as_json)


@app.command()
def summary(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Flatten stabilities for analysts."""
    _build("summary", dry_run=dry_run, as_json=as_json)

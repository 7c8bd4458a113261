"""hts build: run the builders over everything in the database."""

from __future__ import annotations

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.settings import get_settings

app = typer.Typer(help="Builders: entries, thermo, summary.", no_args_is_help=True)

_COUNTS = ("read", "written", "failed", "unchanged", "removed", "seconds")


def _build(only: str | None, *, dry_run: bool, as_json: bool) -> None:
    from hts_battery.campaign.building import build, stored_campaigns

    with opened_stores() as stores:
        campaigns = stored_campaigns(stores)
        if dry_run:
            names = ", ".join(spec.name for spec in campaigns) or "none"
            formatting.line(f"would rebuild what has changed of the campaigns: {names}")
            return
        total: dict[str, dict[str, float]] = {}
        for spec in campaigns:
            reports = build(
                spec, stores, temperatures=get_settings().temperatures, only=only
            )
            for name, report in reports.items():
                counts = total.setdefault(name, dict.fromkeys(_COUNTS, 0))
                for field in _COUNTS:
                    counts[field] += getattr(report, field)
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
def build_all(dry_run: DryRun = False, as_json: AsJson = False) -> None:
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

"""hts query: what is stable, why, and as a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import opened_stores
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import CompositionError, ConfigurationError
from hts_battery.settings import get_settings

app = typer.Typer(help="Ask the database.", no_args_is_help=True)

Campaign = Annotated[str | None, typer.Option(help="Only this campaign.")]


class ExportFormat(StrEnum):
    """Formats of an export."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@app.command()
def stable(
    temperature: Annotated[
        float | None,
        typer.Option(help="In K, one that the builders used; the highest if none."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Largest E_hull(T) in meV/atom.")
    ] = 0.0,
    campaign: Campaign = None,
    limit: Annotated[int, typer.Option(min=0, help="How many; 0 is all.")] = 0,
    as_json: AsJson = False,
) -> None:
    """List candidates at or below the hull at a temperature."""
    from hts_battery.query import ScreeningDatabase

    kelvin = max(get_settings().temperatures) if temperature is None else temperature
    with opened_stores() as stores:
        screening = ScreeningDatabase(stores)
        found = list(
            screening.stable(
                temperature=kelvin,
                threshold=threshold / 1000,
                campaign=campaign,
                limit=limit,
            )
        )
        judged = next(screening.find(limit=1), None) is not None
        if judged and not screening.has_temperature(kelvin):
            raise ConfigurationError(
                f"no builder has judged anything at {kelvin:g} K; name temperatures "
                "in the campaign or in HTS_BATTERY_TEMPERATURES, then `hts build all`"
            )
    if as_json:
        for summary in found:
            formatting.json_line(summary)
        return
    formatting.ranking(
        found,
        temperature=kelvin,
        title=f"{len(found)} with E_hull({kelvin:g} K) <= {threshold:g} meV/atom",
    )


@app.command()
def show(
    candidate_id: Annotated[str, typer.Argument(metavar="ID", help="Candidate id.")],
    as_json: AsJson = False,
) -> None:
    """Show one candidate with every term, once per campaign that screened it."""
    from hts_battery.query import ScreeningDatabase

    with opened_stores() as stores:
        found = ScreeningDatabase(stores).get(candidate_id)
    if not found:
        raise CompositionError(
            f"no candidate {candidate_id} has been judged; `hts campaign status SPEC` "
            "says where it stands"
        )
    for summary in found:
        if as_json:
            formatting.json_line(summary)
        else:
            formatting.fields(summary)


@app.command()
def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File; printed if none.")
    ] = None,
    file_format: Annotated[
        ExportFormat, typer.Option("--format", help="Format of the file.")
    ] = ExportFormat.CSV,
    campaign: Campaign = None,
    dry_run: DryRun = False,
) -> None:
    """Export summaries as a table, one row each, energies in eV/atom."""
    from hts_battery.query import ScreeningDatabase
    from hts_battery.query.exports import export_text, write_export

    criteria = {} if campaign is None else {"campaign": campaign}
    with opened_stores() as stores:
        summaries = list(ScreeningDatabase(stores).find(criteria))
    if dry_run:
        place = "printed" if output is None else f"written to {output}"
        formatting.line(f"{len(summaries)} summaries would be {place}")
    elif output is None:
        formatting.raw(export_text(summaries, file_format))
    else:
        write_export(summaries, output, file_format)
        formatting.line(f"{len(summaries)} summaries written to {output}")

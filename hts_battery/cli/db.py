"""hts db: start, stop and see the embedded database."""

from __future__ import annotations

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError
from hts_battery.settings import get_settings

app = typer.Typer(help="The embedded database server.", no_args_is_help=True)


def _refuse_with_uri() -> None:
    if get_settings().mongo_uri is not None:
        raise ConfigurationError(
            "HTS_BATTERY_MONGO_URI names a server that is not ours to start or stop"
        )


def _show(status: object, *, as_json: bool) -> None:
    values = status.model_dump(mode="json")  # type: ignore[attr-defined]
    if as_json:
        formatting.json_line(values)
    else:
        formatting.fields(values)


@app.command()
def up(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Start the embedded server and keep it until `hts db down`."""
    from hts_battery.connections import embedded

    _refuse_with_uri()
    act = embedded.status if dry_run else embedded.up
    _show(act(get_settings().data_dir), as_json=as_json)


@app.command()
def down(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Stop the embedded server."""
    from hts_battery.connections import embedded

    _refuse_with_uri()
    act = embedded.status if dry_run else embedded.down
    _show(act(get_settings().data_dir), as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say whether the embedded server runs, where, and where its data are."""
    from hts_battery.connections import embedded

    _show(embedded.status(get_settings().data_dir), as_json=as_json)

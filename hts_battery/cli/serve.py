"""hts serve: the dashboard, the JSON API and OPTIMADE, read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings
from hts_battery.errors import ConfigurationError

_PORT = 8050
_HIGHEST_PORT = 65535


Host = Annotated[
    str, typer.Option(help="Address to listen at; this machine only by default.")
]
Port = Annotated[int, typer.Option(min=1, max=_HIGHEST_PORT, help="TCP port.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the token that every request must carry; without it a new "
        "one is made and printed with the address."
    ),
]
WithoutToken = Annotated[
    bool,
    typer.Option(
        "--open",
        help="Ask for no token: whoever is on this machine reads everything. For "
        "checks and OPTIMADE clients; on this machine only.",
    ),
]
Reported = Annotated[
    Path | None,
    typer.Option(
        help="CSV file of compounds that were made (formula, structure_type, doi) for "
        "the pages; the package's own table if none."
    ),
]
PublicUrl = Annotated[
    str | None,
    typer.Option(help="Address under which a reverse proxy makes the server known."),
]


def serve(
    host: Host = "127.0.0.1",
    port: Port = _PORT,
    token_file: TokenFile = None,
    without_token: WithoutToken = False,
    public_url: PublicUrl = None,
    reported: Reported = None,
) -> None:
    """Serve the dashboard, the JSON API and OPTIMADE until Ctrl-C; only reads."""
    try:
        from hts_battery.dashboard.server import (
            ServerOptions,
            create_server,
            new_token,
            read_token,
        )
        from hts_battery.dashboard.server import serve as run
    except ModuleNotFoundError as err:
        raise ConfigurationError(
            f"{err.name} is not installed: pip install 'hts_battery[dashboard]'"
        ) from err
    from hts_battery.campaign.status import stored_statuses
    from hts_battery.compositions.reported import read_reported
    from hts_battery.connections.database.database import database
    from hts_battery.connections.database.stores import open_stores
    from hts_battery.connections.records.worker_controls import read_worker_controls

    token = None
    if not without_token:
        token = new_token() if token_file is None else read_token(token_file)
    known = None if reported is None else read_reported(reported)
    options = ServerOptions(host, port, token, _checked(public_url), known)
    if without_token and (token_file is not None or not options.is_local):
        raise ConfigurationError(
            "--open is for this machine alone: leave out --host, --public-url and "
            "--token-file, or --open"
        )
    settings = get_settings()
    with (
        database(
            settings.mongo_uri, name=settings.database, data_dir=settings.data_dir
        ) as opened,
        open_stores(opened) as stores,
    ):
        app = create_server(
            opened,
            options,
            lambda: stored_statuses(stores, execution_folder=settings.execution_folder),
            lambda: read_worker_controls(stores),
        )
        shown = "" if without_token or token_file is not None else f"?token={token}"
        formatting.line(
            f"dashboard {options.address}{shown}   JSON "
            "/api/v1/openapi.json   OPTIMADE /optimade/v1/info   Ctrl-C ends it"
        )
        run(app, options)


def _checked(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError("--public-url begins with http:// or https://")
    return url

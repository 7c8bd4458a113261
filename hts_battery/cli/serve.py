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


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; this machine only by default.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=1, max=_HIGHEST_PORT, help="TCP port.")
    ] = _PORT,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with a token that every request must carry."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            help="Address under which a reverse proxy makes the server known."
        ),
    ] = None,
) -> None:
    """Serve the dashboard, the JSON API and OPTIMADE until Ctrl-C; only reads."""
    try:
        from hts_battery.dashboard.server import (
            ServerOptions,
            create_server,
            read_token,
        )
        from hts_battery.dashboard.server import serve as run
    except ModuleNotFoundError as err:
        raise ConfigurationError(
            f"{err.name} is not installed: pip install 'hts_battery[dashboard]'"
        ) from err
    from hts_battery.campaign.status import stored_statuses
    from hts_battery.connections.database.database import database
    from hts_battery.connections.database.stores import open_stores

    token = None if token_file is None else read_token(token_file)
    options = ServerOptions(host, port, token, _checked(public_url))
    if not options.is_local and token is None:
        formatting.note(
            f"warning: {host} may be reached from other machines, and no --token-file "
            "is given: whoever reaches it reads everything"
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
        )
        shown = f"[{host}]" if ":" in host else host
        formatting.line(
            f"dashboard http://{shown}:{port}/   JSON /api/v1/openapi.json   "
            "OPTIMADE /optimade/v1/info   Ctrl-C ends it"
        )
        run(app, options)


def _checked(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError("--public-url begins with http:// or https://")
    return url

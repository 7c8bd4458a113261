"""Running the server until it is told to end."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import uvicorn

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.dashboard.server import ServerOptions

SHORTEST_TOKEN = 16
_MOST_CONNECTIONS = 128
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_token(path: Path) -> str:
    """
    Read the token that requests must carry.

    Parameters
    ----------
    path
        A file that its owner alone can read; one line.

    Raises
    ------
    ConfigurationError
        If it cannot be read, others can read it, or it is too short to be a secret.
    """
    try:
        mode = path.stat().st_mode
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigurationError(f"token file {path}: {type(err).__name__}") from None
    if mode & _OTHERS:
        raise ConfigurationError(
            f"token file {path} can be read by others: chmod 600 {path}"
        )
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        raise ConfigurationError(
            f"token file {path}: one line of {SHORTEST_TOKEN} or more printable ASCII "
            "characters, for example from: openssl rand -hex 32"
        )
    return token


def serve(app: ASGIApp, options: ServerOptions) -> None:
    """
    Answer requests until the process is interrupted.

    Parameters
    ----------
    app
        The whole server.
    options
        Where it listens.
    """
    server_of(app, options).run()


def server_of(app: ASGIApp, options: ServerOptions) -> uvicorn.Server:
    """
    Make the HTTP server; addresses that are asked for are not logged.

    Parameters
    ----------
    app
        The whole server.
    options
        Where it listens.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=15,
            ws="none",
        )
    )

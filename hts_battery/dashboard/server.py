"""The server: protection around the dashboard, the JSON API and OPTIMADE."""

from __future__ import annotations

import logging
import secrets
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response

from hts_battery.builders.registry import collections_of
from hts_battery.connections.database.bounded_reader import BoundedReader, readable
from hts_battery.dashboard.api import api_app
from hts_battery.dashboard.app import dashboard_app
from hts_battery.dashboard.callbacks import CallbackCheck
from hts_battery.dashboard.campaign_states import CampaignStates
from hts_battery.dashboard.latest_build import LatestBuildCache
from hts_battery.dashboard.metrics import CONTENT_TYPE, exposition
from hts_battery.dashboard.optimade_endpoint import optimade_app
from hts_battery.dashboard.protection import (
    Protection,
    WaitingConnections,
    content_policy,
    limited_protocol,
)
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.compositions.reported import ReportedCompound
    from hts_battery.connections.database.database import Database
    from hts_battery.dashboard.campaign_states import ReadStatuses
    from hts_battery.schemas.worker_control import WorkerControl

SHORTEST_TOKEN = 16
_TOKEN_BYTES = 32
_MOST_CONNECTIONS = 192
"""Those that wait, at most 64, and requests that are being answered."""
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_THIS_MACHINE = frozenset(("localhost", "127.0.0.1", "::1"))
LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
READABLE = readable(collections_of("writes"))
"""Collections that the dashboard reads; it cannot reach any other."""
_READING_SECONDS = 600.0


def new_token() -> str:
    """Return a token that nobody has seen."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def read_token(path: Path) -> str:
    """
    Read the token that requests must carry.

    ``path``: a file that its owner alone can read; one line. Raises ConfigurationError
    if it cannot be read, others can read it, or it is too short to be a secret.
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
    """Answer requests until the process is interrupted."""
    server_of(app, options).run()


def server_of(
    app: ASGIApp, options: ServerOptions, waiting: WaitingConnections | None = None
) -> uvicorn.Server:
    """
    Make the HTTP server; addresses that are asked for are not logged.

    ``waiting``: how long and how many connections may wait without a whole request.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=limited_protocol(waiting or WaitingConnections()),
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


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerOptions:
    """How the server is reached, and by whom."""

    host: str = "127.0.0.1"
    """Address it is bound to."""
    port: int = 8050
    token: str | None = field(default=None, repr=False)
    """What every request must carry; none asks for nothing, on this machine only."""
    public_url: str | None = None
    """Address under which a reverse proxy makes it known."""
    reported: tuple[ReportedCompound, ...] | None = None
    """Compounds that were made, for its pages; the package's own table if none."""

    @property
    def hosts(self) -> frozenset[str]:
        """Names by which it may be addressed."""
        named = {self.host.lower()}
        if self.public_url is not None:
            named.add(urlsplit(self.public_url).hostname or "")
        return LOOPBACK | named

    @property
    def base_url(self) -> str:
        """Address that answers name, without a slash at the end."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return (self.public_url or f"http://{shown}:{self.port}").rstrip("/")

    @property
    def address(self) -> str:
        """Address of the first page, without the token."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{shown}:{self.port}/"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        return self.public_url is None and self.host in _THIS_MACHINE

    @property
    def cookie(self) -> str:
        """Name of the cookie; browsers do not tell the ports of a host apart."""
        return f"hts_battery_{self.port}"


def create_server(
    database: Database,
    options: ServerOptions,
    read_statuses: ReadStatuses | None = None,
    read_workers: Callable[[], Iterable[WorkerControl]] | None = None,
) -> ASGIApp:
    """
    Make the whole server on an open database.

    Parameters
    ----------
    database
        Where to read; its user needs no right to write.
    options
        How the server is reached.
    read_statuses
        Reads where every campaign stands; the pages themselves cannot read what that
        is made from.
    read_workers
        Reads how workers may be used, likewise.

    Returns
    -------
    ASGI application
    """
    reader = BoundedReader(database, READABLE)
    cache = LatestBuildCache(
        BoundedReader(database, READABLE, seconds=_READING_SECONDS, concurrency=1)
    )
    optimade = optimade_app(
        reader,
        cache,
        base_url=f"{options.base_url}/optimade",
    )
    root = FastAPI(title="hts_battery", docs_url=None, redoc_url=None, openapi_url=None)

    @root.get("/optimade")
    @root.get("/optimade/")
    @root.get("/optimade/v1")
    @root.get("/optimade/v1/")
    def landing() -> RedirectResponse:
        """Lead to the description: the library's own page loads from elsewhere."""
        return RedirectResponse(f"{options.base_url}/optimade/v1/info")

    states = CampaignStates(read_statuses)

    @root.get("/metrics")
    def metrics() -> Response:
        """Say where campaigns and workers stand, as Prometheus reads it."""
        text = exposition(
            list(states.get().values()),
            read_workers() if read_workers else (),
            now=datetime.now(UTC),
        )
        return Response(text, media_type=CONTENT_TYPE)

    root.mount("/api/v1", api_app(reader, cache, states))
    root.mount("/optimade", optimade)
    pages = dashboard_app(reader, cache, states, options.reported)
    root.mount("/", pages.asgi)
    root.add_middleware(GZipMiddleware, minimum_size=1000)
    return Protection(
        root,
        hosts=options.hosts,
        policy=content_policy(pages.dash.csp_hashes()),
        token=options.token,
        cookie=options.cookie,
        is_encrypted=(options.public_url or "").startswith("https:"),
        checked_callback=CallbackCheck(pages.dash.callback_map),
    )

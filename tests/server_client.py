"""Calls a server in this process, without a socket."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class ServerClient:
    """
    Ask a server one thing after another.

    Parameters
    ----------
    app
        The server.
    base_url
        Below which paths are asked for.
    headers
        Sent with every request.
    follow_redirects
        Whether it goes where an answer leads.
    """

    def __init__(
        self,
        app: ASGIApp,
        base_url: str,
        headers: dict[str, str] | None = None,
        *,
        follow_redirects: bool = True,
    ) -> None:
        self._app = app
        self._options: dict[str, Any] = {
            "base_url": base_url,
            "headers": headers,
            "follow_redirects": follow_redirects,
            "timeout": 60,
        }

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """Send one request; an error of the server is raised here."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, **self._options) as one:
                return await one.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - likewise
        """Send a GET."""
        return self.request("GET", path, **options)

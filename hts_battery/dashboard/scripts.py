"""The scripts of Dash and its components, compressed once and not at every request."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import pkgutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dash.fingerprint import check_fingerprint
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

SUITES = "/_dash-component-suites/"
_LEVEL = 6
_YEAR = 31_536_000


@dataclass(frozen=True)
class ScriptFiles:
    """
    Answers for the files of components, and hands everything else on.

    Parameters
    ----------
    app
        Dash's own server.
    registered
        Package → files that pages may ask for.
    """

    app: ASGIApp
    registered: Mapping[str, Collection[str]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if not path.startswith(SUITES):
            await self.app(scope, receive, send)
            return
        package, _, rest = path.removeprefix(SUITES).partition("/")
        file, is_named_by_content = check_fingerprint(rest)
        if file not in self.registered.get(package, ()):
            # Dash takes such an address for an error of its own.
            await JSONResponse({"error": "Not Found"}, 404)(scope, receive, send)
            return
        accepted = Headers(scope=scope).get("accept-encoding", "")
        if not is_named_by_content or "gzip" not in accepted:
            await self.app(scope, receive, send)
            return
        # Beside the other requests of the same page, of which there are a dozen.
        content = await asyncio.to_thread(compressed, package, file)
        answer = Response(
            content,
            media_type=mimetypes.guess_type(file)[0],
            headers={
                "Content-Encoding": "gzip",
                "Cache-Control": f"public, max-age={_YEAR}, immutable",
                "Vary": "Accept-Encoding",
            },
        )
        await answer(scope, receive, send)


@cache
def compressed(package: str, file: str) -> bytes:
    """
    Read a file of an installed package, compressed.

    Parameters
    ----------
    package
        Name by which it is imported.
    file
        Path inside it.
    """
    return gzip.compress(pkgutil.get_data(package, file) or b"", _LEVEL)

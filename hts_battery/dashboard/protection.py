"""Everything that stands before the server's rooms: who may ask, what, and headers."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLBACK_PATH = "/_dash-update-component"
"""The one path that takes a POST: the dashboard asks for a figure with it."""

LONGEST_TARGET = 8192
LARGEST_BODY = 65_536

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_DROPPED = ("access-control-allow-origin", "server")
"""The library lets every web page read the data; ours may be for one group only."""


def content_policy(script_hashes: Iterable[str] = ()) -> str:
    """Write the policy by which a browser loads nothing from elsewhere."""
    scripts = " ".join(["'self'", *script_hashes])
    return (
        f"default-src 'self'; script-src {scripts}; "
        # The grid and the figures write style sheets of their own.
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _nothing(_body: bytes) -> None:
    """Accept no POST."""


@dataclass(frozen=True)
class Protection:
    """
    The outermost application: refuses, and marks what goes out.

    ``app``: what is protected. ``hosts``: names by which the server may be addressed,
    without port; a page elsewhere cannot reach it under a name of its own. ``policy``:
    Content-Security-Policy of every answer. ``token``: what every request must carry,
    as ``Authorization: Bearer`` or as the password of any user; nothing is asked for if
    none. ``checked_callback``: makes of the body of a POST what the dashboard would
    have sent; none if it could not have.
    """

    app: ASGIApp
    hosts: frozenset[str]
    policy: str
    token: str | None = field(default=None, repr=False)
    checked_callback: Callable[[bytes], bytes | None] = field(default=_nothing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        marked = self._marking(send)
        refusal = self._refusal(scope)
        if refusal is None and scope["method"] == "POST":
            body = await _read_body(receive)
            checked = self.checked_callback(body)
            if len(body) > LARGEST_BODY:
                refusal = _refuse(413, f"a body may have {LARGEST_BODY} bytes")
            elif checked is None:
                refusal = _refuse(400, "not a request of the dashboard's own pages")
            else:
                scope = {**scope, "headers": _headers_of(scope, checked)}
                receive = _replay(checked, receive)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        """Say no, where it can be said without reading a body."""
        headers = Headers(scope=scope)
        if _host_name(headers.get("host", "")) not in self.hosts:
            return _refuse(400, "this server is not known by that name")
        if self.token is not None and not _carries(headers, self.token):
            return _refuse(
                401,
                "a token is needed: Authorization: Bearer TOKEN, or as a password",
                {"WWW-Authenticate": 'Basic realm="hts_battery", charset="UTF-8"'},
            )
        target = len(scope["raw_path"]) + len(scope["query_string"])
        if target > LONGEST_TARGET:
            return _refuse(414, f"an address may have {LONGEST_TARGET} characters")
        posts = scope["path"] == CALLBACK_PATH
        if scope["method"] not in (("POST",) if posts else ("GET", "HEAD")):
            return _refuse(
                405,
                "this server only reads",
                {"Allow": "POST" if posts else "GET, HEAD"},
            )
        return None

    def _marking(self, send: Send) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in _DROPPED:
                    del headers[name]
                headers.update(_HEADERS)
                headers["Content-Security-Policy"] = self.policy
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        return marked


def _refuse(
    status: int, message: str, headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse({"error": message}, status, headers)


def _host_name(host: str) -> str:
    """Take the port away; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _carries(headers: Headers, token: str) -> bool:
    """Compare in constant time, whatever was sent."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    given = value.strip().encode()
    if kind.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            given = b""
    elif kind.lower() != "bearer":
        given = b""
    return hmac.compare_digest(given, token.encode())


async def _read_body(receive: Receive) -> bytes:
    """Read a body, but not more than a little over what is allowed."""
    body = b""
    more = True
    while more and len(body) <= LARGEST_BODY:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _headers_of(scope: Scope, body: bytes) -> list[tuple[bytes, bytes]]:
    """Say of a rebuilt body what it is."""
    told = (b"content-type", b"content-length")
    kept = [(name, value) for name, value in scope["headers"] if name not in told]
    length = str(len(body)).encode()
    return [*kept, (b"content-type", b"application/json"), (b"content-length", length)]


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand on a body that was read already."""
    waiting: list[dict[str, object]] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again

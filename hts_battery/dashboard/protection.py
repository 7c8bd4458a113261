"""Everything that stands before the server's rooms: who may ask, what, and headers."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLBACK_PATH = "/_dash-update-component"
"""The one path that takes a POST: the dashboard asks for a figure with it."""

LONGEST_TARGET = 8192
LARGEST_BODY = 65_536
_TOKEN = "token"  # noqa: S105 - the name of a parameter

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
    as ``Authorization: Bearer``, as the password of any user, or once as ``?token=``,
    which becomes a ``cookie``; nothing is asked for if none. ``is_encrypted``: whether
    browsers reach it by HTTPS only. ``checked_callback``: makes of the body of a POST
    what the dashboard would have sent; none if it could not have. ``body_seconds``: how
    long a body may take to arrive.
    """

    app: ASGIApp
    hosts: frozenset[str]
    policy: str
    token: str | None = field(default=None, repr=False)
    cookie: str = "hts_battery"
    is_encrypted: bool = False
    checked_callback: Callable[[bytes], bytes | None] = field(default=_nothing)
    body_seconds: float = 10.0

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
            body = await _read_body(receive, self.body_seconds)
            checked = None if body is None else self.checked_callback(body)
            if body is None:
                refusal = _refuse(
                    408,
                    f"the rest of the body did not come within {self.body_seconds} s",
                    {"Connection": "close"},
                )
            elif len(body) > LARGEST_BODY:
                refusal = _refuse(413, f"a body may have {LARGEST_BODY} bytes")
            elif checked is None:
                refusal = _refuse(400, "not a request of the dashboard's own pages")
            else:
                scope = {**scope, "headers": _headers_of(scope, checked)}
                receive = _replay(checked, receive)
        answer = self.app if refusal is None else refusal
        await answer(scope, receive, marked)

    def _refusal(self, scope: Scope) -> Response | None:
        """Say no, or lead elsewhere, where it can be said without reading a body."""
        headers = Headers(scope=scope)
        if _host_name(headers.get("host", "")) not in self.hosts:
            return _refuse(400, "this server is not known by that name")
        target = len(scope["raw_path"]) + len(scope["query_string"])
        if target > LONGEST_TARGET:
            return _refuse(414, f"an address may have {LONGEST_TARGET} characters")
        if self.token is not None and not self._carries(headers, self.token):
            if self._is_first_visit(scope, self.token):
                return self._welcome(scope, self.token)
            return _refuse(
                401,
                "a token is needed: open the address that hts serve printed, or send "
                "Authorization: Bearer TOKEN, or the token as a password",
                {"WWW-Authenticate": 'Basic realm="hts_battery", charset="UTF-8"'},
            )
        posts = scope["path"] == CALLBACK_PATH
        if scope["method"] not in (("POST",) if posts else ("GET", "HEAD")):
            return _refuse(
                405,
                "this server only reads",
                {"Allow": "POST" if posts else "GET, HEAD"},
            )
        return None

    def _carries(self, headers: Headers, token: str) -> bool:
        """Compare what a request carries in constant time, whatever was sent."""
        kind, _, value = headers.get("authorization", "").partition(" ")
        given = value.strip().encode()
        if kind.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                given = b""
        elif kind.lower() != "bearer":
            given = b""
        by_cookie = cookie_parser(headers.get("cookie", "")).get(self.cookie, "")
        by_header = hmac.compare_digest(given, token.encode())
        known = hmac.compare_digest(by_cookie.encode(), _of_cookie(token).encode())
        return by_header or known

    def _is_first_visit(self, scope: Scope, token: str) -> bool:
        """Say whether somebody opens the address that was printed."""
        given = [value for name, value in _query(scope) if name == _TOKEN]
        return (
            scope["method"] == "GET"
            and len(given) == 1
            and hmac.compare_digest(given[0].encode(), token.encode())
        )

    def _welcome(self, scope: Scope, token: str) -> Response:
        """Lead to the same address without the token, and give a cookie for it."""
        # Two slashes at the beginning would be the name of another server.
        path = "/" + scope["raw_path"].decode("latin-1").lstrip("/\\")
        rest = urlencode([one for one in _query(scope) if one[0] != _TOKEN])
        answer = RedirectResponse(f"{path}?{rest}" if rest else path, 303)
        answer.set_cookie(
            self.cookie,
            _of_cookie(token),
            httponly=True,
            samesite="strict",
            secure=self.is_encrypted,
        )
        return answer

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


def _query(scope: Scope) -> list[tuple[str, str]]:
    """Read what stands behind the question mark."""
    text = scope["query_string"].decode("latin-1")
    return parse_qsl(text, keep_blank_values=True)


def _of_cookie(token: str) -> str:
    """Return what stands in the place of the token where a browser keeps it."""
    return hmac.new(token.encode(), b"cookie", "sha256").hexdigest()


async def _read_body(receive: Receive, seconds: float) -> bytes | None:
    """Read a body, a little over what is allowed at most; none if it does not come."""
    body = b""
    more = True
    try:
        async with asyncio.timeout(seconds):
            while more and len(body) <= LARGEST_BODY:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
    except TimeoutError:
        return None
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


_LARGEST_HEAD = 65_536


@dataclass
class WaitingConnections:
    """
    The connections of one server on which no request is being answered.

    ``seconds``: how long a request may take to arrive. ``most``: how many may wait.
    """

    seconds: float = 15.0
    most: int = 64
    _timers: dict[Any, asyncio.TimerHandle] = field(default_factory=dict)
    _heard: dict[Any, int] = field(default_factory=dict)

    def begin(self, connection: Any) -> None:  # noqa: ANN401 - uvicorn's, of two kinds
        """Let a connection wait for its next request; the oldest makes room for it."""
        self.end(connection)
        while len(self._timers) >= self.most:
            self.close(next(iter(self._timers)))
        timer = connection.loop.call_later(self.seconds, self.close, connection)
        self._timers[connection], self._heard[connection] = timer, 0

    def end(self, connection: Any) -> None:  # noqa: ANN401 - likewise
        """Forget a connection whose request has come, or that is gone."""
        if (timer := self._timers.pop(connection, None)) is not None:
            timer.cancel()
        self._heard.pop(connection, None)

    def heard(self, connection: Any, count: int) -> None:  # noqa: ANN401 - likewise
        """Count what came of a request that is not whole yet."""
        if connection in self._heard:
            self._heard[connection] += count
            if self._heard[connection] > _LARGEST_HEAD:
                self.close(connection)

    def close(self, connection: Any) -> None:  # noqa: ANN401 - likewise
        """Close a connection at once; there is nobody to whom anything is owed."""
        self.end(connection)
        connection.transport.abort()

    def __len__(self) -> int:
        return len(self._timers)


def limited_protocol(waiting: WaitingConnections) -> type[asyncio.Protocol]:
    """Make uvicorn's protocol keep account of the connections that wait."""

    class Limited(AutoHTTPProtocol):  # type: ignore[misc,valid-type] # chosen when imported
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            waiting.begin(self)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.end(self)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            waiting.heard(self, len(data))
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                waiting.end(self)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            answered = self.cycle is None or self.cycle.response_complete
            if answered and not self.transport.is_closing():
                waiting.begin(self)

    return Limited

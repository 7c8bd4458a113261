"""
Connections that ask for nothing: bounded in time, number and bytes.

An HTTP server waits for the rest of a request for ever, and counts who sends half of
one as somebody who is served: a hundred such connections lock everybody else out. Here
a connection has some seconds for each whole request; of many that wait, the one that
has waited longest is closed for the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

if TYPE_CHECKING:
    import asyncio

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

"""Messages really sent: to a server on loopback, and to one that is not there."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from hts_battery.connections.notifications import check_urls, notify
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.alert import Alert, AlertKind

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("apprise", reason="the extra notify is not installed")

# A module of apprise imports what Python 3.13 no longer has, where it is there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

ALERT = Alert(kind=AlertKind.TEST, title="a title", body="a body")


class _Receiver(BaseHTTPRequestHandler):
    received: list[dict[str, Any]]

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.received.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


@contextmanager
def receiver() -> Iterator[tuple[SecretStr, list[dict[str, Any]]]]:
    """Listen on loopback; yield the address and what arrives."""
    found: list[dict[str, Any]] = []
    handler = type("Receiver", (_Receiver,), {"received": found})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield SecretStr(f"json://127.0.0.1:{server.server_port}/secret"), found
        server.shutdown()
        thread.join()


def test_a_message_arrives() -> None:
    with receiver() as (url, found):
        assert notify([ALERT], [url]) == 0
    assert [(one["title"], one["message"]) for one in found] == [("a title", "a body")]


def test_an_address_that_is_away_stops_nothing_and_is_not_printed(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiver() as (url, _):
        away = url
    with receiver() as (url, found), caplog.at_level(logging.INFO):
        assert notify([ALERT, ALERT], [away, url]) == 2
    assert len(found) == 2
    said = caplog.text + "".join(capfd.readouterr())
    assert "2 of 2 messages could not be sent to address 1" in said
    assert "secret" not in said
    (warning,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert warning.name == "hts_battery.connections.notifications"


def test_without_messages_or_addresses_nothing_is_looked_at() -> None:
    assert notify([], [SecretStr("nonsense")]) == 0
    assert notify([ALERT], []) == 0


def test_an_address_that_is_none_is_refused_and_not_printed() -> None:
    with pytest.raises(ConfigurationError, match="address 1") as caught:
        check_urls([SecretStr("nonsense-with-token")])
    assert "token" not in str(caught.value)

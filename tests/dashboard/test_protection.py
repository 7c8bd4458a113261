"""Who is let in, what may be asked, and what every answer carries."""

from __future__ import annotations

import base64
import json
import logging
import re
import socket
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
import pytest

pytest.importorskip("dash", reason="the extra 'dashboard' is not installed")

from server_client import ServerClient

from hts_battery.connections.database.bounded_reader import BoundedReader
from hts_battery.dashboard.half_sent import WaitingConnections
from hts_battery.dashboard.protection import CALLBACK_PATH, LARGEST_BODY, Protection
from hts_battery.dashboard.server import (
    READABLE,
    ServerOptions,
    create_server,
    read_token,
    server_of,
)
from hts_battery.errors import ConfigurationError, QueryLimitError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

BASE = "http://127.0.0.1"
TOKEN = "0123456789abcdef-secret"  # noqa: S105 - nobody else's
HEALTH = "/api/v1/health"
PAGES = (
    *("/", "/stability", "/candidates", "/_dash-layout", "/_dash-dependencies"),
    *(HEALTH, "/api/v1/openapi.json", "/api/v1/campaigns", "/optimade/v1/info"),
    *("/optimade/v1/structures?page_limit=1", "/nothing"),
)


@pytest.fixture(scope="module")
def client(server: ASGIApp) -> ServerClient:
    return ServerClient(server, BASE)


@pytest.fixture(scope="module")
def guarded(shown: Stores) -> ASGIApp:
    return create_server(shown.database, ServerOptions(token=TOKEN))


@pytest.mark.parametrize(
    "path", ["/", HEALTH, "/optimade/v1/info", "/nothing", "/api/x"]
)
def test_every_answer_carries_the_headers(client: ServerClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_the_page_loads_nothing_from_elsewhere(client: ServerClient) -> None:
    text = client.get("/").text
    assert "<script" in text
    assert "http://" not in text
    assert "https://" not in text


def test_scripts_are_compressed_and_kept(client: ServerClient) -> None:
    sent = {
        path: re.findall(
            r'src="(/_dash-component-suites/[^"]+)"', client.get(path).text
        )
        for path in ("/", "/candidates")
    }
    scripts = sent["/candidates"]
    grid = [path for path in scripts if "dash_ag_grid" in path]
    assert len(grid) == 1
    assert sent["/"] == [path for path in scripts if path not in grid]
    for path in scripts:
        packed = client.get(path, headers={"accept-encoding": "gzip"})
        plain = client.get(path, headers={"accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["cache-control"].startswith("public")
        assert packed.text == plain.text
    for path in ("dash/../os.py", "os/path.py", "dash_ag_grid/nothing.js", "x", ""):
        assert client.get(f"/_dash-component-suites/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/stability", "/candidates", "/candidate/abc"])
def test_pages_have_addresses(client: ServerClient, path: str) -> None:
    assert "_dash-renderer" in client.get(path).text or client.get(path).is_success


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", HEALTH, "/optimade/v1/structures"])
def test_nothing_but_reading_is_allowed(
    client: ServerClient, method: str, path: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


def test_another_name_is_refused(client: ServerClient) -> None:
    response = client.get(HEALTH, headers={"host": "evil.example"})
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        ("Basic !!!", 401),
        (f"Digest {TOKEN}", 401),
        (f"Bearer {TOKEN}", 200),
        ("Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode(), 200),
        ("Basic " + base64.b64encode(b"me:wrong").decode(), 401),
    ],
)
def test_a_token_is_asked_for(guarded: ASGIApp, sent: str | None, status: int) -> None:
    client = ServerClient(guarded, BASE)
    for path in (HEALTH, "/", "/optimade/v1/info", "/_dash-layout"):
        headers = {} if sent is None else {"authorization": sent}
        response = client.get(path, headers=headers)
        assert response.status_code == status
        assert TOKEN not in response.text
        if status == 401:
            assert response.headers["www-authenticate"].startswith("Basic")


def test_the_printed_address_becomes_a_cookie(guarded: ASGIApp) -> None:
    client = ServerClient(guarded, BASE, follow_redirects=False)
    first = client.get(f"/stability?campaign=a%26b&token={TOKEN}")
    assert first.status_code == 303
    assert first.headers["location"] == "/stability?campaign=a%26b"
    cookie = first.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    kept = {"cookie": cookie.partition(";")[0]}
    for path in (HEALTH, "/", "/stability?campaign=a%26b", "/_dash-layout"):
        assert client.get(path, headers=kept).status_code == 200
    for wrong in (
        f"{kept['cookie']}0",
        f"hts_battery_8050={TOKEN}",
        "hts_battery_8050=",
    ):
        assert client.get(HEALTH, headers={"cookie": wrong}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/?token=",
        "/?token=wrong",
        f"/?token={TOKEN}x",
        f"/?token=a&token={TOKEN}",
        f"/?Token={TOKEN}",
    ],
)
def test_another_address_is_no_way_in(guarded: ASGIApp, path: str) -> None:
    client = ServerClient(guarded, BASE, follow_redirects=False)
    assert client.get(path).status_code == 401


def test_the_printed_address_leads_nowhere_else(guarded: ASGIApp) -> None:
    client = ServerClient(guarded, BASE, follow_redirects=False)
    for path in ("//evil.example/", "/\\evil.example/", "///evil.example"):
        answer = client.get(f"{BASE}{path}?token={TOKEN}")
        assert answer.headers["location"].startswith("/")
        assert not answer.headers["location"].startswith(("//", "/\\"))
    assert client.request("POST", f"/?token={TOKEN}").status_code == 401


def test_long_requests_are_refused(client: ServerClient) -> None:
    assert client.get("/?" + "a" * 9000).status_code == 414
    body = b"[" * (LARGEST_BODY + 1)
    assert client.request("POST", CALLBACK_PATH, content=body).status_code == 413


def overview_body(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    body = {
        "output": "overview.children",
        "outputs": {"id": "overview", "property": "children"},
        "inputs": [
            {"id": "campaign", "property": "value", "value": "*"},
            {"id": "temperature", "property": "value", "value": 1473},
        ],
        "changedPropIds": [],
    }
    return body | changes


def test_a_page_is_filled(client: ServerClient) -> None:
    response = client.request("POST", CALLBACK_PATH, json=overview_body())
    assert response.status_code == 200
    assert "candidates" in response.text


@pytest.mark.parametrize(
    "value", [None, "hot", -1, 1e9, [1], {"$gt": 1}, "1473; drop", True]
)
def test_values_of_another_kind_change_nothing(
    client: ServerClient, value: object
) -> None:
    inputs = overview_body()["inputs"]
    inputs[1]["value"] = value
    response = client.request("POST", CALLBACK_PATH, json=overview_body(inputs=inputs))
    assert response.status_code in ((200,) if value is True else (204,))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 60000,
        json.dumps(overview_body(output="other.children")).encode(),
        json.dumps(overview_body(inputs=[])).encode(),
        json.dumps(overview_body(inputs=[{"id": "x", "property": "y"}] * 2)).encode(),
        json.dumps(overview_body(inputs="all")).encode(),
    ],
)
def test_bodies_that_no_page_sends_are_refused(
    client: ServerClient, body: bytes
) -> None:
    response = client.request("POST", CALLBACK_PATH, content=body)
    assert response.status_code == 400
    assert "error" in response.json()


def test_a_token_file_must_be_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    file.chmod(0o600)
    assert read_token(file) == TOKEN
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("short", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="16 or more") as raised:
        read_token(file)
    assert "short" not in str(raised.value).replace(str(file), "")
    with pytest.raises(ConfigurationError, match="FileNotFoundError"):
        read_token(tmp_path / "none")


def test_a_token_is_in_no_representation() -> None:
    assert TOKEN not in repr(ServerOptions(token=TOKEN))


@contextmanager
def running(
    shown: Stores,
    options: ServerOptions,
    waiting: WaitingConnections,
    **changes: float,
) -> Iterator[int]:
    """Serve on a free port in another thread."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = replace(options, port=port)
    app = create_server(shown.database, options)
    assert isinstance(app, Protection)
    server = server_of(replace(app, **changes), options, waiting)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(60)


def test_half_sent_requests_keep_nobody_out(
    shown: Stores,
) -> None:
    waiting = WaitingConnections(seconds=3.0, most=64)
    with running(shown, ServerOptions(), waiting) as port:
        halves = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
        try:
            for number, half in enumerate(halves):
                with suppress(OSError):  # room was made for a later one
                    half.sendall(b"GET / HTTP/1.1\r\nHost: 127" if number % 3 else b"G")
            for _ in range(5):
                answer = httpx.get(f"http://127.0.0.1:{port}{HEALTH}", trust_env=False)
                assert answer.status_code == 200
            assert len(waiting) <= 64
            # Those that are left are closed, however slowly they go on.
            deadline = time.monotonic() + 30
            while len(waiting) and time.monotonic() < deadline:
                for half in halves:
                    with suppress(OSError):
                        half.sendall(b"a")
                time.sleep(0.2)
            assert len(waiting) == 0
        finally:
            for half in halves:
                half.close()


def test_half_a_body_and_an_endless_head_are_given_up(shown: Stores) -> None:
    waiting = WaitingConnections()
    with running(shown, ServerOptions(), waiting, body_seconds=0.5) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as half:
            head = f"POST {CALLBACK_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            half.sendall(f"{head}Content-Length: 100\r\n\r\n[".encode())
            assert half.recv(100).startswith(b"HTTP/1.1 408")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as endless:
            endless.sendall(b"GET / HTTP/1.1\r\n")
            for _ in range(100):
                with suppress(OSError):  # it is closed on the way
                    endless.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")
                time.sleep(0.005)
            with suppress(ConnectionResetError):
                assert endless.recv(100) == b""
        answer = httpx.get(f"http://127.0.0.1:{port}{HEALTH}", trust_env=False)
        assert answer.status_code == 200


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")
@pytest.mark.filterwarnings("ignore::optimade.warnings.OptimadeWarning")
@pytest.mark.filterwarnings("ignore::starlette.exceptions.StarletteDeprecationWarning")
def test_neither_logs_nor_pages_hold_secrets(
    shown: Stores, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ServerOptions(port=port, token=TOKEN)
    server = server_of(create_server(shown.database, options), options)
    thread = Thread(target=server.run, daemon=True)
    with caplog.at_level(logging.DEBUG):
        thread.start()
        while not server.started:
            time.sleep(0.05)
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            trust_env=False,
            timeout=60,
        ) as client:
            asked = (*PAGES, "/api/v1/summaries?filter=secret-filter")
            pages = [client.get(path).text for path in asked]
            refused = client.get("/", headers={"Authorization": "Bearer wrong-secret"})
            assert refused.status_code == 401
        server.should_exit = True
        thread.join(60)
    ours = [
        one for one in caplog.records if not one.name.startswith(("http", "pymongo"))
    ]
    logged = "\n".join(one.getMessage() for one in ours)
    logged += "".join(capfd.readouterr())
    address = shown.database.uri.partition("://")[2].partition("/")[0]
    for text in (TOKEN, "wrong-secret", "secret-filter"):
        assert text not in logged
    for page in pages:
        assert page
        assert TOKEN not in page
        assert address not in page


def test_other_collections_cannot_be_reached(shown: Stores) -> None:
    reader = BoundedReader(shown.database, READABLE)
    for name in ("locks", "blobs", "backlog", "fireworks", "launches", "system.users"):
        assert name not in READABLE
        with pytest.raises(StoreError, match="may not be read"):
            reader.find(name, {})
        with pytest.raises(StoreError, match="may not be read"):
            reader.count(name)


def test_a_query_that_takes_too_long_is_cut_off(shown: Stores) -> None:
    shown.tasks.collection.insert_many(
        [{"uuid": f"slow {n}", "index": 1, "text": "a" * 50} for n in range(3000)]
    )
    reader = BoundedReader(shown.database, READABLE, seconds=0.001)
    with pytest.raises(QueryLimitError, match="took more than"):
        reader.find("tasks", {"text": {"$regex": "a*a*b$"}})
    shown.tasks.collection.delete_many({"text": {"$exists": True}})


def test_readers_wait_for_their_turn_and_give_up(shown: Stores) -> None:
    reader = BoundedReader(shown.database, READABLE, concurrency=1, turn_seconds=0.01)
    with (
        reader._reading("summary"),  # noqa: SLF001 - holds the only turn
        pytest.raises(QueryLimitError, match="too many"),
    ):
        reader.count("summary")
    assert reader.count("summary") == 3

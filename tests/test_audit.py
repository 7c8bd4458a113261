"""The audit of make check: a finding fails, a service that is not there does not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("pip_audit", reason="pip-audit is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Audit = Callable[..., subprocess.CompletedProcess[str]]

AUDIT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"
ADVISORY = {
    "id": "PYSEC-0000-1",
    "summary": "invented",
    "affected": [
        {
            "package": {"name": "harmful", "ecosystem": "PyPI"},
            "ranges": [
                {
                    "type": "ECOSYSTEM",
                    "events": [{"introduced": "0"}, {"fixed": "2.0"}],
                }
            ],
        }
    ],
}


class Advisories(BaseHTTPRequestHandler):
    """Knows of one package that does harm; answers as OSV does."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        harmful = asked["package"]["name"] == "harmful"
        body = json.dumps({"vulns": [ADVISORY]} if harmful else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Advisories)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/query"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def audit(
    tmp_path: Path,
) -> Audit:
    def run(pins: str, address: str, *words: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "pins.txt"
        file.write_text(pins, encoding="utf-8")
        command = [sys.executable, str(AUDIT), "--requirement", str(file)]
        return subprocess.run(  # noqa: S603 - our own script
            [*command, "--service", address, *words],
            env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_finding_fails_and_names_the_package(audit: Audit, service: str) -> None:
    found = audit("harmless==1.0\nharmful==1.0\n", service)
    assert found.returncode == 1
    assert "PYSEC-0000-1" in found.stdout
    assert "harmful" in found.stdout


def test_without_a_finding_it_is_well(audit: Audit, service: str) -> None:
    found = audit("harmless==1.0\n", service)
    assert found.returncode == 0, found.stderr
    assert "No known vulnerabilities" in found.stderr


def test_a_service_that_is_not_there_is_said_in_one_line(
    audit: Audit,
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/query"
        found = audit("harmful==1.0\n", address)
        required = audit("harmful==1.0\n", address, "--required")
    assert required.returncode == 1
    assert required.stdout == found.stdout
    assert found.returncode == 0
    assert "NOT audited" in found.stdout
    assert len(found.stdout.splitlines()) == 1
    assert found.stderr == ""


def test_pins_that_cannot_be_read_fail(audit: Audit, service: str) -> None:
    assert audit("harmless>=1.0\n", service).returncode != 0

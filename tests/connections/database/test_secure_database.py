"""A database with TLS and passwords, through the files of a rendered worker."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from jobflow.settings import JobflowSettings
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from hts_battery.connections.database.database import database
from hts_battery.connections.launchpad.launchpad import ExactLaunchPad, open_launchpad
from hts_battery.connections.workers.configs import render_worker
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mongo

TEMPLATES = Path(__file__).resolve().parents[3] / "launchpad_configs"
NAME, PASSWORD = "worker", "p:ss/w@rd %"
SERVER = Path(sys.executable).parent / "secantusd-py"
_WAIT_SECONDS = 60


def start(folder: Path, *options: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start a server on a free port."""
    log = folder / f"server-{len(options)}.log"
    (folder / "secantusd.toml").touch()
    with log.open("wb") as file:
        server = subprocess.Popen(  # noqa: S603 - our own words
            [
                *(str(SERVER), "--config", str(folder / "secantusd.toml")),
                *("--host", "127.0.0.1", "--port", "0"),
                *("--storage-path", str(folder / "database"), "--standalone"),
                *options,
            ],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()):
            return server, int(found[1])
        time.sleep(0.05)
    server.kill()
    raise RuntimeError(log.read_text())


@pytest.fixture(scope="module")
def secure_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[int, Path]]:
    """Return port and CA of a server that asks for TLS and a password."""
    openssl = shutil.which("openssl")
    if openssl is None or not SERVER.is_file():
        pytest.skip("openssl or the embedded server is not installed")
    folder = tmp_path_factory.mktemp("secure")
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subprocess.run(  # noqa: S603 - our own words
        [
            *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    server, port = start(folder)  # open, to make the first user
    try:
        with MongoClient[dict[str, Any]](f"mongodb://127.0.0.1:{port}") as client:
            client.admin.command(
                "createUser",
                NAME,
                pwd=PASSWORD,
                roles=[{"role": "root", "db": "admin"}],
            )
    finally:
        server.terminate()
        server.wait(_WAIT_SECONDS)
    server, port = start(
        folder,
        *("--auth", "--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
    )
    try:
        yield port, certificate
    finally:
        server.terminate()
        server.wait(_WAIT_SECONDS)


def uri(port: int, ca: Path | None, password: str = PASSWORD) -> str:
    """Write the address as launchpad_configs/README.md shows it."""
    user = f"{NAME}:{quote(password, safe='')}@" if password else ""
    tls = f"tls=true&tlsCAFile={ca}&" if ca else ""
    return (
        f"mongodb://{user}127.0.0.1:{port}/?{tls}authSource=admin"
        "&authMechanism=SCRAM-SHA-256&serverSelectionTimeoutMS=3000"
    )


def rendered(folder: Path, address: str) -> Path:
    given = {
        "HTS_BATTERY_MONGO_URI": address,
        "HTS_BATTERY_DATABASE": "hts_secure",
        "HTS_BATTERY_EXECUTION_RECORD": str(folder / "executions"),
        "HTS_PYTHON": sys.executable,
    }
    render_worker(TEMPLATES, "local", folder / "config", given)
    return folder / "config"


def test_worker_reaches_a_database_with_tls_and_password(
    secure_server: tuple[int, Path], tmp_path: Path
) -> None:
    config = rendered(tmp_path, uri(*secure_server))
    with (
        database(uri(*secure_server), name="hts_secure", data_dir=tmp_path) as opened,
        open_launchpad(opened),
    ):
        launchpad = ExactLaunchPad.from_file(str(config / "my_launchpad.yaml"))
        try:
            assert launchpad.get_new_fw_id() == 1
            assert launchpad.get_fw_ids() == []
        finally:
            launchpad.connection.close()
        store = JobflowSettings(CONFIG_FILE=str(config / "jobflow.yaml")).JOB_STORE
        store.connect()
        store.update({"uuid": "a", "index": 1, "output": {"large": [1.0]}})
        try:
            assert store.get_output("a") == {"large": [1.0]}
        finally:
            store.close()


@pytest.mark.parametrize("wrong", ["password", "no password", "no TLS", "CA"])
def test_wrong_credentials_are_refused_and_not_repeated(
    wrong: str, secure_server: tuple[int, Path], tmp_path: Path
) -> None:
    port, ca = secure_server
    address = {
        "password": uri(port, ca, "other"),
        "no password": uri(port, ca, "").replace("&authMechanism=SCRAM-SHA-256", ""),
        "no TLS": uri(port, None),
        "CA": uri(port, None).replace("?", "?tls=true&"),
    }[wrong]
    config = rendered(tmp_path, address)
    launchpad = ExactLaunchPad.from_file(str(config / "my_launchpad.yaml"))
    try:
        with pytest.raises(PyMongoError):
            launchpad.get_fw_ids()
    finally:
        launchpad.connection.close()
    with (
        pytest.raises(StoreError) as caught,
        database(address, name="hts_secure", data_dir=tmp_path) as opened,
        open_launchpad(opened),
    ):
        pass
    assert PASSWORD not in str(caught.value)
    assert quote(PASSWORD, safe="") not in str(caught.value)

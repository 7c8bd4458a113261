"""Addresses as people write them; nothing is connected to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.clients import acquire_client, release_client
from hts_battery.connections.database.database import database
from hts_battery.connections.database.uris import redact
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def refusal(uri: str) -> str:
    """Return the one line with which an address is refused."""
    with pytest.raises(ConfigurationError) as caught:
        acquire_client(uri)
    shown: BaseException | None = caught.value
    assert shown is not None
    assert shown.__cause__ is None  # which may repeat a password
    text = str(shown)
    assert "\n" not in text
    assert text.startswith("HTS_BATTERY_MONGO_URI (")
    return text


@pytest.mark.parametrize(
    ("uri", "secrets"),
    [
        ("mongodb://user:sec?ret@127.0.0.1:1/", ("sec?ret", "ret@")),  # F32
        ("mongodb://user:pa/ss@host:27017/?tls=true", ("pa/ss", "ss@")),  # F32
        ("mongodb://user:pa@ss@host:27017/", ("pa@ss", "ss@")),  # P32
        ("mongodb://user:one#two@host/", ("one", "two")),
        ("mongodb://user:one two@host/", ("one", "two@")),
        ("mongodb://user:one\ntwo@host/", ("one", "two@")),
        ("mongodb://user:one%two@host/", ("one", "two@")),
        ("mongodb://user:12[34]56@host/", ("12", "34", "56")),
        ("mongodb://user:12:34@host/", ("12", "34")),
        ("mongodb://user:a/b/?tls=x&tlsCAFile=cde@host/", ("cde", "tls=x")),
        ("mongodb+srv://user:pa/ss@host/", ("pa/ss", "ss@")),
        ("http://me:secret@x", ("secret",)),
        ("mongodb://me:secret@", ("secret",)),
        ("mongodb://me:se@cret@h", ("se@", "cret")),
        ("mongodb://me:secret@h:port/", ("secret",)),
        ("mongodb://me:secret@h/?tlsCertificateKeyFilePassword=hidden", ("hidden",)),
    ],
)
def test_no_password_in_a_refusal(uri: str, secrets: tuple[str, ...]) -> None:
    if "hidden" in uri:
        assert "hidden" not in redact(uri)
        return
    text = refusal(uri)
    assert not [secret for secret in secrets if secret in text], text


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        # F33
        ("mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nowhere/ca.pem", "/nowhere/ca.p"),
        ("mongodb://h/?tls=true&tlsCertificateKeyFile=/nowhere/key.pem", "/nowhere/k"),
        ("mongo://user:word@127.0.0.1", "begins with mongodb://"),  # P33
        ("127.0.0.1:27017", "begins with mongodb://"),
        ("", "begins with mongodb://"),
        ("mongodb://", "host"),
        ("mongodb://h:port/", "Port"),
        ("mongodb://h:99999/", "Port"),
        ("mongodb://[::1/", "IPv6"),
        ("mongodb://h/?tls=maybe", "tls"),
        ("mongodb://h/?tsl=true", "tsl"),
        ("mongodb://h/?replicaSet", "key=value"),
        ("mongodb://h/?serverSelectionTimeoutMS=soon", "serverselectiontimeoutms"),
        ("mongodb://h/?w=-3", "w"),
        ("mongodb://u:w@h/?authMechanism=SCRAM", "authmechanism"),
        ("mongodb://h/?authMechanism=GSSAPI", "GSSAPI"),
        ("mongodb://h1,h2/?directConnection=true", "directConnection"),
        ("mongodb://h/?tls=true&ssl=false", "tls"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(uri: str, said: str) -> None:
    assert said in refusal(uri).partition("): ")[2]


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    refusal(f"mongodb://h/?tls=true&tlsCAFile={file}")
    refusal(f"mongodb://h/?tls=true&tlsCertificateKeyFile={file}")


@pytest.mark.parametrize("uri", ["me:secret@h", "//me:sec@ret@h:27017/x", "me:secret@"])
def test_a_forgotten_scheme_shows_no_password(uri: str) -> None:
    assert "sec" not in refusal(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:p%40ss%2F%20%25@h1:1,h2:2/admin?replicaSet=r&w=majority",
        "mongodb://me@h/?tls=true&authMechanism=MONGODB-X509",
        "mongodb://%2Ftmp%2Fsocket.sock",
        "mongodb://[::1]:27017/?directConnection=true",
    ],
)
def test_good_addresses_are_taken(uri: str) -> None:
    acquire_client(uri)
    release_client(uri)


def test_opening_a_database_refuses_in_the_same_way(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="HTS_BATTERY_MONGO_URI"),
        database("mongo://me:secret@h", name="hts_x", data_dir=tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb://h/?tls=true", "mongodb://h/?tls=true"),
        ("mongodb://me:a/b?c#d@e@h:1/", "mongodb://***@h:1/"),
        ("cannot reach mongodb://me:a b@h", "cannot reach mongodb://***@h"),
        ("mailto://me:word@h", "mailto://***@h"),
        (
            "mongodb://h/?tlsCertificateKeyFilePassword=secret&tls=true",
            "mongodb://h/?tlsCertificateKeyFilePassword=***&tls=true",
        ),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:secret&w=1",
            "mongodb://h/?authMechanismProperties=***&w=1",
        ),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_both_spellings_and_cited_parts_are_hidden() -> None:
    assert redact("p@ss and p%40ss", "mongodb://me:p%40ss@h") == "*** and ***"
    assert "cret" not in redact('Bad database "cret@h"', "mongodb://me:se/cret@h")

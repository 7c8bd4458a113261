"""
The one user of the embedded server, and how a new server learns of it.

A server has no user when its folder is new, and one that asks for a password takes no
first user. So it runs once, for the second that making the user takes, in a way in
which it hears nobody who lacks a certificate that was made for this second.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from hts_battery.connections.durable_files import write_whole
from hts_battery.errors import StoreError
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
_NAME = "hts"
_ADMIN = "admin"
_BYTES = 32
_ROLES = ({"role": "root", "db": _ADMIN},)
_A_DAY = timedelta(days=1)
_PATIENCE = 10_000  # ms

type_client = MongoClient[dict[str, object]]


class EmbeddedUser(Document):
    """Name and password with which everything here reaches the embedded server."""

    name: str = Field(description="Of the user; it owns every database.")
    password: str = Field(repr=False, description="Random; hexadecimal digits.")

    def uri(self, port: int) -> str:
        """Return the complete address of a server: never print it."""
        return (
            f"mongodb://{self.name}:{self.password}@{HOST}:{port}/"
            f"?directConnection=true&authSource={_ADMIN}&authMechanism=SCRAM-SHA-256"
        )


def open_uri(port: int) -> str:
    """Return the address of a port on this host, for what asks for no user."""
    return f"mongodb://{HOST}:{port}/?directConnection=true"


def new_user() -> EmbeddedUser:
    """Return a user with a password that nobody has used."""
    return EmbeddedUser(name=_NAME, password=secrets.token_hex(_BYTES))


def read_user(path: Path) -> EmbeddedUser | None:
    """Return the user of a folder, none before its first server."""
    try:
        return EmbeddedUser.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as err:
        raise StoreError(
            f"{path}, the password of the embedded database, cannot be read "
            f"({type(err).__name__}); delete it, and the next start makes a new one"
        ) from None


def write_user(path: Path, user: EmbeddedUser) -> None:
    """Write down the user for its owner alone."""
    write_whole(path, user.model_dump_json(), mode=0o600)


@contextmanager
def certificate(path: Path) -> Iterator[Path]:
    """
    Keep a file with a key and its certificate for a while.

    Server and client both show it, and trust no other.
    """
    # Needed once in the life of a data folder, and takes long to import.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))])
    authority = x509.BasicConstraints(ca=True, path_length=0)
    made = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _A_DAY)
        .not_valid_after(now + _A_DAY)
        .add_extension(host, critical=False)
        .add_extension(authority, critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(path, private + made.public_bytes(pem), mode=0o600)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def certificate_options(path: Path) -> tuple[str, ...]:
    """Return the options by which the server hears who shows the certificate only."""
    file = str(path)
    return (
        *("--tls-cert-file", file, "--tls-key-file", file, "--tls-ca-file", file),
        "--tls-require-client-cert",
    )


def make_user(port: int, path: Path, user: EmbeddedUser) -> None:
    """
    Make the user on a server that hears our certificate only, and remove all others.

    A folder that served without passwords before may have some; one that is new has
    none.
    """
    values = {"pwd": user.password, "roles": list(_ROLES)}
    try:
        with type_client(
            open_uri(port),
            tls=True,
            tlsCAFile=str(path),
            tlsCertificateKeyFile=str(path),
            serverSelectionTimeoutMS=_PATIENCE,
        ) as client:
            for database in {_ADMIN, *client.list_database_names()}:
                client[database].command({"dropAllUsersFromDatabase": 1})
            client[_ADMIN].command({"createUser": user.name, **values})
    except PyMongoError as err:
        raise StoreError(
            f"no user could be made in the embedded database: {type(err).__name__}"
        ) from None

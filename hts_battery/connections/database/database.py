"""The database of a run: a MongoDB server by URI, or the embedded one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.database.embedded import EmbeddedServer, embedded_server
from hts_battery.connections.database.uris import redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import SecretStr


@dataclass(frozen=True)
class Database:
    """
    A database that answered when it was opened.

    Parameters
    ----------
    uri
        Where its server is reached, credentials included: never print it.
    name
        Name of the database.
    location
        Server and database for people, without credentials.
    server
        The embedded server, if it is that.
    """

    uri: str = field(repr=False)
    name: str
    location: str
    server: EmbeddedServer | None = field(default=None, repr=False)

    def ping(self) -> None:
        """Ask the server whether it is there and takes the credentials."""
        with (
            translated_errors(self.uri, "opening it"),
            shared_client(self.uri) as client,
        ):
            # A ping needs no credentials; reading the names of collections does.
            client.admin.command("ping")
            client[self.name].list_collection_names()

    def drop(self) -> None:
        """Delete the database with everything in it."""
        with translated_errors(self.uri, "deleting"), shared_client(self.uri) as client:
            client.drop_database(self.name)


@contextmanager
def database(
    mongo_uri: SecretStr | str | None = None, *, name: str, data_dir: Path
) -> Iterator[Database]:
    """
    Open the database of a run: the server of a URI, else the embedded one of a folder.

    Raises
    ------
    StoreError
        If the server cannot be reached or started; never repeats a password.
    """
    if mongo_uri is not None:
        uri = mongo_uri if isinstance(mongo_uri, str) else mongo_uri.get_secret_value()
        with shared_client(uri):
            opened = Database(uri, name, f"{redact(uri)} ({name})")
            opened.ping()
            yield opened
        return
    with embedded_server(data_dir) as server, shared_client(server.uri):
        location = f"{server.data_dir / 'database'} ({name})"
        opened = Database(server.uri, name, location, server)
        opened.ping()
        yield opened

"""Roles of a database and who may have them: worker, builder, analyst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pymongo.errors import OperationFailure

from hts_battery.connections.database.bounded_reader import readable
from hts_battery.connections.database.clients import shared_client, translated_errors
from hts_battery.connections.database.collection_specs import BLOBS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr
    from pymongo.database import Database as MongoDatabase

    from hts_battery.connections.database.database import Database

_READ = ("find", "listIndexes", "collStats")
_WRITE = (*_READ, "insert", "update", "remove")
_BUILD = (*_WRITE, "createIndex")
_WHOLE = ("listCollections",)

_ROLE_EXISTS = 51002
_USER_EXISTS = 51003

_LAUNCHPAD = (
    "fireworks",
    "fw_gridfs.chunks",
    "fw_gridfs.files",
    "fw_id_assigner",
    "launches",
    "workflows",
)
_QUERIES = ("references",)
"""What `hts query` reads besides what the dashboard shows."""
_STATUS = (
    "backlog",
    "built_states",
    "failures",
    "fireworks",
    "launches",
    "submissions",
    "workers",
    "workflows",
)
"""What tells where a campaign stands, besides what its members and outputs say."""
_BLOBS = (BLOBS, f"{BLOBS}.chunks", f"{BLOBS}.files")


class Role(StrEnum):
    """What somebody does with the database."""

    WORKER = "worker"
    """Computes: takes work, writes outputs of jobs and why they failed."""
    BUILDER = "builder"
    """Runs campaigns' builders: reads outputs, writes what analysts see."""
    ANALYST = "analyst"
    """Reads what `hts serve` and `hts query` show; writes nothing."""

    @property
    def database_name(self) -> str:
        """Its name in the database."""
        return f"hts_{self.value}"


Privileges = Mapping[str, tuple[str, ...]]
"""Collection → actions."""

_RUNS = ("builds", "locks")
"""What a run of the builders writes of itself."""
_RECORDS = ("campaigns", "candidates", "members", "references", "tasks", "failures")
"""What a run of the builders reads, whatever builders there are."""
_WORKER = {
    **dict.fromkeys(
        ("campaigns", "candidates", "dispatches", "entries", "members", "references"),
        _READ,
    ),
    **dict.fromkeys(("tasks", "failures", *_BLOBS, *_LAUNCHPAD), _WRITE),
}


def privileges(
    reads: Iterable[str], writes: Iterable[str]
) -> Mapping[Role, Privileges]:
    """
    Say what each role may do; whoever submits campaigns is the database's owner.

    ``reads``, ``writes``: collections that builders read, and that they write.
    """
    written = dict.fromkeys(sorted({*_RUNS, *writes}), _BUILD)
    read = {*_RECORDS, *_BLOBS, *reads} - written.keys()
    shown = {*readable(writes), *_QUERIES, *_STATUS}
    return {
        Role.WORKER: _WORKER,
        Role.BUILDER: {**dict.fromkeys(sorted(read), _READ), **written},
        Role.ANALYST: dict.fromkeys(sorted(shown), _READ),
    }


@dataclass(frozen=True)
class NewUser:
    """A user that is to have one role."""

    name: str
    role: Role
    password: SecretStr


def init_roles(
    database: Database,
    users: tuple[NewUser, ...] = (),
    *,
    granted: Mapping[Role, Privileges],
) -> None:
    """
    Make the roles, or bring them up to date, and users that have them.

    ``granted``: what each role may do, see :func:`privileges`. A user that exists gets
    the role and the password, which no error repeats.
    """
    uri = database.uri
    with translated_errors(uri, "making roles"), shared_client(uri) as client:
        mongo = client[database.name]
        for role in Role:
            _make_role(mongo, role, granted[role])
        for user in users:
            _make_user(mongo, user)


def _make_role(
    mongo: MongoDatabase[dict[str, object]], role: Role, granted: Privileges
) -> None:
    definition = {"privileges": _privileges(mongo.name, granted), "roles": []}
    _make(mongo, "Role", role.database_name, definition, _ROLE_EXISTS)


def _make_user(mongo: MongoDatabase[dict[str, object]], user: NewUser) -> None:
    definition = {
        "pwd": user.password.get_secret_value(),
        "roles": [{"role": user.role.database_name, "db": mongo.name}],
    }
    _make(mongo, "User", user.name, definition, _USER_EXISTS)


def _make(
    mongo: MongoDatabase[dict[str, object]],
    kind: str,
    name: str,
    definition: Mapping[str, object],
    exists: int,
) -> None:
    try:
        mongo.command({f"create{kind}": name, **definition})
    except OperationFailure as err:
        if err.code != exists:
            raise
        mongo.command({f"update{kind}": name, **definition})


def _privileges(database: str, granted: Privileges) -> list[Mapping[str, object]]:
    whole = {"resource": {"db": database, "collection": ""}, "actions": list(_WHOLE)}
    return [
        whole,
        *(
            {
                "resource": {"db": database, "collection": collection},
                "actions": list(actions),
            }
            for collection, actions in granted.items()
        ),
    ]

"""hts db: the embedded server; backups, their return, layouts, and roles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import database_exists, get_settings
from hts_battery.cli.options import AsJson, DryRun
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from hts_battery.connections.database.embedded import ServerStatus
    from hts_battery.connections.database.roles import NewUser
    from hts_battery.schemas.backup import BackupManifest

Backup = Annotated[Path, typer.Argument(help="Folder of the backup.")]


def _refuse_with_uri() -> None:
    if get_settings().mongo_uri is not None:
        raise ConfigurationError(
            "HTS_BATTERY_MONGO_URI names a server that is not ours to start or stop"
        )


def _show(status: ServerStatus, *, as_json: bool, **more: object) -> None:
    values = status.model_dump(mode="json") | more
    if as_json:
        formatting.json_line(values)
    else:
        formatting.fields(values)


def up(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Start the embedded server and keep it until `hts db down`."""
    from hts_battery.connections.database import embedded

    _refuse_with_uri()
    folder = get_settings().data_dir
    if dry_run or not as_json:
        _show((embedded.status if dry_run else embedded.up)(folder), as_json=as_json)
        return
    # The one place where the address is complete: for programs that need it.
    _show(embedded.up(folder), as_json=True, uri=embedded.address(folder))


def down(dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Stop the embedded server."""
    from hts_battery.connections.database import embedded

    _refuse_with_uri()
    act = embedded.status if dry_run else embedded.down
    _show(act(get_settings().data_dir), as_json=as_json)


def status(as_json: AsJson = False) -> None:
    """Say whether the embedded server runs, where, and where its data are."""
    from hts_battery.connections.database import embedded

    _show(embedded.status(get_settings().data_dir), as_json=as_json)


def backup(folder: Backup, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Write every collection into a new folder; nobody builds meanwhile."""
    from hts_battery.campaign.build import LOCK
    from hts_battery.connections.database import backups
    from hts_battery.connections.database.indexes import ensure_indexes
    from hts_battery.connections.database.stores import screening_stores
    from hts_battery.connections.records.backlog import LEASE

    if not database_exists():
        raise ConfigurationError("there is no database to make a backup of")
    with screening_stores(get_settings(), make_indexes=False) as stores:
        sizes = backups.collection_sizes(stores.database)
        if dry_run:
            _show_sizes(sizes, as_json=as_json)
            return
        ensure_indexes(stores)
        with formatting.progress() as progress:
            progress.total("documents", sum(sizes.values()))
            made = backups.backup(
                stores,
                folder.expanduser().absolute(),
                locks=(LOCK, LEASE),
                advance=lambda name: progress.advance("documents", name),
            )
    _show_backup(made, as_json=as_json)


def restore(folder: Backup, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Put a backup into an empty database and compare every document with it."""
    from hts_battery.connections.database import backups
    from hts_battery.connections.database.database import database

    settings = get_settings()
    manifest = backups.read_backup(folder)
    formatting.note(
        "before this, stop every launcher and feeder and cancel the queue's jobs: the "
        "backup does not know them, and what they tell from now on is not taken"
    )
    if dry_run:
        _show_backup(manifest, as_json=as_json)
        return
    with (
        database(
            settings.mongo_uri, name=settings.database, data_dir=settings.data_dir
        ) as opened,
        formatting.progress() as progress,
    ):
        progress.total("documents", manifest.documents)
        backups.restore(
            opened,
            folder,
            advance=lambda name: progress.advance("documents", name),
        )
    _show_backup(manifest, as_json=as_json)


def _show_sizes(sizes: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        formatting.json_line(sizes)
    else:
        formatting.fields(sizes)


def _show_backup(manifest: BackupManifest, *, as_json: bool) -> None:
    if as_json:
        formatting.json_line(manifest.model_dump(mode="json"))
        return
    formatting.table(
        ("collection", "documents", "MB"),
        (
            (one.name, f"{one.documents:,}", f"{one.bytes / 1e6:.1f}")
            for one in manifest.collections
        ),
        right=("documents", "MB"),
    )
    formatting.line(
        f"{manifest.documents:,} documents of {manifest.database}, layout "
        f"{manifest.layout}, {manifest.created:%Y-%m-%d %H:%M} UTC"
    )


def init_roles(
    user: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Also make this user; its password is read from HTS_ROLE_PASSWORD "
            "(like HTS_ANALYST_PASSWORD) or asked for.",
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make the roles worker, builder and analyst, and users that have them."""
    from hts_battery.builders.registry import collections_of
    from hts_battery.connections.database.database import database
    from hts_battery.connections.database.roles import init_roles as make
    from hts_battery.connections.database.roles import privileges

    settings = get_settings()
    granted = privileges(collections_of("reads"), collections_of("writes"))
    wanted = [_split(text) for text in user or ()]
    if not dry_run:
        users = tuple(_new_user(*pair) for pair in wanted)
        with database(
            settings.mongo_uri, name=settings.database, data_dir=settings.data_dir
        ) as opened:
            make(opened, users, granted=granted)
    if as_json:
        formatting.json_line(
            {
                "roles": {role.database_name: granted[role] for role in granted},
                "users": {name: role for role, name in wanted},
                "written": not dry_run,
            }
        )
        return
    formatting.table(
        ("role", "actions", "collections"),
        [
            (
                role.database_name,
                ", ".join(actions),
                ", ".join(
                    name for name, allowed in found.items() if allowed == actions
                ),
            )
            for role, found in granted.items()
            for actions in dict.fromkeys(found.values())
        ],
        title=f"{'would make' if dry_run else 'made'} in {settings.database}",
    )
    for role, name in wanted:
        formatting.line(f"user {name}: {role}")


def _split(text: str) -> tuple[str, str]:
    from hts_battery.connections.database.roles import Role

    role, _, name = text.partition("=")
    if role not in tuple(Role) or not name:
        raise ConfigurationError(
            f"--user {text}: write ROLE=NAME, where ROLE is one of {', '.join(Role)}"
        )
    return role, name


def _new_user(role: str, name: str) -> NewUser:
    from pydantic import SecretStr

    from hts_battery.connections.database.roles import NewUser, Role

    password = os.environ.get(f"HTS_{role.upper()}_PASSWORD") or typer.prompt(
        f"password of {name}", hide_input=True, confirmation_prompt=True
    )
    return NewUser(name, Role(role), SecretStr(password))

"""Opening the database that the settings name, for one command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.launchpad import ExactLaunchPad


@contextmanager
def opened_stores(*, make_indexes: bool = True) -> Iterator[Stores]:
    """Open every store of the settings' database, indexes made, and close it after."""
    from hts_battery.connections.database.stores import screening_stores

    with screening_stores(get_settings(), make_indexes=make_indexes) as stores:
        yield stores


@contextmanager
def opened_launchpad() -> Iterator[tuple[Stores, ExactLaunchPad]]:
    """Open the stores of the settings' database, and the launchpad beside them."""
    from hts_battery.connections.launchpad.launchpad import open_launchpad

    with (
        opened_stores() as stores,
        open_launchpad(
            stores.database, outage_seconds=get_settings().outage_patience
        ) as launchpad,
    ):
        yield stores, launchpad


def database_exists() -> bool:
    """Say whether there is a database to read, without making one."""
    from hts_battery.connections.database import embedded

    settings = get_settings()
    return settings.mongo_uri is not None or embedded.has_database(settings.data_dir)

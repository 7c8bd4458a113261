"""Opening the database that the settings name, for one command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.stores import Stores


@contextmanager
def opened_stores() -> Iterator[Stores]:
    """Open every store of the settings' database, indexes made, and close it after."""
    from hts_battery.connections.stores import screening_stores

    with screening_stores(get_settings()) as stores:
        yield stores

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
    from hts_battery.connections.database import database
    from hts_battery.connections.stores import ensure_indexes, open_stores

    settings = get_settings()
    with (
        database(
            settings.mongo_uri, name=settings.database, data_dir=settings.data_dir
        ) as opened,
        open_stores(
            opened,
            blob_store=settings.blob_store,
            s3_bucket=settings.s3_bucket,
            s3_endpoint_url=settings.s3_endpoint_url,
            s3_prefix=settings.s3_prefix,
        ) as stores,
    ):
        ensure_indexes(stores)
        yield stores

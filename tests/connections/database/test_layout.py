"""A database says which layout it has; any other than this code's is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.layout import (
    LAYOUT_VERSION,
    check_layout,
    mark_layout,
    read_layout,
    write_layout,
)
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.database import Database

pytestmark = pytest.mark.mongo


def test_an_empty_database_is_marked_once(database: Database) -> None:
    assert read_layout(database).is_empty
    check_layout(database)
    assert read_layout(database).is_empty
    mark_layout(database)
    assert read_layout(database) == (LAYOUT_VERSION, False, None)


@pytest.mark.parametrize("other", [LAYOUT_VERSION - 1, LAYOUT_VERSION + 1])
def test_another_layout_is_refused(database: Database, other: int) -> None:
    write_layout(database, other)
    mark_layout(database)
    with pytest.raises(StoreError, match=f"layout {other}, written by another"):
        check_layout(database)


def test_a_database_that_does_not_say_is_refused(database: Database) -> None:
    with shared_client(database.uri) as client:
        client[database.name]["tasks"].insert_one({"uuid": "u"})
    with pytest.raises(StoreError, match="layout unknown"):
        check_layout(database)

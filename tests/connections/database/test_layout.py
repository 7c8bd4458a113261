"""Databases of earlier layouts are brought to the newest; newer ones are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bson.json_util import CANONICAL_JSON_OPTIONS, object_hook

from hts_battery.campaign.build import build_all
from hts_battery.connections.database.clients import shared_client
from hts_battery.connections.database.health import unknown_indexes
from hts_battery.connections.database.indexes import ensure_indexes
from hts_battery.connections.database.layout import (
    LAYOUT_VERSION,
    check_layout,
    layout_state,
    mark_layout,
    migrate,
    write_layout,
)
from hts_battery.connections.database.stores import open_stores
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

pytestmark = pytest.mark.mongo

FROZEN = Path(__file__).parents[2] / "data" / "database_layout_1.jsonl"
"""Every document of a database that 0.1.0 wrote, with a part of its references."""


def thaw(database: Database) -> None:
    """Write the frozen database."""
    with shared_client(database.uri) as client:
        mongo = client[database.name]
        for line in FROZEN.read_text(encoding="utf-8").splitlines():
            found = json.loads(
                line,
                object_hook=lambda pairs: object_hook(pairs, CANONICAL_JSON_OPTIONS),
            )
            if "in" in found:
                mongo[found["in"]].insert_one(found["doc"])
                continue
            for _, key, unique in found["indexes"]:
                fields = [(field, way) for field, way in key]
                mongo[found["collection"]].create_index(fields, unique=unique)


def test_an_empty_database_is_marked_once(database: Database) -> None:
    assert layout_state(database).is_empty
    check_layout(database)
    assert layout_state(database).is_empty
    mark_layout(database)
    assert layout_state(database) == (LAYOUT_VERSION, False, None)
    assert migrate(database) == ()


def test_a_newer_database_is_refused(database: Database) -> None:
    write_layout(database, LAYOUT_VERSION + 1)
    for refused in (check_layout, migrate):
        with pytest.raises(StoreError, match=r"written by a newer .* update it"):
            refused(database)


def test_a_database_of_0_1_0_is_migrated_and_built(database: Database) -> None:
    thaw(database)
    with pytest.raises(StoreError, match="run `hts db backup`, then `hts db migrate`"):
        check_layout(database)
    counted = migrate(database, dry_run=True)
    assert [(step.version, changed) for step, changed in counted] == [
        (2, 1),
        (3, 1),
    ]
    assert layout_state(database).version == 1
    with open_stores(database) as stores:
        before = energies(stores)
        assert before
    migrate(database)
    check_layout(database)
    with open_stores(database) as stores:
        ensure_indexes(stores)
        assert unknown_indexes(stores) == ()
        assert energies(stores) == []
        build_all(stores, temperatures=(0.0, 1473.0))
        (summary,) = stores.summary.query({})
        assert summary["element_keys"]
        assert stores.rankings.count() > 0
        assert energies(stores) == before
    assert migrate(database) == ()


def energies(stores: Stores) -> list[float]:
    return [doc["energy_per_atom"] for doc in stores.summary.query({})]


def test_a_killed_migration_goes_on(database: Database) -> None:
    thaw(database)
    with shared_client(database.uri) as client:
        # As a kill after the first half of the step leaves it.
        client[database.name]["summary"].drop_index("formula_1")
    migrate(database)
    assert layout_state(database).version == LAYOUT_VERSION

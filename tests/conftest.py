"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.database import Database
    from hts_battery.connections.stores import Stores

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Published data kept beside the checkout; absent from a reader's clone."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("published data folder ../shared/data is not beside this checkout")
    return folder


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Server of this run: HTS_BATTERY_TEST_MONGO_URI, else an embedded one."""
    named = os.environ.get("HTS_BATTERY_TEST_MONGO_URI")
    if named:
        yield named
        return
    # Imported here: most tests need no database, and pymongo costs time to import.
    from hts_battery.connections.embedded import embedded_server  # noqa: PLC0415

    with embedded_server(tmp_path_factory.mktemp("hts-data")) as server:
        yield server.uri


@pytest.fixture
def database(mongo_uri: str, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database of its own for one test, deleted afterwards."""
    from hts_battery.connections.database import database as open_database  # noqa: PLC0415 - as above

    name = f"hts_test_{uuid.uuid4().hex[:12]}"
    with open_database(mongo_uri, name=name, data_dir=tmp_path / "unused") as opened:
        yield opened
        opened.drop()


@pytest.fixture
def stores(database: Database) -> Iterator[Stores]:
    """Return the stores of an empty database, indexes made."""
    from hts_battery.connections.stores import ensure_indexes, open_stores  # noqa: PLC0415 - as above

    with open_stores(database) as opened:
        ensure_indexes(opened)
        yield opened

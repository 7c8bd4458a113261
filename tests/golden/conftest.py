"""The recorded outside: an option that records it anew, and one database for all."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from golden.recording import Recording
from golden.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from golden.world import Answer


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record",
        action="store_true",
        help="write what is found into tests/golden/recorded instead of comparing",
    )


@pytest.fixture(scope="session")
def recording(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[str], Recording]]:
    """Open the recorded answers of a surface; each belongs to one module of tests."""
    config = request.config
    anew = config.getoption("record", default=False)
    opened: dict[str, Recording] = {}

    def open_one(name: str) -> Recording:
        return opened.setdefault(name, Recording(name, anew=anew))

    yield open_one
    whole = not config.getoption("keyword") and not any(
        "::" in it for it in config.args
    )
    if anew and whole and not request.session.testsfailed:
        for one in opened.values():
            one.keep_only(one.asked)


@pytest.fixture(scope="session")
def world(
    mongo_uri: str, project_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Return the world after everything in the story was typed."""
    name = f"hts_test_{uuid.uuid4().hex[:12]}"
    settings = {"MONGO_URI": mongo_uri, "DATABASE": name}
    one = World(tmp_path_factory.mktemp("world"), settings)
    one.begin(project_root)
    one.tell()
    yield one
    one.drop()


@pytest.fixture
def typed(tmp_path: Path) -> Callable[..., Answer]:
    """Type commands in an empty folder, without a database."""
    return World(tmp_path).hts

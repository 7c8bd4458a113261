"""The builders under maggma's own command: chained, with processes, distributed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from monty.json import MontyEncoder

from hts_battery.builders.property_builder import PropertyBuilder
from hts_battery.builders.registry import builders
from hts_battery.campaign.build import chain_of_builders

if TYPE_CHECKING:
    from conftest import Chain

    from hts_battery.connections.database.stores import Stores

pytestmark = [pytest.mark.mongo, pytest.mark.slow]

MRUN = Path(sys.executable).with_name("mrun")
SECONDS = 180
CANDIDATES = 2


def contents(stores: Stores) -> dict[str, list[Any]]:
    return {
        name: sorted(
            (
                {key: value for key, value in doc.items() if key != "_id"}
                for doc in getattr(stores, name).query({})
            ),
            key=str,
        )
        for name in ("entries", "thermo", "summary")
    }


@pytest.fixture
def expected(chain: Chain, stores: Stores) -> dict[str, list[Any]]:
    """Return what our own run writes, and remove it again."""
    chain.run()
    written = contents(stores)
    assert len(written["summary"]) == CANDIDATES
    for name in ("entries", "thermo", "summary", "changes"):
        getattr(stores, name).remove_docs({})
    stores.campaigns.update(
        {"name": chain.spec.name, "spec": chain.spec.model_dump(mode="json")}
    )
    return written


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - maggma's own program
        [str(MRUN), "--no_bars", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> None:
    try:
        text, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, text
    assert "Error" not in text, text


def test_all_chained_builders_run(
    expected: dict[str, list[Any]], stores: Stores, tmp_path: Path
) -> None:
    # maggma#662: with several processes only the first of a chain ran.
    file = tmp_path / "builders.json"
    chain = chain_of_builders(stores, temperatures=(0.0,))
    assert len(chain) == sum(one.skipped_because is None for one in builders())
    file.write_text(json.dumps(chain, cls=MontyEncoder))
    done(start(str(file), folder=tmp_path))
    assert contents(stores) == expected
    for name in ("entries", "thermo", "summary"):
        getattr(stores, name).remove_docs({})
    done(start("-n", "2", str(file), folder=tmp_path))
    assert contents(stores) == expected


def test_a_python_file_may_name_the_chain(
    expected: dict[str, list[Any]], stores: Stores, tmp_path: Path
) -> None:
    opened = stores.database
    (tmp_path / "nightly.py").write_text(
        f"""
from pathlib import Path
from hts_battery.campaign.build import chain_of_builders
from hts_battery.connections.database.database import Database
from hts_battery.connections.database.stores import open_stores

stores = open_stores(Database({opened.uri!r}, {opened.name!r}, 'test'))
__builders__ = chain_of_builders(stores, temperatures=(0.0,))
"""
    )
    done(start("nightly.py", folder=tmp_path))
    assert contents(stores) == expected


def test_a_manager_and_two_workers_share_one_builder_at_a_time(
    expected: dict[str, list[Any]], stores: Stores, tmp_path: Path
) -> None:
    # A manager sends its workers home after its first builder, so each has its own.
    for number, builder in enumerate(chain_of_builders(stores, temperatures=(0.0,))):
        if isinstance(builder, PropertyBuilder) and builder.name != "local_structure":
            continue  # one of properties stands for all: they have one way to share
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(builder, cls=MontyEncoder))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = ("-u", "tcp://127.0.0.1", "-p", port)
        manager = start(*place, "-N", "3", "-w", "2", str(file), folder=tmp_path)
        workers = [start(*place, str(file), folder=tmp_path) for _ in range(2)]
        try:
            done(manager)
            for worker in workers:
                # One that came late waits for ever for a manager that has gone.
                with suppress(subprocess.TimeoutExpired):
                    worker.wait(timeout=10)
                    done(worker)
        finally:
            for process in (manager, *workers):
                process.kill()
                process.communicate()
    assert contents(stores) == expected

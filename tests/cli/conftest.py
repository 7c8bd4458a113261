"""The command line as a user calls it, in this process, on the server of this run."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jobflow
import pytest
from fakes import FakeRelaxMaker, fake_reference_energies
from fireworks import FWorker
from fireworks.core.rocket_launcher import rapidfire

from hts_battery.cli.app import main
from hts_battery.connections.launchpad.launchpad import open_launchpad
from hts_battery.flows.engines.registry import ENGINES, Engine
from hts_battery.flows.recipes.references import energy_file, write_energy_file
from hts_battery.schemas.campaign import RelaxationSpec
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

_PATIENCE = 90  # seconds, far more than anything takes


@dataclass(frozen=True)
class Answer:
    """What one command printed, and how it ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """Each line of the output as the JSON value that it is."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder without any setting; return it."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("HTS_BATTERY_DATA_DIR", str(work / "hts-data"))
    get_settings.cache_clear()
    yield work
    get_settings.cache_clear()


@pytest.fixture
def launch(
    database: Database, stores: Stores, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    """Run what is ready for the worker `here`, in this process."""
    monkeypatch.setattr(jobflow.SETTINGS, "JOB_STORE", stores.job_store)

    def call() -> None:
        with open_launchpad(database) as launchpad:
            rapidfire(
                launchpad, FWorker(name="here"), m_dir=str(folder), strm_lvl="CRITICAL"
            )
        # Rockets leave the process where they ran.
        monkeypatch.chdir(folder)

    return call


@pytest.fixture
def hts(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Answer]:
    """Call ``hts`` with some words."""
    assert folder.is_dir()

    def call(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hts", *(str(word) for word in words)])
        capsys.readouterr()
        status: object = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        assert isinstance(status, int)
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture
def on_server(
    folder: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Send every command to an empty database of the server of this run."""
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", database.name)
    get_settings.cache_clear()
    return folder


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> str:
    """Register an engine whose relaxations take no time."""
    engine = Engine(
        name="fake",
        packages=("pymatgen",),
        relax_maker=lambda _relaxation: FakeRelaxMaker(),
        extra="none",
    )
    monkeypatch.setitem(ENGINES, engine.name, engine)  # type: ignore[misc]
    return engine.name


@pytest.fixture
def fake_file(campaign_file: Callable[..., Path], fake_engine: str) -> Path:
    """Return the small campaign for the fake engine."""
    return campaign_file(("engine: chgnet", f"engine: {fake_engine}"))


@pytest.fixture
def fake_references(tmp_path: Path, fake_engine: str) -> Path:
    """Return a file of reference energies of the fake engine."""
    path = tmp_path / "fake_references.json"
    energies = fake_reference_energies(fake_engine)
    write_energy_file(path, energy_file(energies, fake_engine, RelaxationSpec()))
    return path


@pytest.fixture
def screened(
    hts: Callable[..., Answer],
    on_server: Path,
    fake_file: Path,
    fake_references: Path,
) -> Answer:
    """Return the answer to a first run of the small campaign."""
    assert on_server.is_dir()
    imported = hts("references", "import", "--engine", "fake", fake_references)
    assert imported.status == 0, imported.err
    return hts("campaign", "run", fake_file)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool], str], None]:
    """Wait for what another process does; what it is stands in the failure."""

    def wait(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.1)

    return wait

"""Fixtures that every room's tests may use."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from slurm.one_node_slurm import OneNodeSlurm

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.database import Database
    from hts_battery.connections.database.stores import Stores

PROJECT = Path(__file__).resolve().parents[1]
# What stands in it is lost with the machine, and nothing waits for a disk.
_MEMORY = Path("/dev", "shm")
_ROOM = 2 * 1024**3
_SLOW = ("dft", "chaos", "slow", "browser")
"""Markers of what takes seconds at least."""

SMALL_CAMPAIGN = """\
name: small
space:
  family: hedrx
  basis: formula-unit
  step: 0.1
  sublattices:
    cation: {sites: 2, species: [Li+, Mn3+, Ti4+]}
    anion: {sites: 2, species: [O2-, F-]}
selection: {method: formulas, formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}
structure: {atoms: 40, iterations: 500, seed: 3}
engine: chgnet
temperatures: [0, 1473]
"""
"""Two candidates whose cells are ordered in a moment."""
_TWO_FORMULAS = (
    "selection: {method: formulas, "
    "formulas: [Li1.3Mn0.4Ti0.3O1.7F0.3, Li1.2Mn0.4Ti0.4O2]}"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first: two workers then end together."""
    slow = Counter(
        item.path for item in items for kind in _SLOW if item.get_closest_marker(kind)
    )
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _same_working_folder() -> Iterator[None]:
    """Go back where the test began: a job that is killed leaves us in its launch."""
    began = Path.cwd()
    yield
    os.chdir(began)


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
def server_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of this run's server: in memory, where making an index does not wait."""
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ROOM:
        yield tmp_path_factory.mktemp("hts-data")
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="hts-data-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def mongo_uri(server_folder: Path) -> Iterator[str]:
    """Server of this run: HTS_BATTERY_TEST_MONGO_URI, else an embedded one."""
    named = os.environ.get("HTS_BATTERY_TEST_MONGO_URI")
    if named:
        yield named
        return
    # Imported here: most tests need no database, and pymongo costs time to import.
    from hts_battery.connections.database.embedded import embedded_server  # noqa: PLC0415

    with embedded_server(server_folder) as server:
        yield server.uri


@pytest.fixture
def database(mongo_uri: str, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database of its own for one test, deleted afterwards."""
    from hts_battery.connections.database.database import database as open_database  # noqa: PLC0415 - as above

    name = f"hts_test_{uuid.uuid4().hex[:12]}"
    with open_database(mongo_uri, name=name, data_dir=tmp_path / "unused") as opened:
        yield opened
        opened.drop()


@pytest.fixture
def stores(database: Database) -> Iterator[Stores]:
    """Return the stores of an empty database, indexes made."""
    from hts_battery.connections.database.indexes import ensure_indexes  # noqa: PLC0415 - as above
    from hts_battery.connections.database.stores import open_stores  # noqa: PLC0415 - as above

    with open_stores(database) as opened:
        ensure_indexes(opened)
        yield opened


@pytest.fixture
def execution_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep the execution record of the jobs of one test to itself."""
    from hts_battery.settings import get_settings  # noqa: PLC0415 - as above

    folder = tmp_path / "executions"
    monkeypatch.setenv("HTS_BATTERY_EXECUTION_RECORD", str(folder))
    get_settings.cache_clear()
    yield folder
    get_settings.cache_clear()


@pytest.fixture
def campaign_file(tmp_path: Path) -> Callable[..., Path]:
    """Write the small campaign with some of its text replaced; return its file."""

    def write(*changes: tuple[str, str], name: str = "campaign.yaml") -> Path:
        text = SMALL_CAMPAIGN
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        if "n_orderings" not in text:
            # The default's four of each candidate would take four times as long.
            text = text.replace("structure: {", "structure: {n_orderings: {sqs: 1}, ")
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def sampled_campaign_file(campaign_file: Callable[..., Path]) -> Callable[..., Path]:
    """Write a campaign of some sampled candidates in small random cells."""

    def write(count: int, *changes: tuple[str, str], name: str = "sample.yaml") -> Path:
        return campaign_file(
            (_TWO_FORMULAS, f"selection: {{method: sample, count: {count}, seed: 1}}"),
            ("[Li+, Mn3+, Ti4+]", "[Li+, Mn3+, Cr3+, Ti4+, Nb5+]"),
            ("iterations: 500", "n_orderings: {random: 1}"),
            *changes,
            name=name,
        )

    return write


@pytest.fixture
def small_campaign(campaign_file: Callable[..., Path]) -> Campaign:
    """Return the small campaign, read from its file."""
    from hts_battery.campaign.spec_file import load_campaign  # noqa: PLC0415 - as above

    return load_campaign(campaign_file())


@pytest.fixture
def computed(
    small_campaign: Campaign, stores: Stores, execution_folder: Path, tmp_path: Path
) -> Campaign:
    """Return the small campaign after a fake relaxed its candidates; nothing built."""
    from fakes import FakeRelaxMaker, fake_reference_energies  # noqa: PLC0415 - as above

    from hts_battery.campaign.local_run import run_candidates  # noqa: PLC0415 - as above
    from hts_battery.campaign.references import store_references  # noqa: PLC0415 - as above
    from hts_battery.campaign.registration import register  # noqa: PLC0415 - as above

    register(small_campaign, stores)
    store_references(fake_reference_energies(), stores)
    run_candidates(
        small_campaign,
        stores,
        launch_folder=tmp_path / "launches",
        execution_folder=execution_folder,
        relax_maker=FakeRelaxMaker(),
    )
    return small_campaign


@pytest.fixture
def ranked(computed: Campaign, stores: Stores) -> Campaign:
    """Return the small campaign after a fake relaxed and the builders judged it."""
    from hts_battery.campaign.build import build  # noqa: PLC0415 - as above

    build(computed.spec, stores, temperatures=(0.0,))
    return computed


@pytest.fixture(scope="session")
def slurm() -> Iterator[OneNodeSlurm]:
    """Start a real Slurm of one node for this run; skip where there is none."""
    from slurm.one_node_slurm import OneNodeSlurm, missing_parts  # noqa: PLC0415 - as above

    if (reason := missing_parts()) is not None:
        pytest.skip(f"no Slurm: {reason}")
    # Not pytest's folder, whose path is too long for a socket.
    with tempfile.TemporaryDirectory(prefix="slurm-") as home:
        started = OneNodeSlurm(Path(home), cpus=4)
        try:
            yield started.start()
        finally:
            started.stop()

"""The notebooks run from top to bottom, and carry no outputs in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbclient
import nbformat
import pytest
from synthetic_summaries import METALS, fill

if TYPE_CHECKING:
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores

NOTEBOOKS = sorted(
    (Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb")
)


def test_there_are_three_and_none_carries_outputs() -> None:
    assert len(NOTEBOOKS) == 3
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs"), path.name
            assert cell.get("execution_count") is None, path.name


@pytest.mark.mongo
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebooks_run(
    ranked: Campaign,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One candidate was relaxed by a fake; the engines that are compared are made up.
    assert ranked.spec.name == "small"
    fill(stores, 60, campaign="first", metals=METALS[:9])
    fill(stores, 60, campaign="second", engine="gpaw", shift=0.05, metals=METALS[:9])
    monkeypatch.setenv("HTS_BATTERY_MONGO_URI", stores.database.uri)
    monkeypatch.setenv("HTS_BATTERY_DATABASE", stores.database.name)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(tmp_path)}},
        )
        client.execute()
        assert notebook.cells[-1].execution_count, path.name

"""No job imports a file of the folder in which it was started."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hts_battery.campaign import local_processes
from hts_battery.connections.workers.configs import worker_names
from hts_battery.connections.workers.launch import COMMANDS
from hts_battery.flows.engines.gpaw.process import runner_file
from hts_battery.flows.engines.vasp.engines import REHEARSAL_COMMAND

PROJECT = Path(__file__).resolve().parents[1]
TEMPLATES = PROJECT / "launchpad_configs"
PLANTED = ("json", "numpy", "yaml", "fireworks", "custodian", "hts_battery", "socket")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a launch folder in which somebody left files with names of modules."""
    for name in PLANTED:
        text = f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n"
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def words(worker: str) -> list[str]:
    """Return how the script of a worker starts Python, with this interpreter."""
    text = (TEMPLATES / worker / "my_qadapter.yaml").read_text("utf-8")
    line = re.search(r"^rocket_launch: (.*) rlaunch ", text, re.MULTILINE)
    assert line is not None
    return [sys.executable, *line[1].split()[1:]]


STARTED = {
    **{worker: words(worker) for worker in worker_names(TEMPLATES)},
    "local rockets": [sys.executable, *COMMANDS],
    "local processes": [*local_processes.COMMAND, "99"],
    "rehearsal": shlex.split(REHEARSAL_COMMAND),
    "GPAW": [sys.executable, str(runner_file())],
}


@pytest.mark.parametrize("name", STARTED)
def test_nothing_of_the_launch_folder_is_imported(name: str, folder: Path) -> None:
    # None of them gets what it needs: they end when they have imported everything.
    done = subprocess.run(  # noqa: S603 - our own words
        STARTED[name],
        cwd=folder,
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "No module named" not in done.stderr.replace("'gpaw'", "")
    assert not (folder / "imported").exists(), (folder / "imported").read_text()


def test_the_plant_works_where_python_is_started_as_it_is(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", "import json"], cwd=folder, check=False)
    assert (folder / "imported").read_text() == "json"


def test_every_module_that_is_started_is_started_so() -> None:
    for file in (PROJECT / "hts_battery").rglob("*.py"):
        text = file.read_text("utf-8")
        for found in re.finditer(r'(?:executable\)?}?|python3?)"?,? "?-', text):
            assert text[found.end() :].startswith("P"), (file, found[0])

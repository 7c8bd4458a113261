"""The commands of the page on clusters, taken from it and run on a real Slurm."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from slurm.rendered_worker import PROJECT

from hts_battery.connections.database.database import database
from hts_battery.connections.database.stores import open_stores
from hts_battery.connections.records.executions import ledger
from hts_battery.connections.records.worker_controls import read_worker_control

if TYPE_CHECKING:
    from slurm.one_node_slurm import OneNodeSlurm

PAGE = PROJECT / "docs" / "cluster.md"
PREPARATION = "<!-- preparation: a test runs this block -->\n```bash\n"
EIGHT = "<!-- eight commands: a test runs this block -->\n```bash\n"
URI = re.compile(r"(?<=^HTS_BATTERY_MONGO_URI=)'[^']*'", re.MULTILINE)
_TIMEOUT_SECONDS = 480


def commands(mark: str) -> list[str]:
    """Read a block; a command ends with an empty line."""
    block = PAGE.read_text("utf-8").partition(mark)[2].partition("```\n")[0]
    return block.strip().split("\n\n")


def test_there_are_at_most_eight_from_a_worker_to_a_ranking() -> None:
    found = commands(EIGHT)
    assert 5 < len(found) <= 8
    assert found[0].startswith("hts launchpad render")
    assert found[-1].startswith("hts query")
    assert not [one for one in found if "\n" in one or "&" in one or ";" in one]
    prepared = commands(PREPARATION)
    assert prepared[0].startswith("git clone")
    assert prepared[1].startswith("make install")


def test_each_command_is_explained() -> None:
    table = PAGE.read_text("utf-8").partition(EIGHT)[2].partition("|---|---|\n")[2]
    rows = [
        line.split("|")[1].strip(" `") for line in table.split("\n\n")[0].splitlines()
    ]
    for row, command in zip(rows, commands(EIGHT), strict=True):
        assert set(row.split()) <= set(command.split()), row


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.long
def test_the_commands_lead_to_a_ranking(slurm: OneNodeSlurm, tmp_path: Path) -> None:
    with database(name="hts_battery", data_dir=tmp_path / "server") as opened:
        # The clone is this one and installed; everything else is run as it stands.
        prepared = [URI.sub(f"'{opened.uri}'", one) for one in commands(PREPARATION)]
        assert opened.uri in prepared[2]
        # Whatever happens, the runner is ended and says what it did.
        end = "trap 'hts runner stop; hts runner logs; hts runner logs slurm' EXIT"
        script = "\n\n".join([end, *prepared[2:], *commands(EIGHT)])
        bin_folder = Path(sys.executable).parent
        done = subprocess.run(  # noqa: S603 - the page's words
            ["/bin/bash", "-e", "-c", script],
            env={
                **slurm.environment,
                "HOME": str(tmp_path),
                "PATH": f"{bin_folder}:{os.environ['PATH']}",
                "PYTHONPATH": str(PROJECT),
            },
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        slurm.cancel_all()
        assert done.returncode == 0, done.stdout + done.stderr
        for stage in ("node", "outputs", "ionic"):
            assert f"{stage}: done as job" in done.stdout
        assert (tmp_path / "hts.env").stat().st_mode & 0o777 == 0o600
        with open_stores(opened) as stores:
            assert stores.summary.count({"campaign": "quickstart"}) == 2
            assert stores.tasks.count({"metadata.final": True}) == 2
            assert stores.tasks.count({"metadata.worker_test": {"$exists": 1}}) == 0
            state = read_worker_control(stores, "slurm").launcher
        assert state is not None
        assert state.submitted == 1
    counted = ledger(tmp_path / "hts-data" / "executions")
    assert counted.computed_twice == ()
    keys = [key for key in counted.by_content_key if key is not None]
    assert len(keys) == 2

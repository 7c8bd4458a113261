"""The operator's ten commands, taken from the page and run on a real Slurm."""

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

if TYPE_CHECKING:
    from slurm.one_node_slurm import OneNodeSlurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.long]

PAGE = PROJECT / "docs" / "cluster.md"
MARK = "<!-- ten commands: a test runs this block -->\n```bash\n"
URI = re.compile(r"(?<=^HTS_BATTERY_MONGO_URI=)'[^']*'", re.MULTILINE)
_TIMEOUT_SECONDS = 480


def commands() -> list[str]:
    """Read the block; a command ends with an empty line."""
    block = PAGE.read_text("utf-8").partition(MARK)[2].partition("```\n")[0]
    return block.strip().split("\n\n")


def test_there_are_at_most_ten() -> None:
    found = commands()
    assert 5 < len(found) <= 10
    assert found[0].startswith("git clone")
    assert found[1].startswith("make install")


def test_the_commands_lead_to_a_ranking(slurm: OneNodeSlurm, tmp_path: Path) -> None:
    with database(name="hts_battery", data_dir=tmp_path / "server") as opened:
        # The clone is this one and installed; everything else is run as it stands.
        told = [URI.sub(f"'{opened.uri}'", one) for one in commands()[2:]]
        assert opened.uri in told[0]
        last = told.pop()
        assert [one.endswith("&") for one in told[-2:]] == [True, True]
        wait = "wait %1; feeder=$?; kill %2; cat ~/feed.log ~/qlaunch.log"
        script = "\n\n".join(["set -m", *told, wait, last, "exit $feeder"])
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
        assert (tmp_path / "hts.env").stat().st_mode & 0o777 == 0o600
        with open_stores(opened) as stores:
            assert stores.summary.count({"campaign": "quickstart"}) == 2
            assert stores.tasks.count({"metadata.final": True}) == 2
    counted = ledger(tmp_path / "hts-data" / "executions")
    assert counted.computed_twice == ()
    assert len(counted.by_content_key) == 2

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.connections.records.launch_files import write_mark
from hts_battery.schemas.launch import LaunchMark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Answer

pytestmark = pytest.mark.mongo


def test_what_nobody_needs_goes_and_nothing_else(
    hts: Callable[..., Answer], screened: Answer, folder: Path
) -> None:
    assert screened.status == 0, screened.err
    launches = folder / "hts-data" / "launches"
    assert not list(launches.glob("launch-*"))
    assert hts("launches", "clean").out.startswith("0 files")
    job = launches / "launch-0" / "job"
    job.mkdir(parents=True)
    write_mark(job, LaunchMark(uuid="unknown", index=1, engine="vasp-mp-gga"))
    (job / "WAVECAR").touch()
    # Its name says of no process of this host that it is gone.
    assert hts("launches", "clean", "--dry-run", "--json").lines == []
    assert (job / "WAVECAR").exists()

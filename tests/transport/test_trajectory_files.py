"""Every form of file gives the same frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from hts_battery.errors import TrajectoryError
from hts_battery.transport.trajectory_files import (
    Trajectory,
    read_trajectory,
    write_chunk,
)

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 6


@pytest.fixture(scope="module")
def run() -> Trajectory:
    random = np.random.default_rng(0)
    cells = np.eye(3) * (10 + 0.1 * random.random((FRAMES, 1, 1)))
    places = 2 + 6 * random.random((5, 3)) + 0.1 * random.normal(size=(FRAMES, 5, 3))
    symbols = ("Na", "Na", "Zr", "O", "O")
    return Trajectory(symbols, places, cells, 20.0, 900.0)


@pytest.fixture(scope="module")
def images(run: Trajectory) -> list[Atoms]:
    assert run.lattices is not None
    made = []
    for number, (places, cell) in enumerate(
        zip(run.positions, run.lattices, strict=True)
    ):
        atoms = Atoms(run.symbols, places, cell=cell, pbc=True)
        atoms.info.update({"time": 20.0 * number, "temperature": 900.0})
        made.append(atoms)
    return made


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("run.traj", "traj", True),
        ("run.extxyz", "extxyz", True),
        ("run.xyz", "extxyz", True),
        ("XDATCAR", "vasp-xdatcar", False),
    ],
)
def test_files_of_ase(
    name: str,
    form: str,
    says: bool,
    run: Trajectory,
    images: list[Atoms],
    tmp_path: Path,
) -> None:
    write(tmp_path / name, images, format=form)
    found = read_trajectory(tmp_path / name)
    assert found.symbols == run.symbols
    assert found.lattices is not None
    assert run.lattices is not None
    turned = found.positions @ np.linalg.inv(found.lattices)
    assert turned == pytest.approx(
        run.positions @ np.linalg.inv(run.lattices), abs=1e-5
    )
    assert found.lattices == pytest.approx(run.lattices, abs=1e-4)
    if says and form == "extxyz":
        assert (found.time_step, found.temperature) == (20.0, 900.0)
    assert found.indices("Na") == [0, 1]
    with pytest.raises(TrajectoryError, match="no Li in the trajectory; it has Na"):
        found.indices("Li")


def test_chunks_take_little_and_are_joined(run: Trajectory, tmp_path: Path) -> None:
    for number in (2, 1):
        write_chunk(tmp_path / f"chunk-{number:04d}.parquet", run, np.arange(FRAMES))
    found = read_trajectory(tmp_path)
    assert found.positions.shape == (2 * FRAMES, 5, 3)
    assert found.positions[FRAMES:] == pytest.approx(run.positions, abs=1e-5)
    assert (found.time_step, found.temperature) == (20.0, 900.0)
    large = Trajectory(
        ("Na",) * 100,
        np.random.default_rng(1).random((400, 100, 3)) * 20,
        np.broadcast_to(np.eye(3) * 20, (400, 3, 3)),
        1.0,
        300.0,
    )
    write_chunk(tmp_path / "large.parquet", large, np.zeros(400))
    assert (tmp_path / "large.parquet").stat().st_size / 400 / 100 < 14
    with pytest.raises(TrajectoryError, match=r"large\.parquet: other symbols"):
        read_trajectory(tmp_path)


def test_what_cannot_be_read_is_said(run: Trajectory, tmp_path: Path) -> None:
    with pytest.raises(TrajectoryError, match="no such file"):
        read_trajectory(tmp_path / "none.traj")
    (tmp_path / "a.dat").write_text("x")
    with pytest.raises(TrajectoryError, match="unknown form"):
        read_trajectory(tmp_path / "a.dat")
    (tmp_path / "b.traj").write_text("x")
    with pytest.raises(TrajectoryError, match="cannot be read"):
        read_trajectory(tmp_path / "b.traj")
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(TrajectoryError, match="no DiffusionAnalyzer"):
        read_trajectory(tmp_path / "c.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrajectoryError, match=r"no [.]parquet chunks"):
        read_trajectory(tmp_path / "empty")
    loose = Trajectory(run.symbols, run.positions, None)
    with pytest.raises(TrajectoryError, match="needs the cells"):
        write_chunk(tmp_path / "d.parquet", loose, np.zeros(FRAMES))


def test_frames_at_other_times_are_refused(images: list[Atoms], tmp_path: Path) -> None:
    write(tmp_path / "run.extxyz", [images[0], images[1], images[4]])
    with pytest.raises(TrajectoryError, match="20 to 60 fs apart"):
        read_trajectory(tmp_path / "run.extxyz")
    write(tmp_path / "run.extxyz", [images[0]] * 3)
    with pytest.raises(TrajectoryError, match="do not ascend"):
        read_trajectory(tmp_path / "run.extxyz")
    write(tmp_path / "run.extxyz", [images[0], images[1][:3]])
    with pytest.raises(TrajectoryError, match="frame 1 has other atoms"):
        read_trajectory(tmp_path / "run.extxyz")

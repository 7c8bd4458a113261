"""Trajectories and tables as files: what others write, and chunks of our own."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hts_battery.errors import TrajectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_METADATA = b"hts_battery"
_ASE_FORMATS = {
    "XDATCAR": "vasp-xdatcar",
    ".traj": "traj",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
}
_SAME = 1e-3  # relative: times of frames as they are written
_DIMENSIONS = 3


@dataclass(frozen=True)
class Trajectory:
    """
    Frames of one run.

    Parameters
    ----------
    symbols
        Element of each atom.
    positions
        Cartesian, frames x atoms x 3, in Å.
    lattices
        Cells, frames x 3 x 3, in Å; None where positions are unwrapped.
    time_step
        Between frames, in fs; None where the file does not say.
    temperature
        In K, as asked for by the run; None where the file does not say.
    """

    symbols: tuple[str, ...]
    positions: Floats
    lattices: Floats | None
    time_step: float | None = None
    temperature: float | None = None

    def indices(self, element: str) -> list[int]:
        """Return the atoms of an element."""
        found = [n for n, symbol in enumerate(self.symbols) if symbol == element]
        if not found:
            present = ", ".join(sorted(set(self.symbols)))
            raise TrajectoryError(f"no {element} in the trajectory; it has {present}")
        return found


def read_trajectory(path: Path) -> Trajectory:
    """
    Read a trajectory by the form of its name.

    ``.traj`` and ``.extxyz`` (or ``.xyz``) of ASE, XDATCAR and vasprun.xml of VASP, a
    ``.parquet`` chunk or a folder of them (in the order of their names), and a
    DiffusionAnalyzer of pymatgen as JSON; what is text also with ``.gz``.

    Raises
    ------
    TrajectoryError
        No such file, an unknown form, or one that cannot be read.
    """
    if not path.exists():
        raise TrajectoryError(f"{path}: no such file")
    reader = _reader(path)
    try:
        return reader(path)
    except TrajectoryError:
        raise
    except Exception as err:
        raise TrajectoryError(f"{path}: cannot be read as a trajectory: {err}") from err


def _reader(path: Path) -> Callable[[Path], Trajectory]:
    """Choose by the form of the name."""
    stem = path.name.removesuffix(".gz")
    if path.is_dir() or stem.endswith(".parquet"):
        return read_chunks
    if stem.startswith("vasprun"):
        return _vasprun
    if stem.endswith(".json"):
        return _analyzer
    for mark, form in _ASE_FORMATS.items():
        if stem.startswith(mark) or stem.endswith(mark):
            return partial(_frames_of_ase, form=form)
    raise TrajectoryError(
        f"{path}: unknown form; .traj, .extxyz, XDATCAR, vasprun.xml, .parquet or a "
        "folder of them, DiffusionAnalyzer .json"
    )


def _frames_of_ase(path: Path, form: str) -> Trajectory:
    """Read what ASE reads; frames may carry ``time`` in fs and ``temperature``."""
    from ase.io import read  # noqa: PLC0415 - of an extra

    frames = read(path, index=":", format=form)
    if not isinstance(frames, list) or not frames:
        raise TrajectoryError(f"{path}: no frames")
    symbols = tuple(frames[0].get_chemical_symbols())
    for number, frame in enumerate(frames):
        if tuple(frame.get_chemical_symbols()) != symbols:
            raise TrajectoryError(f"{path}: frame {number} has other atoms")
    lattices = np.array([frame.cell.array for frame in frames])
    times = [frame.info.get("time") for frame in frames]
    temperature = frames[0].info.get("temperature")
    return Trajectory(
        symbols,
        np.array([frame.positions for frame in frames]),
        lattices if np.abs(np.linalg.det(lattices)).min() > 0 else None,
        _spacing([float(time) for time in times if time is not None], len(frames)),
        None if temperature is None else float(temperature),
    )


def _spacing(times: Sequence[float], frames: int) -> float | None:
    """Return the spacing of equally spaced times; None where they are not all there."""
    if len(times) < max(frames, 2):
        return None
    steps = np.diff(times)
    if not steps.min() > 0:
        raise TrajectoryError("times of frames do not ascend")
    if np.ptp(steps) > _SAME * abs(steps.mean()):
        raise TrajectoryError(
            f"frames are {steps.min():g} to {steps.max():g} fs apart: they must be "
            "equally far"
        )
    return float(steps.mean())


def _vasprun(path: Path) -> Trajectory:
    """Read the ionic steps of molecular dynamics by VASP."""
    from pymatgen.io.vasp import Vasprun  # noqa: PLC0415 - slow to import

    run = Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    if run.parameters.get("IBRION") != 0:
        raise TrajectoryError(f"{path}: no molecular dynamics (IBRION is not 0)")
    cells = [step["structure"] for step in run.ionic_steps]
    return Trajectory(
        tuple(site.specie.symbol for site in cells[0]),
        np.array([cell.cart_coords for cell in cells]),
        np.array([cell.lattice.matrix for cell in cells]),
        float(run.parameters["POTIM"]),
        float(run.parameters["TEBEG"]),
    )


def _analyzer(path: Path) -> Trajectory:
    """Read the displacements of a stored DiffusionAnalyzer."""
    from pymatgen.core import Structure  # noqa: PLC0415 - slow to import

    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        stored = json.load(file)
    if "displacements" not in stored:
        raise TrajectoryError(f"{path}: JSON, but no DiffusionAnalyzer of pymatgen")
    cell = Structure.from_dict(stored["structure"])
    moved = np.asarray(stored["displacements"], dtype=float).transpose(1, 0, 2)
    return Trajectory(
        tuple(site.specie.symbol for site in cell),
        moved + cell.cart_coords,
        np.broadcast_to(cell.lattice.matrix, (len(moved), 3, 3)),
        float(stored["time_step"]) * stored["step_skip"],
        float(stored["temperature"]),
    )


def write_chunk(path: Path, trajectory: Trajectory, energies: ArrayLike) -> None:
    """
    Write frames as Parquet: single precision, 12 bytes an atom and frame, no more.

    Parameters
    ----------
    path
        File; it appears whole or not at all.
    trajectory
        Frames with cells, time step and temperature.
    energies
        Potential energy of each frame, in eV.
    """
    frames, atoms, _ = trajectory.positions.shape
    if trajectory.lattices is None:
        raise TrajectoryError("a chunk needs the cells of its frames")
    columns = {
        "positions": (trajectory.positions, 3 * atoms),
        "lattice": (trajectory.lattices, 9),
    }
    arrays = {
        name: pa.FixedSizeListArray.from_arrays(
            pa.array(np.asarray(values, dtype=np.float32).ravel()), width
        )
        for name, (values, width) in columns.items()
    }
    arrays["energy"] = pa.array(np.asarray(energies, dtype=float))
    head = {
        "symbols": trajectory.symbols,
        "time_step": trajectory.time_step,
        "temperature": trajectory.temperature,
    }
    table = pa.table(arrays).replace_schema_metadata({_METADATA: json.dumps(head)})
    part = path.with_name(path.name + ".part")
    pq.write_table(
        table,
        part,
        compression="zstd",
        use_dictionary=False,
        column_encoding={
            "positions.list.element": "BYTE_STREAM_SPLIT",
            "lattice.list.element": "BYTE_STREAM_SPLIT",
            "energy": "PLAIN",
        },
        row_group_size=frames,
    )
    part.replace(path)


def read_chunks(path: Path) -> Trajectory:
    """Read one chunk, or all of a folder in the order of their names."""
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise TrajectoryError(f"{path}: no .parquet chunks in this folder")
    chunks = [_read_chunk(file) for file in files]
    first = chunks[0]
    for file, chunk in zip(files, chunks, strict=True):
        for name in ("symbols", "time_step", "temperature"):
            if getattr(chunk, name) != getattr(first, name):
                raise TrajectoryError(f"{file}: other {name} than {files[0].name}")
    return replace(
        first,
        positions=np.concatenate([chunk.positions for chunk in chunks]),
        lattices=np.concatenate([np.asarray(chunk.lattices) for chunk in chunks]),
    )


def _read_chunk(file: Path) -> Trajectory:
    """Read one chunk."""
    table = pq.read_table(file)
    head = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if not head:
        raise TrajectoryError(f"{file}: Parquet, but no chunk of a trajectory")

    def rows(name: str) -> Floats:
        flat = table.column(name).combine_chunks().flatten()
        return np.asarray(flat, dtype=float).reshape(len(table), -1, 3)

    return Trajectory(
        tuple(head["symbols"]),
        rows("positions"),
        rows("lattice"),
        head["time_step"],
        head["temperature"],
    )


def read_displacements(path: Path) -> tuple[Floats, Floats]:
    """Read a table whose first columns are lags in fs and displacements in Å²."""
    times, msd, *_ = _columns(
        path, ("lags in fs", "mean squared displacements in Å²"), ()
    )
    return times, msd


def read_diffusivities(path: Path) -> tuple[Floats, Floats, Floats]:
    """
    Read temperatures, diffusivities and their relative errors.

    Parameters
    ----------
    path
        CSV with columns ``T`` (K), ``D`` (cm²/s) and ``D_error`` (one standard error,
        cm²/s), or three columns in this order under other names.
    """
    kelvin, values, errors = _columns(
        path, ("T in K", "D in cm²/s", "D_error in cm²/s"), ("T", "D", "D_error")
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # refused by the fit
        return kelvin, values, errors / values


def _columns(
    path: Path, meanings: tuple[str, ...], names: tuple[str, ...]
) -> list[Floats]:
    """Read columns by name where the table has all, the first ones otherwise."""
    if not path.is_file():
        raise TrajectoryError(f"{path}: no such file")
    try:
        table = pd.read_csv(path, skipinitialspace=True)
        if pd.to_numeric(table.columns.to_series(), errors="coerce").notna().all():
            table = pd.read_csv(path, header=None)  # its first row is data
    except (ValueError, OSError, EOFError) as err:
        raise TrajectoryError(f"{path}: cannot be read as a table: {err}") from err
    by_name = bool(names) and set(names) <= set(table.columns)
    chosen = table[list(names)] if by_name else table.iloc[:, : len(meanings)]
    if chosen.select_dtypes("number").shape[1] < len(meanings):
        raise TrajectoryError(
            f"{path}: {len(meanings)} columns of numbers are needed: "
            + ", ".join(meanings)
        )
    return [chosen.iloc[:, n].to_numpy(float) for n in range(len(meanings))]

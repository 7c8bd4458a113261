"""
A run at several temperatures in pieces, each of which needs only documents.

Whoever computes a piece needs no file of the piece before: its document holds frames
and state. Which piece comes next follows from the documents that there are.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.dynamics import (
    FS_PER_PS,
    ChunkEnergy,
    DynamicsChunk,
    TemperatureRun,
)
from hts_battery.transport.arrhenius_fit import arrhenius
from hts_battery.transport.conductivity import diffusivity
from hts_battery.transport.dynamics import DynamicsSpec, run_chunk
from hts_battery.transport.stop_rule import Ending, ending
from hts_battery.transport.trajectory_files import Trajectory, read_trajectory

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms

    from hts_battery.schemas.dynamics import ChunkPhase, DynamicsOptions
    from hts_battery.schemas.transport import ArrheniusFit, Diffusivity

_FEWEST = 3  # temperatures of a line


class Piece(NamedTuple):
    """One job of a run."""

    run: int
    """Number of the temperature, counted from 1."""
    phase: ChunkPhase
    number: int
    """Counted from 1."""

    @property
    def part(self) -> str:
        """Name under which its output is found again; without a dot."""
        return f"run {self.run} {self.phase} {self.number}"


def next_piece(
    options: DynamicsOptions, known: Mapping[str, DynamicsChunk]
) -> Piece | None:
    """
    Say which piece comes next; None where every temperature has ended.

    Examples
    --------
    >>> from hts_battery.schemas.dynamics import DynamicsOptions
    >>> next_piece(DynamicsOptions(), {}).part
    'run 1 equilibration 1'
    """
    for run in range(1, len(options.temperatures) + 1):
        first = Piece(run, "equilibration", 1)
        if options.equilibration and first.part not in known:
            return first
        if options.equilibration and known[first.part].ending:
            continue
        chunks = sampled(run, known)
        if not chunks or chunks[-1].ending is None:
            return Piece(run, "production", len(chunks) + 1)
    return None


def sampled(run: int, known: Mapping[str, DynamicsChunk]) -> list[DynamicsChunk]:
    """Return the sampled chunks of one temperature, in order."""
    found: list[DynamicsChunk] = []
    while (part := Piece(run, "production", len(found) + 1).part) in known:
        found.append(known[part])
    return found


@dataclass(frozen=True)
class Sampling:
    """
    What is the same in every piece.

    Parameters
    ----------
    options
        Temperatures, lengths, target.
    carrier
        Element that moves.
    charge
        Of it, in e.
    calculator
        Name and version, for the documents.
    """

    options: DynamicsOptions
    carrier: str
    charge: float
    calculator: str

    def compute(
        self, atoms: Atoms, piece: Piece, known: Mapping[str, DynamicsChunk]
    ) -> DynamicsChunk:
        """
        Compute one piece.

        Parameters
        ----------
        atoms
            Relaxed cell with a calculator.
        piece
            Which one.
        known
            Part → what was computed before.
        """
        before = sampled(piece.run, known)
        if piece.phase == "equilibration":
            return self._run(atoms, piece, ())
        rest = known.get(Piece(piece.run, "equilibration", 1).part)
        if rest is not None and not before:
            _take_mean_cell(atoms, rest)
        return self._run(atoms, piece, before)

    def spec(self, piece: Piece) -> DynamicsSpec:
        """Return the settings of a piece's phase."""
        options = self.options
        at_pressure = piece.phase == "equilibration"
        return DynamicsSpec(
            temperature=float(options.temperatures[piece.run - 1]),
            time_step=float(options.time_step),
            thermostat="npt" if at_pressure else options.thermostat,
            every=options.every,
            seed=options.seed + piece.run - 1,
        )

    def _run(
        self, atoms: Atoms, piece: Piece, before: Sequence[DynamicsChunk]
    ) -> DynamicsChunk:
        spec, options = self.spec(piece), self.options
        length = options.chunk if before or piece.phase == "production" else None
        steps = options.steps(options.equilibration if length is None else length)
        with TemporaryDirectory() as place:
            folder = Path(place)
            _write(folder, before)
            chunk = run_chunk(folder, atoms, spec, steps=steps)
            end = self._ending(folder, chunk.unstable, piece)
            name = f"{piece.number:04d}"
            frames = folder / f"chunk-{name}.parquet"
            state = folder / f"state-{name}.json"
            return DynamicsChunk(
                temperature=spec.temperature,
                phase=piece.phase,
                number=piece.number,
                step=chunk.step,
                unstable=chunk.unstable,
                state="" if chunk.unstable else state.read_text("utf-8"),
                frames=""
                if chunk.unstable
                else b64encode(frames.read_bytes()).decode("ascii"),
                calculator=self.calculator,
                ending=end.kind if end else None,
                reason=end.reason if end else "",
                output=ChunkEnergy(
                    energy=None
                    if chunk.unstable
                    else float(atoms.get_potential_energy())
                ),
            )

    def _ending(self, folder: Path, unstable: str, piece: Piece) -> Ending | None:
        """Say why a run ends after this piece, if it does."""
        if unstable:
            return Ending("unstable", unstable)
        if piece.phase == "equilibration":
            return None
        return ending(self._analysed(read_trajectory(folder)), self.options)

    def _analysed(self, frames: Trajectory) -> Diffusivity:
        return diffusivity(
            frames.positions,
            frames.lattices,
            mobile=frames.indices(self.carrier),
            time_step=frames.time_step or 0.0,
            temperature=frames.temperature,
            charges=self.charge,
            jump_length=float(self.options.jump_length),
        )

    def runs(self, known: Mapping[str, DynamicsChunk]) -> tuple[TemperatureRun, ...]:
        """Say what each temperature came to."""
        return tuple(
            self._said(number, known)
            for number in range(1, len(self.options.temperatures) + 1)
        )

    def _said(self, run: int, known: Mapping[str, DynamicsChunk]) -> TemperatureRun:
        chunks = sampled(run, known)
        last = chunks[-1] if chunks else known[Piece(run, "equilibration", 1).part]
        if last.ending is None:
            raise TrajectoryError(f"the run at {last.temperature:g} K has not ended")
        kept = [one for one in chunks if one.frames]
        steps = max((one.step for one in kept), default=0)
        return TemperatureRun(
            temperature=last.temperature,
            ending=last.ending,
            reason=last.reason,
            picoseconds=steps * float(self.options.time_step) / FS_PER_PS,
            chunks=len(kept),
            diffusivity=self._analysed(trajectory(kept)) if kept else None,
        )


def trajectory(chunks: Sequence[DynamicsChunk]) -> Trajectory:
    """Join the frames of chunks."""
    with TemporaryDirectory() as place:
        _write(Path(place), chunks)
        return read_trajectory(Path(place))


def line_through(runs: Sequence[TemperatureRun]) -> ArrheniusFit | None:
    """Fit a line to the diffusivities that there are; none of fewer than three."""
    found = [
        (one.temperature, one.diffusivity.tracer, one.diffusivity.standard_error)
        for one in runs
        if one.diffusivity is not None and one.diffusivity.tracer
    ]
    if len(found) < _FEWEST:
        return None
    kelvin, values, errors = zip(*found, strict=True)
    return arrhenius(kelvin, values, errors)


def _write(folder: Path, chunks: Sequence[DynamicsChunk]) -> None:
    """Write frames and the last state as the files that a run goes on from."""
    for one in chunks:
        if one.frames:
            path = folder / f"chunk-{one.number:04d}.parquet"
            path.write_bytes(b64decode(one.frames))
    if chunks:
        path = folder / f"state-{chunks[-1].number:04d}.json"
        path.write_text(chunks[-1].state, encoding="utf-8")


def _take_mean_cell(atoms: Atoms, rest: DynamicsChunk) -> None:
    """Bring atoms to where the run at zero pressure ended, in the mean of its cells."""
    frames = trajectory([rest])
    cells = np.asarray(frames.lattices)
    atoms.set_cell(cells[-1])
    atoms.set_positions(frames.positions[-1])
    atoms.set_cell(cells[len(cells) // 2 :].mean(axis=0), scale_atoms=True)

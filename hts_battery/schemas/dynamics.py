"""Molecular dynamics and barriers of a campaign: what is asked for, what came of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hts_battery.schemas.barrier import BarrierOptions, HopBarrier, HopKind
from hts_battery.schemas.base import Document, Real, Whole
from hts_battery.schemas.transport import ArrheniusFit, Diffusivity

FS_PER_PS = 1000.0

RunThermostat = Literal["bussi", "langevin", "nose-hoover"]
ChunkPhase = Literal["equilibration", "production"]
RunEnding = Literal[
    "target reached", "hopeless", "budget spent", "framework moved", "unstable"
]
"""
Why a run at one temperature ended.

``hopeless``: the error would not come down to the target within a multiple of the
budget. ``unstable``: too hot, two atoms too near, or numbers that are not finite; what
was sampled before counts, and the last good state is kept.
"""
Kelvin = Annotated[Real, Field(gt=0, allow_inf_nan=False)]


class DynamicsOptions(Document):
    """How long, how hot and in which pieces."""

    temperatures: tuple[Kelvin, ...] = Field(
        (1000.0,), min_length=1, description="One run at each, in K, one after another."
    )
    time_step: Real = Field(2.0, gt=0, le=10, description="In fs.")
    thermostat: RunThermostat = Field(
        "bussi", description="Of the sampled run, at the mean cell of the one before."
    )
    every: Whole = Field(10, gt=0, description="Steps from frame to frame.")
    equilibration: Real = Field(
        2.0,
        ge=0,
        description="At zero pressure before it, in ps; the cell keeps its shape, and "
        "the mean of the second half is sampled. 0 keeps the cell as it is.",
    )
    chunk: Real = Field(5.0, gt=0, description="Length of one job, in ps.")
    budget: Real = Field(
        50.0, gt=0, description="Longest sampled run at each temperature, in ps."
    )
    target_error: Real = Field(
        0.15,
        gt=0,
        lt=1,
        description="Standard error of the diffusivity over its value, at which a run "
        "ends.",
    )
    hopeless: Real = Field(
        10.0,
        ge=1,
        description="A run ends half way through its budget if the target would take "
        "this many times the budget.",
    )
    supercell: tuple[Whole, Whole, Whole] = Field(
        (1, 1, 1), description="Of the relaxed cell, along its vectors."
    )
    jump_length: Real = Field(3.0, gt=0, description="In angstrom, to count jumps.")
    seed: Whole = Field(0, ge=0, description="Of velocities and thermostat.")

    @model_validator(mode="after")
    def _pieces_fit(self) -> Self:
        if min(self.supercell) < 1:
            raise ValueError("supercell: whole numbers of 1 or more")
        if len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError("temperatures: each once")
        if self.chunk > self.budget:
            raise ValueError(
                f"a chunk of {self.chunk:g} ps is longer than the budget of "
                f"{self.budget:g} ps"
            )
        if self.chunk * FS_PER_PS < 2 * self.every * self.time_step:
            raise ValueError("a chunk of fewer than two frames: nothing moves in it")
        return self

    def steps(self, picoseconds: float) -> int:
        """Return the steps of a length of time, a whole number of frames."""
        frames = picoseconds * FS_PER_PS / (self.time_step * self.every)
        return max(round(frames), 1) * self.every


class TransportOptions(Document):
    """What a campaign says about ions that move."""

    carrier: str | None = Field(
        None,
        description="Element that moves; by default the alkali metal of which there is "
        "most.",
    )
    charge: Real = Field(1.0, description="Of the carrier, in e, for conductivities.")
    dynamics: DynamicsOptions = Field(
        default_factory=DynamicsOptions,
        description="Of the recipe `molecular_dynamics`.",
    )
    barrier: BarrierOptions = Field(
        default_factory=BarrierOptions, description="Of the recipe `migration_barrier`."
    )
    hops: Whole = Field(
        4,
        gt=0,
        description="Most kinds of hops whose barrier is computed: of each kind those "
        "that symmetry makes most.",
    )
    kinds: tuple[HopKind, ...] = Field(
        ("single",), min_length=1, description="Of one ion, of two together, or both."
    )


class ChunkEnergy(Document):
    """Potential energy at the end of a chunk."""

    energy: float | None = Field(description="eV; none where the chunk was unstable.")


class DynamicsChunk(Document):
    """One piece of a run, with all that the next one needs."""

    temperature: float = Field(description="In K.")
    phase: ChunkPhase = Field(description="At zero pressure, or sampled.")
    number: int = Field(ge=1, description="Of its phase, counted from 1.")
    step: int = Field(ge=0, description="Steps of the phase at its end.")
    unstable: str = Field(description="Why it ended before; empty where it did not.")
    state: str = Field(description="State at its end as JSON text; empty if unstable.")
    frames: str = Field(description="Parquet of its frames, base64; empty without.")
    calculator: str = Field(description="Calculator with its version.")
    ending: RunEnding | None = Field(description="Why the run ended here, if it did.")
    reason: str = Field(description="That, in a sentence.")
    output: ChunkEnergy = Field(description="What says that the job came to an end.")


class TemperatureRun(Document):
    """What a run at one temperature says."""

    temperature: float = Field(description="In K.")
    ending: RunEnding = Field(description="Why it ended.")
    reason: str = Field(description="In a sentence.")
    picoseconds: float = Field(description="Sampled, in ps.")
    chunks: int = Field(description="Jobs it was sampled in.")
    diffusivity: Diffusivity | None = Field(
        description="None where no frame was sampled."
    )


class MolecularDynamics(Document):
    """What the recipe ``molecular_dynamics`` gives of one cell."""

    candidate_id: str = Field(description="Candidate whose cell it is.")
    entry_id: str = Field(description="Entry whose relaxed cell it starts from.")
    ordering_id: str = Field(description="Which of its orderings that is.")
    calculator: str = Field(description="Calculator with its version.")
    n_atoms: int = Field(gt=0, description="Atoms of the cell that moves.")
    carrier: str = Field(description="Element that moves.")
    runs: tuple[TemperatureRun, ...] = Field(description="One a temperature.")
    arrhenius: ArrheniusFit | None = Field(
        description="Line through the diffusive ones; none with fewer than three."
    )


class MigrationBarriers(Document):
    """What the recipe ``migration_barrier`` gives of one cell."""

    candidate_id: str = Field(description="Candidate whose cell it is.")
    entry_id: str = Field(description="Entry whose relaxed cell it starts from.")
    ordering_id: str = Field(description="Which of its orderings that is.")
    calculator: str = Field(description="Calculator with its version.")
    carrier: str = Field(description="Element that moves.")
    hops: int = Field(description="Different hops of the cell, of the kinds asked for.")
    barriers: tuple[HopBarrier, ...] = Field(description="Those that were computed.")

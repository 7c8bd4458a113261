"""Lattice models: training cells, the fitted model, and what is sampled with it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Literal, Self

from pydantic import Field, model_validator

from hts_battery.schemas.base import Document, Real, Whole
from hts_battery.schemas.decoding import StructureDict

CellKind = Literal["random", "annealed", "electrostatic", "sampled", "lowest"]
"""How a training cell was decorated; the last two by a model that is being closed."""

Supercell = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]


class PairEnergies(Document):
    """Energy of an unlike pair of species, shell by shell."""

    species: tuple[str, str] = Field(description="The two species, by name.")
    energies: tuple[float, ...] = Field(
        description="In eV for each pair of shells 1, 2, … of their two sublattices, "
        "counted once with its images."
    )


class LatticeParameters(Document):
    """A lattice model as numbers: all that an energy is computed from."""

    parent: str = Field("rocksalt", description="Parent lattice.")
    dielectric: float | None = Field(
        None,
        gt=0,
        description="What divides electrostatic energies of the oxidation states; null "
        "leaves them out.",
    )
    edge: float | None = Field(
        None,
        gt=0,
        description="Edge of the conventional cubic cell in angstrom, for "
        "electrostatics; null takes each structure's.",
    )
    pairs: tuple[PairEnergies, ...] = Field((), description="Energies of pairs.")
    species_energies: dict[str, float] = Field(
        default_factory=dict, description="Species → energy of an atom in eV."
    )

    @property
    def digest(self) -> str:
        """Digest of the numbers: two models of one digest give the same energies."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


class LatticeTrainingOptions(Document):
    """Options of the recipe ``lattice_training``."""

    cells: Whole = Field(
        8, gt=0, le=400, description="Cells of each composition, of all kinds together."
    )
    smallest_atoms: Whole = Field(
        20, ge=8, description="Atoms of the smallest cells; shells alias in small ones."
    )
    largest_atoms: Whole = Field(
        40, ge=8, le=400, description="Atoms of the largest cells."
    )
    seed: Whole = Field(0, ge=0, description="Seed of shapes and decorations.")
    model: LatticeParameters | None = Field(
        None,
        description="A model whose own cells are asked for: its lowest states and, at "
        "the temperature, typical ones.",
    )
    temperature: Real | None = Field(
        None,
        gt=0,
        json_schema_extra={"unit": "K"},
        description="Of the typical states of the model, in K.",
    )

    @model_validator(mode="after")
    def _bounds_and_pairs(self) -> Self:
        if self.smallest_atoms > self.largest_atoms:
            raise ValueError(
                f"smallest_atoms {self.smallest_atoms} is above largest_atoms "
                f"{self.largest_atoms}"
            )
        if (self.model is None) != (self.temperature is None):
            raise ValueError("model and temperature belong together: give both or none")
        return self


class TrainingCell(Document):
    """One decorated cell, relaxed, with its energy or why it has none."""

    name: str = Field(description="Which cell of its composition: ``cell 1`` …")
    kind: CellKind = Field(description="How it was decorated.")
    supercell: Supercell = Field(
        description="Vectors in units of the primitive ones, one a row."
    )
    seed: int = Field(description="Seed of the decoration.")
    structure: StructureDict | None = Field(
        description="As relaxed, species with oxidation states; null where nothing was."
    )
    energy: float | None = Field(description="Of the cell in eV, as calculated.")
    calculator: str | None = Field(description="Calculator with its version.")
    refused: str | None = Field(
        None, description="Why its energy may not be used; null where it may."
    )


class LatticeTraining(Document):
    """Training cells of one composition: what the recipe gives."""

    candidate_id: str = Field(description="Candidate whose composition it is.")
    formula: str = Field(description="Formula for people.")
    calculator: str | None = Field(description="Calculator of the cells that count.")
    cells: tuple[TrainingCell, ...] = Field(description="All of them, refused or not.")
    predicted_by: str | None = Field(
        None, description="Digest of the model whose states they are; null for none."
    )

    @property
    def kept(self) -> tuple[TrainingCell, ...]:
        """Cells whose energy counts."""
        return tuple(one for one in self.cells if one.refused is None)


class RefusedCells(Document):
    """Training cells that were left out, for one reason."""

    reason: str = Field(description="Why.")
    cells: tuple[str, ...] = Field(description="Their names: campaign, formula, cell.")


class LearningPoint(Document):
    """Error of a model fitted to a part of the cells."""

    cells: int = Field(description="Cells fitted to.")
    error: float = Field(
        ge=0, description="Root mean square in eV/atom, compositions left out."
    )


class Closing(Document):
    """How cells that a model chose itself came out."""

    campaign: str = Field(description="Campaign that computed them.")
    model: str = Field(description="Digest of the model that chose and predicted them.")
    cells: int = Field(description="New cells with an energy.")
    error: float = Field(
        ge=0,
        description="Root mean square of prediction minus calculation within each "
        "composition, in eV/atom.",
    )
    allowed: float = Field(
        ge=0, description="Error of compositions left out, in eV/atom."
    )
    lower_state: str | None = Field(
        description="A cell below what the model calls the ground state, by more than "
        "the error; null where there is none. It restarts the closing."
    )

    @property
    def closed(self) -> bool:
        """Whether the model predicts its own states within its error."""
        return self.lower_state is None and self.error <= self.allowed


class LatticeModelDoc(Document):
    """A lattice model with what it was fitted to and how far it is to be trusted."""

    digest: str = Field(description="Of the parameters.")
    parameters: LatticeParameters = Field(description="All that gives energies.")
    campaigns: tuple[str, ...] = Field(description="Campaigns of the training cells.")
    calculator: str = Field(description="Calculator with its version.")
    used: tuple[str, ...] = Field(description="Names of the cells that were used.")
    refused: tuple[RefusedCells, ...] = Field(description="The others, by reason.")
    error: float = Field(
        ge=0, description="Root mean square in eV/atom, whole compositions left out."
    )
    absolute_error: float = Field(ge=0, description="Mean absolute of the same.")
    swap_error: float = Field(
        ge=0, description="Standard error of the energy of a swap in eV."
    )
    features: int = Field(description="Parameters of the model.")
    rank: int = Field(description="How many of them the cells tell apart.")
    ridge: float = Field(description="Penalty that left-out cells chose.")
    seed: int = Field(description="Seed of the folds.")
    columns: tuple[str, ...] = Field(description="Names of the parameters.")
    covariance: tuple[tuple[float, ...], ...] = Field(
        description="Of the parameters, from the errors of left-out compositions."
    )
    learning_curve: tuple[LearningPoint, ...] = Field(
        description="Error against the number of cells."
    )
    domain: tuple[dict[str, float], ...] = Field(
        description="Compositions that were fitted to, fractions of each sublattice; "
        "the model speaks of mixtures of them."
    )
    ground_states: dict[str, float] = Field(
        default_factory=dict,
        description="Composition → lowest energy that was calculated, in eV/atom.",
    )
    closing: tuple[Closing, ...] = Field((), description="How its own states came out.")

    @property
    def closed(self) -> bool:
        """Whether the last states that were asked for came out as predicted."""
        return bool(self.closing) and self.closing[-1].closed


class LatticeMonteCarloOptions(Document):
    """Options of the recipe ``lattice_monte_carlo``."""

    model: LatticeModelDoc = Field(
        description="The model, as `hts disorder fit` wrote."
    )
    temperature: Real = Field(
        gt=0, json_schema_extra={"unit": "K"}, description="In K."
    )
    cations: Whole = Field(4_000, ge=32, description="Cations of the cell.")
    sweeps: Whole = Field(
        200, ge=16, description="Sweeps that are kept, of each start."
    )
    seed: Whole = Field(0, ge=0, description="Seed of the random numbers.")


class SampledValue(Document):
    """A mean over a run, with the error of the sampling."""

    value: float = Field(description="The mean.")
    error: float = Field(ge=0, description="Standard error, correlations counted.")


class LatticeRun(Document):
    """Short-range order, energy and accessible carriers at one temperature."""

    formula: str = Field(description="Formula for people.")
    model: str = Field(description="Digest of the model.")
    temperature: float = Field(gt=0, description="In K.")
    cations: int = Field(description="Cations of the cell.")
    sweeps: int = Field(description="Kept sweeps of each start.")
    seed: int = Field(description="Seed.")
    equilibrated: bool = Field(description="Whether every test was passed.")
    reasons: tuple[str, ...] = Field(
        description="Which tests were not passed; values are null then."
    )
    acceptance: float = Field(description="Accepted trials, of all.")
    correlation_time: float = Field(description="Of the energy, in sweeps.")
    starts: tuple[float, float] = Field(
        description="Mean energies in eV/atom from a random and an annealed start."
    )
    energy: SampledValue | None = Field(description="In eV/atom, species left out.")
    fit_error: float = Field(
        ge=0,
        description="Error of the fit in that energy beside a random cell, eV/atom.",
    )
    heat_capacity: SampledValue | None = Field(
        description="Of the configuration, in kB per atom."
    )
    order: dict[str, tuple[SampledValue, ...]] | None = Field(
        description="Pair → Warren-Cowley parameter of shells 1, 2."
    )
    carrier: str | None = Field(description="Element that moves; null without one.")
    carrier_share: float = Field(
        ge=0, le=1, description="Of the cation sites, that hold it."
    )
    tetrahedra: tuple[SampledValue, ...] | None = Field(
        description="Tetrahedra with 0, 1, 2, 3, 4 carriers, of all."
    )
    accessible: SampledValue | None = Field(
        description="Carriers in a wrapping 0-TM cluster, of all."
    )
    wraps: float | None = Field(description="Cells that had such a cluster, of all.")
    caveat: str = Field(description="What is not in the numbers.")


class OrderTemperature(Document):
    """The temperature at which an ordered ground state disorders, between bounds."""

    value: float | None = Field(
        description="In K; null where it lies in the bracket and nothing says where."
    )
    error: float | None = Field(description="Standard error of the sampling in K.")
    fit_error: float | None = Field(
        None, description="Error of the fit in it, in K; null where no fit is known."
    )
    bracket: tuple[float, float] = Field(
        description="In K: cooling had ordered at the first, heating disordered at the "
        "second."
    )
    method: Literal["crossing", "binder"] = Field(
        description="crossing: of integrated free energies; binder: of the cumulants "
        "of two sizes, where the branches do not differ."
    )
    reason: str | None = Field(description="Why there is no value.")
    mean_field: float = Field(
        description="Energy gain of the order over the ideal entropy, in K: too high."
    )
    ground_state_energy: float = Field(description="In eV a cation.")
    random_energy: float = Field(description="Of random decorations, in eV a cation.")
    ground_state_formula: str = Field(description="Reduced formula.")
    space_group: str = Field(description="Of the ordered cell, on the ideal lattice.")
    structure: StructureDict = Field(description="The ordered cell that was annealed.")
    annealed_cells: int = Field(description="Cells that were searched for it.")
    latent_heat: float | None = Field(
        description="Jump of the energy in eV a cation; null for a continuous one."
    )
    cations: int = Field(description="Of the large cell.")
    sweeps: int = Field(description="Kept at each temperature.")
    seed: int = Field(description="Seed.")
    caveat: str = Field(description="What is not in the number.")

"""A campaign file: what is screened, how it is ordered, computed and assessed."""

from __future__ import annotations

import json
from difflib import get_close_matches
from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator, model_validator

from hts_battery.schemas.base import Document, FieldError, Rational, Real, Whole
from hts_battery.schemas.dynamics import TransportOptions
from hts_battery.schemas.electrochemistry import ElectrochemistryOptions
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.space import Selection
from hts_battery.schemas.structure import MagneticOrder, OrderingMethod
from hts_battery.schemas.thermo import StabilityOptions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from hts_battery.schemas.candidate import CandidateDoc

KEY_SCHEME = "hts_battery content key 4"
"""First part of what a content key digests; another scheme, other keys."""

SCREEN = "screen"
"""The recipe that orders candidates, and whose energies are ranked."""
RECIPES = {
    SCREEN: "hts_battery.flows.recipes.screen",
    "references": "hts_battery.flows.recipes.references",
    "equation_of_state": "hts_battery.flows.recipes.equation_of_state",
    "lattice_training": "hts_battery.flows.recipes.lattice_training",
    "lattice_monte_carlo": "hts_battery.flows.recipes.lattice_monte_carlo",
    "charged_cells": "hts_battery.flows.recipes.charged_cells",
    "molecular_dynamics": "hts_battery.flows.recipes.molecular_dynamics",
    "migration_barrier": "hts_battery.flows.recipes.migration_barrier",
}
"""Recipe → module that holds it as ``RECIPE``: a stored campaign of another version's
recipe cannot be read here."""

Temperature = Annotated[Real, Field(ge=0, allow_inf_nan=False)]


def no_such_recipe(name: str) -> str:
    """Say that there is no recipe of a name, and which there are."""
    near = get_close_matches(name, RECIPES, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"there is no recipe {name!r}; {hint}choose one of {', '.join(RECIPES)}"


class StructureSpec(Document):
    """How a candidate's ordered cells are made."""

    n_orderings: dict[OrderingMethod, Annotated[Whole, Field(gt=0)]] = Field(
        {OrderingMethod.SQS: 2, OrderingMethod.ELECTROSTATIC: 2},
        min_length=1,
        examples=[{"sqs": 2, "electrostatic": 2}],
        description="Method (sqs, electrostatic, random) → number of different "
        "orderings of each candidate; all are computed. Another number computes what "
        "is missing, and a smaller one leaves out what is too many.",
    )
    atoms: Whole | None = Field(
        40,
        gt=0,
        examples=[40],
        description="Number of atoms in the cell; null takes the smallest cell that "
        "holds each candidate, on a rocksalt parent the smallest of at least 20 "
        "cations: orderings of smaller ones are compounds, flagged and no bound.",
    )
    iterations: Whole = Field(
        100_000, gt=0, description="Arrangements tried by each search."
    )
    seed: Whole = Field(0, ge=0, description="Seed of the first search.")
    max_deviation: Rational = Field(
        Fraction(0),
        ge=0,
        description="Largest difference between cell and candidate of any element, "
        "in atoms per formula unit, where no cell of that size holds the candidate "
        "exactly; 0 refuses such a candidate.",
    )
    magnetic_order: MagneticOrder = Field(
        MagneticOrder.FERROMAGNETIC,
        description="How the moments of a cell start, the same in every ordering.",
    )


class RelaxationSpec(Document):
    """When a relaxation counts as done."""

    fmax: Real = Field(
        0.05,
        gt=0,
        description="Largest force component norm allowed, in eV/angstrom.",
        json_schema_extra={"unit": "eV/angstrom"},
    )
    steps: Whole = Field(
        500,
        gt=0,
        examples=[500],
        description="Ionic steps after which a relaxation is unconverged.",
    )
    relax_cell: bool = Field(
        default=True, description="Whether cell shape and volume move."
    )


class PrerelaxSpec(Document):
    """A cheap relaxation before the expensive one starts from its result."""

    engine: str = Field("chgnet", description="Engine of the cheap relaxation.")
    relaxation: RelaxationSpec = Field(
        default_factory=RelaxationSpec, description="Its settings."
    )


class GateSpec(Document):
    """Which pre-relaxed candidates are worth the expensive calculation."""

    energy_above_hull: Real = Field(
        allow_inf_nan=False,
        json_schema_extra={"unit": "eV/atom"},
        description="Largest pre-relaxed E_hull at the temperature that passes, in "
        "eV/atom; the lowest ordering of a candidate decides for all of them.",
    )
    temperature: Temperature = Field(
        1473.0,
        description="Temperature in K of the mixing entropy that is counted.",
        json_schema_extra={"unit": "K"},
    )


class SourceSpec(Document):
    """Members from an earlier campaign: those that its last build ranks first."""

    campaign: str = Field(description="Name of the campaign that was built.")
    filter: str = Field("", description="Which of its candidates; all by default.")
    order: tuple[str, ...] = Field(
        (),
        description="Fields to sort by, falling ones with a minus before them; by "
        "E_hull at the lowest temperature by default.",
    )
    limit: Whole | None = Field(
        None, gt=0, description="How many at most; all by default."
    )


class CampaignSpec(Document):
    """One campaign, complete: the same file gives the same candidates and numbers."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        examples=["first-look"],
        description="Short name: lower-case letters, digits, - and _.",
    )
    description: str = Field("", description="What the campaign is for.")
    recipe: str = Field(SCREEN, description="What is computed of each candidate.")
    recipe_options: dict[str, object] = Field(
        default_factory=dict,
        examples=[{"points": 7}],
        description="Options of the recipe, those it names.",
    )
    space: dict[str, object] | str | None = Field(
        None,
        examples=["my_space.yaml"],
        description="The composition space, or the file that holds it.",
    )
    selection: Selection | None = Field(
        None,
        examples=[
            {"method": "sample", "count": 8, "seed": 1},
            {"method": "formulas", "file": "mine.csv"},
        ],
        description="Which members of the space are screened.",
    )
    source: SourceSpec | None = Field(
        None,
        examples=[{"campaign": "first-look", "limit": 3}],
        description="Members from an earlier campaign, instead of a space.",
    )
    structure: StructureSpec = Field(
        default_factory=StructureSpec,
        examples=[{"n_orderings": {"sqs": 2}, "atoms": 40}],
        description="How ordered cells are made.",
    )
    engine: str = Field(
        "chgnet", examples=["chgnet"], description="Engine that gives energies."
    )
    relaxation: RelaxationSpec = Field(
        default_factory=RelaxationSpec,
        examples=[{"fmax": 0.05, "steps": 500}],
        description="Relaxation settings.",
    )
    prerelax: PrerelaxSpec | None = Field(
        None,
        examples=[{"engine": "chgnet", "relaxation": {"fmax": 0.1, "steps": 300}}],
        description="Cheap relaxation before the expensive one; none by default.",
    )
    gate: GateSpec | None = Field(
        None,
        examples=[{"energy_above_hull": 0.15, "temperature": 1473}],
        description="Threshold that the pre-relaxed candidate must pass; none by "
        "default.",
    )
    temperatures: tuple[Temperature, ...] | None = Field(
        None,
        min_length=1,
        examples=[[0, 1473]],
        json_schema_extra={"unit": "K"},
        description="Temperatures in K; the default stands in the settings.",
    )
    entropy: EntropyOptions = Field(
        default_factory=EntropyOptions,
        examples=[{"convention": "textbook", "count_anions": False}],
        description="Convention of the mixing entropy.",
    )
    stability: StabilityOptions = Field(
        default_factory=StabilityOptions,
        examples=[{"left_out_references": "own_phase"}],
        description="What a candidate is compared with, and what is known at "
        "temperature.",
    )
    electrochemistry: ElectrochemistryOptions = Field(
        default_factory=ElectrochemistryOptions,
        description="Carrier, ceilings, electrodes: what capacity, stability window "
        "and interfaces are computed with.",
    )
    transport: TransportOptions = Field(
        default_factory=TransportOptions,
        description="Carrier, temperatures, lengths, hops: what molecular dynamics and "
        "barriers are computed with.",
    )
    filters: tuple[dict[str, object], ...] = Field(
        (),
        examples=[[{"rule": "size-mismatch", "maximum": 0.1}]],
        description="Named rules that remove members before they cost anything.",
    )

    @field_validator("recipe")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in RECIPES:
            raise ValueError(no_such_recipe(value))
        return value

    @field_validator("temperatures")
    @classmethod
    def _each_once(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and len(set(value)) < len(value):
            twice = next(one for one in value if value.count(one) > 1)
            raise ValueError(f"each temperature stands once, and {twice:g} twice")
        return value

    @model_validator(mode="after")
    def _members_come_from_one_place(self) -> Self:
        named = [name for name in ("space", "selection") if getattr(self, name) is None]
        if self.source is None and named:
            raise ValueError(
                f"{' and '.join(named)} missing: say which candidates by `space` and "
                "`selection`, or by `source` those of an earlier campaign"
            )
        if self.source is not None and (self.filters or len(named) < 2):  # noqa: PLR2004 - both
            raise FieldError(
                "members come from `source`, or from `space`, `selection` and "
                "`filters`: leave the others out",
                "source",
            )
        return self

    @model_validator(mode="after")
    def _gate_has_energies(self) -> Self:
        if self.gate is not None and self.prerelax is None:
            raise FieldError(
                "a gate needs the energies of a prerelax block: add prerelax: "
                "{engine: chgnet}",
                "gate",
            )
        return self

    @property
    def screens(self) -> bool:
        """Whether it orders candidates; other recipes start from relaxed cells."""
        return self.recipe == SCREEN

    @property
    def orderings(self) -> dict[OrderingMethod, int]:
        """Method → orderings asked for; empty where the recipe has the cell already."""
        return self.structure.n_orderings if self.screens else {}

    @property
    def calculation(self) -> dict[str, object]:
        """
        What, besides composition and species, decides the energies of a key.

        How many orderings are asked for is not in it: more of them begin with the same
        ones. Nor are the steps of the relaxation: what converged within them is the
        same with more, and what did not goes on from there; one step alone is no
        relaxation and another calculation. Nor is the gate: it decides whether there is
        an energy, not which.
        """
        if not self.screens:
            return {
                "recipe": self.recipe,
                "options": self.recipe_options,
                **self._transport_settings(),
                "engine": self.engine,
                "relaxation": self.relaxation.model_dump(mode="json"),
            }
        settings: dict[str, object] = {
            "structure": self.structure.model_dump(
                mode="json", exclude={"n_orderings"}
            ),
            "engine": self.engine,
            "relaxation": self.relaxation.model_dump(
                mode="json", exclude=set() if self.relaxation.steps == 1 else {"steps"}
            ),
        }
        if self.prerelax is not None:
            # Another start may end in another minimum.
            settings["prerelax"] = self.prerelax.model_dump(mode="json")
        return settings

    def _transport_settings(self) -> dict[str, object]:
        """Return what the section `transport` says of a recipe that reads it."""
        parts = {
            "molecular_dynamics": {"carrier", "charge", "dynamics"},
            "migration_barrier": {"carrier", "barrier", "hops", "kinds"},
        }
        if self.recipe not in parts:
            return {}
        chosen = self.transport.model_dump(mode="json", include=parts[self.recipe])
        return {"transport": chosen}


def content_key(
    candidate_id: str,
    calculation: Mapping[str, object],
    *,
    assignment: Mapping[str, Mapping[str, Fraction]] | None = None,
) -> str:
    """
    Digest a calculation: what is computed, how it is ordered, engine and settings.

    Two submissions with one key are one calculation; a second is not run.

    ``candidate_id``: digest of the composition. ``calculation``: structure, engine and
    relaxation settings, JSON types only. ``assignment``: sublattice → species → amount
    per formula unit, as the cells are decorated: one composition with other oxidation
    states starts from other cells.

    Examples
    --------
    >>> settings = {"engine": "chgnet"}
    >>> key = content_key("bc6f833a1ab682dccbc6", settings)
    >>> len(key)
    24
    >>> manganese = {"cation": {"Li+": Fraction(1), "Mn3+": Fraction(1)}}
    >>> key == content_key("bc6f833a1ab682dccbc6", settings, assignment=manganese)
    False
    """
    species = {
        sublattice: {name: str(amount) for name, amount in occupation.items()}
        for sublattice, occupation in (assignment or {}).items()
    }
    text = json.dumps([KEY_SCHEME, candidate_id, calculation, species], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:24]


def candidate_key(candidate: CandidateDoc, calculation: Mapping[str, object]) -> str:
    """
    Content key of the calculation of a candidate as it would be computed today.

    ``candidate``: its chosen species assignment, and where the space overrides them the
    spin states of its species, decide the structures; where a recipe starts from a
    relaxed cell, that cell does.
    """
    assignment = candidate.assignments[0]
    present = {species for occupation in assignment.values() for species in occupation}
    spins = {
        species: state.unpaired_electrons
        for species, state in candidate.spin_states.items()
        if species in present
    }
    settings = {**calculation, "unpaired_electrons": spins} if spins else calculation
    if candidate.start is not None:
        settings = {**settings, "start": candidate.start.digest}
    return content_key(candidate.candidate_id, settings, assignment=assignment)

"""Reference phases: the crystal structures candidates compete with, and energies."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Self

from pydantic import Field, model_validator

from hts_battery.errors import CompositionError
from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.energy import ComparableEnergy
from hts_battery.schemas.formula import ELEMENTS, parse_formula


class SourceKind(StrEnum):
    """Where the numbers of a structure come from."""

    CRYSTALLOGRAPHIC_FILE = "crystallographic file"
    """Cell and coordinates of a published determination, cited."""
    COMPUTED_STRUCTURE = "computed structure"
    """Cell and coordinates that somebody relaxed with density-functional theory."""
    AFLOW_DECORATED = "AFLOW prototype decorated"
    """Coordinates of an AFLOW prototype, other species, cell rescaled."""
    PUBLISHED_TYPE = "published type decorated"
    """Coordinates of a published structure, other species, cell rescaled."""
    OWN_DECORATION = "own decoration"
    """Idealised coordinates written or computed by this project; no citation."""
    ELECTROSTATIC_ORDERING = "own electrostatic ordering"
    """Ordering of a parent lattice with the lowest energy of its formal charges."""
    OWN_FILE = "own file"
    """An ordered structure that a user brought in a file."""
    OWN_FILE_ORDERED = "own file, ordered by us"
    """A disordered structure of a user's file in an ordering of low energy of its
    formal charges; nobody has refined that ordering."""


class OrderingSource(Document):
    """How an ordering of a parent lattice is made again."""

    parent: str = Field(description="Name of the parent lattice.")
    cells: int = Field(gt=0, description="Primitive cells of the parent in the cell.")
    species: dict[str, dict[str, int]] = Field(
        description="Sublattice, species and number of sites in the cell."
    )
    rank: int = Field(
        default=1, gt=0, description="1 for the lowest electrostatic energy."
    )
    seed: int = Field(default=0, description="Start of the random streams.")
    every_shape: bool = Field(
        default=True,
        description="Whether every cell of that size was searched; otherwise the "
        "compact one.",
    )


class ReferenceSource(Document):
    """Where one structure comes from."""

    kind: SourceKind = Field(description="Kind of source.")
    cod_id: int | None = Field(
        default=None,
        description="Number in the Crystallography Open Database, for files from it.",
    )
    database: str | None = Field(
        default=None,
        description="Collection that the numbers were read in, where that is not the "
        "Crystallography Open Database: AMCSD, AFLOW, OBELiX, Materials Project.",
    )
    number: str | None = Field(
        default=None, description="What that collection calls the structure."
    )
    citation: str | None = Field(
        default=None, description="Article that the file names, or where it is from."
    )
    licence: str | None = Field(
        default=None,
        description="Terms that ask for attribution; empty where the numbers are "
        "public domain or plain facts.",
    )
    aflow_label: str | None = Field(
        default=None, description="Label in the AFLOW library of prototypes."
    )
    prototype: str | None = Field(
        default=None, description="Prototype of this library whose sites were filled."
    )
    cell_scaled: bool = Field(
        default=False,
        description="Whether the cell was scaled from the prototype's so that bonds "
        "fit the sums of Shannon radii.",
    )
    type_source: str | None = Field(
        default=None,
        description="Structure that gives a published type its coordinates: number "
        "and article.",
    )
    ordering: OrderingSource | None = Field(
        default=None, description="How an electrostatic ordering is made again."
    )
    file: str | None = Field(
        default=None, description="Name of the user's file that it was read in."
    )

    @model_validator(mode="after")
    def _citation_belongs_to_a_file(self) -> Self:
        """Keep citations to what they were read in."""
        if (self.database is None) != (self.number is None):
            raise ValueError("a database and the number in it stand together")
        if self.cod_id and self.database:
            raise ValueError("a source is one file: cod_id, or database and number")
        computed = self.kind is SourceKind.COMPUTED_STRUCTURE
        if computed and self.database is None:
            raise ValueError("a computed structure names its database and number")
        is_file = computed or self.kind is SourceKind.CRYSTALLOGRAPHIC_FILE
        cited = self.citation is not None
        numbered = self.cod_id is not None or self.database is not None
        if is_file != cited or is_file != numbered:
            raise ValueError(
                "a structure from a file has its number and citation, nothing else has"
            )
        if self.licence and not is_file:
            raise ValueError("a licence belongs to a structure from a file")
        if (self.kind is SourceKind.AFLOW_DECORATED) != bool(self.aflow_label):
            raise ValueError("aflow_label belongs to decorated AFLOW prototypes")
        return self

    @model_validator(mode="after")
    def _type_and_ordering_belong_to_their_kinds(self) -> Self:
        """Keep a type's article and an ordering's recipe to what came from them."""
        if (self.kind is SourceKind.PUBLISHED_TYPE) != bool(self.type_source):
            raise ValueError("type_source belongs to decorated published types")
        if (self.kind is SourceKind.ELECTROSTATIC_ORDERING) != bool(self.ordering):
            raise ValueError("ordering belongs to electrostatic orderings")
        own = self.kind in (SourceKind.OWN_FILE, SourceKind.OWN_FILE_ORDERED)
        if own != bool(self.file):
            raise ValueError("file belongs to structures of a user's own, and only")
        return self


class ReferenceSite(Document):
    """One site of the asymmetric unit."""

    element: str = Field(description="Symbol.")
    oxidation_state: Rational = Field(
        description="Formal charge in e; a fraction where valences share a site."
    )
    position: tuple[float, float, float] = Field(
        description="Fractional coordinates in the conventional cell."
    )

    @model_validator(mode="after")
    def _element_is_known(self) -> Self:
        if self.element not in ELEMENTS:
            raise ValueError(f"{self.element!r} is not an element")
        return self


class ReferencePhase(Document):
    """One competing phase: what it is and where its atoms sit."""

    phase_id: str = Field(description="Unique key: formula and structure type.")
    formula: str = Field(description="Formula, as written in the library.")
    name: str | None = Field(default=None, description="Mineral or common name.")
    group: str = Field(description="File of the library that holds it.")
    space_group_symbol: str = Field(description="International symbol, short.")
    space_group_number: int = Field(
        ge=1, le=230, description="Number in the International Tables."
    )
    cell: tuple[float, float, float, float, float, float] = Field(
        description="a, b, c in angstrom, alpha, beta, gamma in degree; conventional."
    )
    sites: tuple[ReferenceSite, ...] = Field(
        min_length=1, description="Sites of the asymmetric unit."
    )
    source: ReferenceSource = Field(description="Where the numbers come from.")
    supergroup: int | None = Field(
        default=None,
        ge=1,
        le=230,
        description="Space group that a search within 0.1 angstrom finds when the "
        "stated distortion is smaller; empty where it finds the stated one.",
    )
    candidate_family: str | None = Field(
        default=None,
        description="Family that this phase is itself a member of: a competitor like "
        "any other, unless a campaign leaves its own family out.",
    )
    note: str | None = Field(default=None, description="What a reader should know.")

    @property
    def amounts(self) -> dict[str, Fraction]:
        """Amount of each element in the formula as written."""
        return parse_formula(self.formula)

    @property
    def elements(self) -> frozenset[str]:
        """Symbols of the elements in it."""
        return frozenset(site.element for site in self.sites)

    @property
    def chemical_system(self) -> str:
        """Symbols joined by hyphens, alphabetical: ``Li-Mn-O``."""
        return "-".join(sorted(self.elements))

    @model_validator(mode="after")
    def _formula_names_the_sites(self) -> Self:
        """Catch a formula that has other elements than the sites."""
        try:
            named = frozenset(self.amounts)
        except CompositionError as err:
            raise ValueError(str(err)) from err
        if named != self.elements:
            raise ValueError(
                f"formula {self.formula} and sites {sorted(self.elements)} "
                "name different elements"
            )
        return self


def mean_oxidation_states(phase: ReferencePhase) -> dict[str, float]:
    """
    Mean formal charge of each element of a phase, in e.

    How often a site of the asymmetric unit occurs is not written down, so where an
    element has several charges its mean is what makes the formula neutral; it is left
    out where that does not say it.
    """
    found: dict[str, set[Fraction]] = {}
    for site in phase.sites:
        found.setdefault(site.element, set()).add(site.oxidation_state)
    means = {name: min(states) for name, states in found.items() if len(states) == 1}
    amounts = phase.amounts
    unknown = found.keys() - means.keys()
    if len(unknown) == 1:
        (name,) = unknown
        rest = sum((amounts[other] * means[other] for other in means), Fraction(0))
        means[name] = -rest / amounts[name]
    return {name: float(charge) for name, charge in means.items()}


class ReferenceEnergy(Document):
    """Outcome of relaxing one reference phase with one engine."""

    phase_id: str = Field(description="Key of the phase.")
    formula: str = Field(description="Formula of the phase.")
    engine: str = Field(description="Name of the engine.")
    candidate_family: str | None = Field(
        default=None,
        description="Family that the phase is itself a member of; for a phase of the "
        "library the library says it.",
    )
    energy_per_atom: float | None = Field(
        description="Total energy in eV/atom, on the engine's own scale; empty where "
        "no energy was reached."
    )
    n_atoms: int = Field(gt=0, description="Atoms in the cell that was relaxed.")
    converged: bool = Field(description="Whether the relaxation converged.")
    n_steps: int | None = Field(default=None, description="Steps of the relaxation.")
    max_force: float | None = Field(
        default=None, description="Largest force on an atom at the end, eV/angstrom."
    )
    space_group_number: int | None = Field(
        default=None, description="Space group found after relaxation, symprec 0.1."
    )
    volume_per_atom: float | None = Field(
        default=None, description="Volume after relaxation, angstrom^3/atom."
    )
    structure: dict[str, object] | None = Field(
        default=None, description="Relaxed structure as pymatgen writes it."
    )
    start_digest: str = Field(
        description="Digest of the structure that the relaxation started from."
    )
    versions: dict[str, str] = Field(
        default_factory=dict, description="Versions of the packages that computed it."
    )
    rejected: str | None = Field(
        default=None, description="Why this energy may not be used; empty if it may."
    )
    label: str | None = Field(
        default=None,
        description="Name of the calculator where it is not the engine with its "
        "version.",
    )
    comparable: ComparableEnergy | None = Field(
        default=None,
        description="The energy as it enters a hull, with every correction in eV per "
        "cell, for engines whose energies need them; empty for the others.",
    )
    oxidation_states: dict[str, float] = Field(
        default_factory=dict,
        description="Element → mean formal charge in e, for a phase that is not in "
        "the library.",
    )
    source: str | None = Field(
        default=None, description="Where an imported energy comes from."
    )
    phase: ReferencePhase | None = Field(
        default=None,
        exclude_if=lambda phase: phase is None,
        description="The phase itself, where a user brought it and the library does "
        "not hold it; other engines compute it from here.",
    )

    @property
    def calculator(self) -> str:
        """Engine with the version that computed it, for example ``chgnet 0.4.2``."""
        if self.label is not None:
            return self.label
        return f"{self.engine} {self.versions.get(self.engine, 'unknown')}"

    @model_validator(mode="after")
    def _unusable_says_why(self) -> Self:
        """Refuse an unconverged energy that does not say it is unusable."""
        if self.rejected is None and not (
            self.converged and self.energy_per_atom is not None
        ):
            raise ValueError(
                f"{self.phase_id}: an energy that is missing or not converged needs "
                "a reason in 'rejected'"
            )
        return self


class ReferenceEnergyFile(Document):
    """Energies of reference phases by one engine with one set of settings."""

    engine: str = Field(description="Name of the engine; the same in every energy.")
    settings: dict[str, object] = Field(
        description="Settings of the engine: force criterion in eV/angstrom, steps."
    )
    versions: dict[str, str] = Field(description="Versions of the packages used.")
    created: datetime = Field(description="When the file was written, UTC.")
    energies: tuple[ReferenceEnergy, ...] = Field(description="One entry a phase.")

    @model_validator(mode="after")
    def _one_engine_one_entry_a_phase(self) -> Self:
        """Refuse a mixture of engines and a phase that appears twice."""
        engines = {energy.engine for energy in self.energies} - {self.engine}
        if engines:
            raise ValueError(
                f"file of {self.engine} holds energies of {sorted(engines)}"
            )
        ids = [energy.phase_id for energy in self.energies]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"more than one energy for {', '.join(twice)}")
        if self.created.tzinfo is None:
            raise ValueError("created must carry its time zone (UTC)")
        return self


def family_of(energy: ReferenceEnergy, phase: ReferencePhase | None) -> str | None:
    """
    Family that a reference is itself a member of.

    ``energy``: its energy, which says so for a phase that the library does not hold.
    ``phase``: the phase in the library, if it is there.
    """
    return energy.candidate_family or (phase.candidate_family if phase else None)

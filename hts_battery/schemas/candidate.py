"""The canonical candidate: one element-level composition on one family's sites."""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING, Self, cast

from pydantic import Field

from hts_battery.errors import CompositionError
from hts_battery.schemas.base import Document, Rational
from hts_battery.schemas.decoding import StructureDict, read_structure
from hts_battery.schemas.formula import canonical_formula, display_formula
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import SpinState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from pymatgen.core import Structure

    Assignment = Mapping[str, Mapping[str, Fraction]]
    """Sublattice → species → amount per formula unit."""

_ID_SCHEME = "hts_battery candidate 1"
_ID_LENGTH = 20


def candidate_id(family: str, canonical: str) -> str:
    """
    Digest the content that makes a candidate: its family and its composition.

    The same on every machine, for ever: SHA-256 over ASCII text, first 80 bits as
    20 hexadecimal digits. The family stands in it because it fixes the sublattices
    that mix: layered and disordered LiCo0.5Ni0.5O2 are two candidates.

    ``family``: name of the family, for example ``hedrx``. ``canonical``: text made by
    :func:`hts_battery.schemas.formula.canonical_formula`.

    Examples
    --------
    >>> candidate_id("hedrx", "Li2O3Ti1")
    'bc6f833a1ab682dccbc6'
    """
    text = f"{_ID_SCHEME}\n{family}\n{canonical}"
    return sha256(text.encode("ascii")).hexdigest()[:_ID_LENGTH]


def element_amounts(assignment: Assignment) -> dict[str, Fraction]:
    """
    Add up the elements of an assignment, alphabetically; a vacancy is none.

    Examples
    --------
    >>> element_amounts({"metal": {"Mn2+": Fraction(1), "Mn3+": Fraction(1, 2)}})
    {'Mn': Fraction(3, 2)}
    """
    amounts: dict[str, Fraction] = {}
    for occupation in assignment.values():
        for text, amount in occupation.items():
            element = parse_species(text).element
            if element != VACANCY and amount:
                amounts[element] = amounts.get(element, Fraction(0)) + amount
    return dict(sorted(amounts.items()))


def atoms_per_formula_unit(assignment: Assignment) -> Fraction:
    """Count the atoms of an assignment per formula unit; a vacancy is not an atom."""
    return sum(element_amounts(assignment).values(), Fraction(0))


class Candidate:
    """
    One composition that can be screened.

    Parameters
    ----------
    family
        Name of the family whose sublattices it fills.
    amounts
        Amount of each element per formula unit, exact; no vacancies.
    sites
        Number of sites of each sublattice per formula unit.
    assignments
        Every charge-neutral way to put species on sublattices that gives these
        amounts, the chosen one first; or a function that returns them, called once
        when first needed (streaming a space does not need them).
    spin_states
        Species whose electrons differ from the species table, as the space says;
        they decide the magnetic start and take no part in the id.

    Notes
    -----
    Immutable by convention, hashable, equal by id.
    """

    __slots__ = (
        "_assignments",
        "_canonical",
        "_id",
        "amounts",
        "family",
        "sites",
        "spin_states",
    )

    def __init__(
        self,
        family: str,
        amounts: Mapping[str, Fraction],
        *,
        sites: Mapping[str, Fraction],
        assignments: tuple[Assignment, ...] | Callable[[], tuple[Assignment, ...]],
        spin_states: Mapping[str, SpinState] | None = None,
    ) -> None:
        self.family = family
        self.amounts = amounts
        self.sites = sites
        self._assignments = assignments
        self._canonical: str | None = None
        self._id: str | None = None
        self.spin_states: Mapping[str, SpinState] = spin_states or {}

    @property
    def formula(self) -> str:
        """Formula for people, per formula unit where decimals are exact."""
        return display_formula(self.amounts)

    @property
    def canonical_formula(self) -> str:
        """Symbols alphabetical, smallest integers, 1 written."""
        if self._canonical is None:
            self._canonical = canonical_formula(self.amounts)
        return self._canonical

    @property
    def candidate_id(self) -> str:
        """Digest of family and composition; see :func:`candidate_id`."""
        if self._id is None:
            self._id = candidate_id(self.family, self.canonical_formula)
        return self._id

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """Every species assignment, the chosen one first."""
        if callable(self._assignments):
            self._assignments = self._assignments()
        return self._assignments

    @property
    def assignment(self) -> Assignment:
        """The chosen assignment: sublattice → species → amount per formula unit."""
        return self.assignments[0]

    @property
    def species(self) -> dict[str, Fraction]:
        """Amount of each species of the chosen assignment per formula unit."""
        total: dict[str, Fraction] = {}
        for sublattice in self.assignment.values():
            for species, amount in sublattice.items():
                total[species] = total.get(species, Fraction(0)) + amount
        return total

    @property
    def atoms_per_formula_unit(self) -> Fraction:
        """Number of atoms per formula unit; a vacancy is not an atom."""
        return sum(self.amounts.values(), Fraction(0))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Candidate):
            return NotImplemented
        return self.candidate_id == other.candidate_id

    def __hash__(self) -> int:
        return hash(self.candidate_id)

    def __repr__(self) -> str:
        return f"<Candidate {self.formula} {self.family} {self.candidate_id}>"


class StartingCell(Document):
    """The relaxed cell of a candidate that a further recipe starts from."""

    campaign: str = Field(description="Campaign that relaxed it.")
    entry_id: str = Field(description="Entry of its energy: the lowest ordering's.")
    ordering_id: str = Field(description="Digest of candidate, cell and decoration.")
    engine: str = Field(description="Engine that relaxed it.")
    calculator: str = Field(description="Calculator with its version.")
    energy_per_atom: float = Field(description="Its energy as compared, in eV/atom.")
    digest: str = Field(description="Of structure and engine; part of content keys.")
    structure: StructureDict = Field(
        description="Relaxed lattice (angstrom) and positions as a dictionary of "
        "pymatgen's Structure: species with oxidation states, starting moments."
    )

    @property
    def n_atoms(self) -> int:
        """Number of atoms of the cell."""
        return len(cast("Sized", self.structure["sites"]))

    def to_structure(self) -> Structure:
        """Build the pymatgen structure, oxidation states and moments included."""
        return read_structure(self.structure)


class CandidateDoc(Document):
    """A candidate as it is stored and as it travels to a node."""

    candidate_id: str = Field(description="Digest of family and composition.")
    family: str = Field(description="Family whose sublattices it fills.")
    formula: str = Field(description="Formula for people, per formula unit.")
    canonical_formula: str = Field(
        description="Symbols alphabetical, smallest integers, 1 written."
    )
    elements: tuple[str, ...] = Field(description="Symbols, alphabetical.")
    n_elements: int = Field(description="Number of elements.")
    amounts: dict[str, Rational] = Field(
        description="Amount of each element per formula unit, exact."
    )
    sites: dict[str, Rational] = Field(
        description="Sites of each sublattice per formula unit."
    )
    assignments: tuple[dict[str, dict[str, Rational]], ...] = Field(
        description="Sublattice → species → amount per formula unit; "
        "the assignment used for structures first."
    )
    spin_states: dict[str, SpinState] = Field(
        default_factory=dict,
        description="Species → spin state and unpaired electrons, where the space "
        "overrides the species table; empty if nowhere.",
    )
    start: StartingCell | None = Field(
        None,
        description="Relaxed cell that a recipe starts from; stored with the member, "
        "not with the candidate.",
    )

    @classmethod
    def from_candidate(cls, candidate: Candidate) -> Self:
        """Write a candidate down, its assignments included."""
        return cls(
            candidate_id=candidate.candidate_id,
            family=candidate.family,
            formula=candidate.formula,
            canonical_formula=candidate.canonical_formula,
            elements=tuple(sorted(candidate.amounts)),
            n_elements=len(candidate.amounts),
            amounts=dict(candidate.amounts),
            sites=dict(candidate.sites),
            assignments=tuple(
                {name: dict(species) for name, species in assignment.items()}
                for assignment in candidate.assignments
            ),
            spin_states=dict(candidate.spin_states),
        )

    def to_candidate(self) -> Candidate:
        """
        Read the candidate back and check that nothing was altered.

        Raises CompositionError if an assignment is not neutral, does not fill the sites
        or does not give the amounts, or if the id is not that of the content.
        """
        candidate = Candidate(
            self.family,
            self.amounts,
            sites=self.sites,
            assignments=self.assignments,
            spin_states=self.spin_states,
        )
        for assignment in self.assignments:
            check_assignment(assignment, amounts=self.amounts, sites=self.sites)
        if candidate.candidate_id != self.candidate_id:
            raise CompositionError(
                f"candidate {self.candidate_id} does not match its content "
                f"{candidate.canonical_formula} ({candidate.candidate_id})"
            )
        return candidate


def check_assignment(
    assignment: Assignment,
    *,
    amounts: Mapping[str, Fraction],
    sites: Mapping[str, Fraction],
) -> None:
    """
    Refuse an assignment that is not neutral, not full or of another composition.

    Raises CompositionError: says which of the three fails, and by how much.
    """
    total: dict[str, Fraction] = {}
    charge = Fraction(0)
    for name, occupation in assignment.items():
        filled = sum(occupation.values(), Fraction(0))
        if filled != sites.get(name):
            raise CompositionError(
                f"sublattice {name} holds {filled}, not {sites.get(name)} per formula "
                "unit"
            )
        for text, amount in occupation.items():
            species = parse_species(text)
            charge += species.charge * amount
            if species.element != VACANCY:
                total[species.element] = (
                    total.get(species.element, Fraction(0)) + amount
                )
    if charge:
        raise CompositionError(f"charge {charge} per formula unit is not zero")
    if total != dict(amounts):
        raise CompositionError(f"species add up to {total}, not {dict(amounts)}")

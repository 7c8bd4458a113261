"""Ordered cells and what became of them: the structures that calculations see."""

from __future__ import annotations

from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from hts_battery.schemas.base import Document, Rational

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymatgen.core import Structure

IntMatrix = tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]
_ID_SCHEME = "hts_battery ordering 1"
_ID_LENGTH = 20


class OrderingMethod(StrEnum):
    """How the species were put on the sites of a cell."""

    SQS = "sqs"
    """Special quasirandom structure: pair correlations near those of a random alloy."""
    ELECTROSTATIC = "electrostatic"
    """Lowest Ewald energy of the formal charges that annealing found."""
    RANDOM = "random"
    """A random shuffle."""


def ordering_id(
    candidate_id: str,
    *,
    prototype: str,
    supercell: Sequence[Sequence[int]],
    decoration: Sequence[str],
) -> str:
    """
    Digest what makes an ordering: candidate, cell and the species of every site.

    Method and seed do not enter: two searches that end in the same decoration found
    the same ordering.

    Examples
    --------
    >>> ordering_id("bc6f833a1ab682dccbc6", prototype="rocksalt",
    ...             supercell=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ...             decoration=("Li+", "F-"))
    'a4bc9cf627978cee4c42'
    """
    cell = ";".join(",".join(str(x) for x in row) for row in supercell)
    text = "\n".join((_ID_SCHEME, candidate_id, prototype, cell, " ".join(decoration)))
    return sha256(text.encode("ascii")).hexdigest()[:_ID_LENGTH]


def _plain(value: object) -> object:
    """Turn tuples into lists, so that a stored document equals the one in memory."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class OrderedCell(Document):
    """One ordering of one candidate: every site of a supercell has a species."""

    ordering_id: str = Field(description="Digest of candidate, cell and decoration.")
    candidate_id: str = Field(description="Candidate that it is an ordering of.")
    family: str = Field(description="Family of the candidate.")
    formula: str = Field(description="The candidate's formula, for people.")
    amounts: dict[str, Rational] = Field(
        description="Amount of each element per formula unit in this cell, exact."
    )
    deviation: dict[str, Rational] = Field(
        description="Cell minus candidate, elements per formula unit, where not zero; "
        "empty if the cell has exactly the candidate's composition."
    )
    prototype: str = Field(description="Parent lattice.")
    supercell: IntMatrix = Field(
        description="Cell vectors in units of the parent's primitive vectors, one a "
        "row."
    )
    formula_units: Rational = Field(description="Formula units in the cell.")
    n_atoms: int = Field(ge=1, description="Atoms in the cell; vacancies not counted.")
    decoration: tuple[str, ...] = Field(
        description="Species of every site of the parent cell in its order, "
        "vacancies (Vac) included."
    )
    method: OrderingMethod = Field(description="How the species were placed.")
    score: float = Field(
        description="What the method minimised: for sqs and random the weighted sum "
        "of pair-correlation errors (dimensionless); for electrostatic the Ewald "
        "energy in eV/atom."
    )
    correlation_errors: dict[str, tuple[float, ...]] = Field(
        description="Pair-correlation error of each neighbour shell, for each pair of "
        "mixed sublattices 'first/second': half the sum over species pairs of "
        "|probability - random|, dimensionless, 0 is random."
    )
    electrostatic_energy: float = Field(
        description="Ewald energy of the formal charges in eV/atom at the starting "
        "lattice."
    )
    seed: int = Field(description="Seed of the search.")
    iterations: int = Field(ge=0, description="Configurations tried by the search.")
    generator: str = Field(description="Program that searched, with its version.")
    minimum_distance: float = Field(
        gt=0, description="Shortest distance between two atoms in angstrom."
    )
    structure: dict[str, Any] = Field(
        description="The decorated cell as a dictionary of pymatgen's Structure: "
        "species with oxidation states, site properties sublattice, site_label and "
        "magmom (Bohr magnetons)."
    )

    @field_validator("structure", mode="before")
    @classmethod
    def _store_plain(cls, value: object) -> object:
        as_dict = getattr(value, "as_dict", None)
        return _plain(as_dict() if callable(as_dict) else value)

    def to_structure(self) -> Structure:
        """Build the pymatgen structure, oxidation states and moments included."""
        from pymatgen.core import Structure  # noqa: PLC0415 - words stay light

        return Structure.from_dict(self.structure)

    @property
    def is_exact(self) -> bool:
        """Whether the cell has exactly the candidate's composition."""
        return not self.deviation


class Verdict(StrEnum):
    """What a relaxed cell is, compared with the lattice that it started on."""

    KEPT = "kept"
    """Still the prototype, within every threshold."""
    DISTORTED = "distorted"
    """The prototype's sites are recognisable, but strained or displaced."""
    TRANSFORMED = "transformed"
    """No longer the prototype: its energy belongs to another phase."""


class RelaxationThresholds(Document):
    """Limits between kept, distorted and transformed."""

    displacement_kept: float = Field(
        0.15,
        gt=0,
        description="Largest root mean square displacement of a kept cell, in units "
        "of the shortest starting distance.",
    )
    displacement_transformed: float = Field(
        0.5,
        gt=0,
        description="An atom further than this from every site of the parent has left "
        "the lattice; in units of the shortest starting distance.",
    )
    strain_kept: float = Field(
        0.05,
        gt=0,
        description="Largest von Mises strain of a kept cell, dimensionless.",
    )
    strain_transformed: float = Field(
        0.15,
        gt=0,
        description="Von Mises strain above which the cell is another lattice.",
    )
    volume_transformed: float = Field(
        0.3,
        gt=0,
        description="Relative change of volume, up or down, above which the cell is "
        "another phase; the starting volume is an estimate from ionic radii.",
    )
    contact_stretch: float = Field(
        1.3,
        gt=1,
        description="A parent contact longer than this many times its length, scaled "
        "with the volume, is broken.",
    )
    contacts_kept: float = Field(
        0.95,
        ge=0,
        le=1,
        description="Least share of the parent's contacts that a kept cell retains.",
    )
    contacts_transformed: float = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of retained contacts below which the cell is another "
        "structure.",
    )
    oxygen_contact: float = Field(
        1.6,
        gt=0,
        description="Two oxygen atoms closer than this many angstrom form a peroxide "
        "or a molecule.",
    )


class RelaxedCell(Document):
    """Comparison of a relaxed structure with the ordered cell it started from."""

    ordering_id: str = Field(description="Ordering that was relaxed.")
    candidate_id: str = Field(description="Candidate that it is an ordering of.")
    verdict: Verdict = Field(description="Kept, distorted or transformed.")
    reasons: tuple[str, ...] = Field(
        description="Every threshold that was exceeded, with value and limit."
    )
    site_map: tuple[int, ...] = Field(
        description="Nearest parent site of each relaxed atom, numbered as in the "
        "ordering's decoration."
    )
    moved_atoms: int = Field(
        ge=0, description="Atoms nearer to another parent site than to their own."
    )
    displacement_rms: float = Field(
        ge=0,
        description="Root mean square distance of the atoms from their own sites in "
        "angstrom, rigid shift and homogeneous strain removed.",
    )
    displacement_max: float = Field(
        ge=0, description="Largest distance of an atom from its own site in angstrom."
    )
    off_lattice_max: float = Field(
        ge=0,
        description="Largest distance of an atom from the nearest parent site in "
        "angstrom.",
    )
    volume_change: float = Field(
        description="Relaxed over starting volume minus one, dimensionless."
    )
    shear_strain: float = Field(
        ge=0,
        description="Von Mises strain of the cell, rotation and volume change "
        "removed, dimensionless.",
    )
    contacts_kept: float = Field(
        ge=0,
        le=1,
        description="Share of the parent's nearest contacts that survive.",
    )
    oxygen_contacts: int = Field(
        ge=0, description="Pairs of oxygen atoms closer than the threshold."
    )
    thresholds: RelaxationThresholds = Field(description="Limits that were used.")

"""What became of ordered cells: verdicts on relaxed structures."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


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

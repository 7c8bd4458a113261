"""What became of ordered cells: verdicts on relaxed structures."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from hts_battery.schemas.base import Document


class TetrahedronStatistics(Document):
    """Nearest-neighbour tetrahedra of a face-centred cubic lattice of cations."""

    carriers: tuple[str, ...] = Field(
        description="Elements that count as charge carriers, Li as a rule."
    )
    sites: int = Field(
        ge=1, description="Cation sites of the cell; two tetrahedra each."
    )
    fractions: tuple[float, float, float, float, float] = Field(
        description="Fraction of the tetrahedra with 0, 1, 2, 3 and 4 charge carriers; "
        "the last is Li4, the one before Li3M. Adds up to 1."
    )
    random_fractions: tuple[float, float, float, float, float] = Field(
        description="The same in a random alloy of the same content, infinitely large."
    )
    mean_height: float = Field(
        ge=0,
        description="Mean height of the tetrahedra in angstrom, each the mean of its "
        "four heights.",
    )
    carrier_height: float | None = Field(
        None, ge=0, description="The same of the Li4 tetrahedra; null without one."
    )
    mean_volume: float = Field(
        ge=0, description="Mean volume of the tetrahedra in cubic angstrom."
    )
    carrier_volume: float | None = Field(
        None, ge=0, description="The same of the Li4 tetrahedra; null without one."
    )


class NasiconGeometry(Document):
    """Widths of the ways between the 6b and 18e cavities, and polyhedra beside them."""

    bottlenecks: int = Field(
        ge=1,
        description="Oxygen triangles between a 6b cavity and an 18e cavity beside it, "
        "six for each 6b cavity, filled or not.",
    )
    bottleneck_area_min: float = Field(
        ge=0, description="Smallest area of such a triangle in square angstrom."
    )
    bottleneck_area_mean: float = Field(
        ge=0, description="Mean area of the triangles in square angstrom."
    )
    bottleneck_area_max: float = Field(
        ge=0, description="Largest area of such a triangle in square angstrom."
    )
    tetrahedron_height: float = Field(
        ge=0,
        description="Mean distance of the centre of a 6b cavity from the plane of its "
        "bottleneck triangles in angstrom: height of the tetrahedra on them.",
    )
    tetrahedron_volume: float = Field(
        ge=0,
        description="Mean volume of the tetrahedra of a bottleneck triangle and the "
        "centre of its 6b cavity, in cubic angstrom.",
    )
    octahedron_volume: float = Field(
        ge=0,
        description="Mean volume of the oxygen octahedra of the 6b cavities in cubic "
        "angstrom.",
    )
    metal_polyanion: float = Field(
        ge=0,
        description="Mean distance, through a bottleneck triangle, from the metal "
        "whose octahedron has the triangle's shortest edge to the polyanion centre "
        "across it, in angstrom; a name of this project.",
    )
    polyanion_volumes: dict[str, float] = Field(
        description="Mean volume of the oxygen tetrahedra of each polyanion centre, "
        "element → cubic angstrom."
    )
    polyanion_heights: dict[str, float] = Field(
        description="Mean height of the same, element → angstrom."
    )


class LithiumOrder(Document):
    """Order of Li and all other cations of one cell, whatever their sublattices."""

    metal: tuple[float | None, float | None] = Field(
        description="Warren-Cowley parameter of Li and the other cations in the first "
        "and second shell of cations, dimensionless; null without Li or without others."
    )
    fluorine: float | None = Field(
        description="The same of Li and F among the contacts of cations and anions; "
        "null without Li or without F."
    )


class CellDescriptors(Document):
    """Short-range order and free space of one cell."""

    warren_cowley: dict[str, tuple[dict[str, float], ...]] | None = Field(
        description="Pair of sublattices 'first/second' → for each neighbour shell of "
        "the parent, nearest first, 'species/species' → 1 - p/(x x), dimensionless, 0 "
        "is random. Pairs of unmixed sublattices are left out; null where the atoms do "
        "not stand on the parent's sites one to one."
    )
    tetrahedra: TetrahedronStatistics | None = Field(
        None,
        description="Null unless the parent's cations form a face-centred cubic "
        "lattice and the atoms stand on its sites one to one.",
    )
    nasicon: NasiconGeometry | None = Field(
        None, description="Null unless the network is that of NASICON."
    )
    lithium: LithiumOrder | None = Field(
        None,
        description="Null for NASICON, and where the atoms do not stand on the "
        "parent's sites one to one.",
    )


class Verdict(StrEnum):
    """
    What a relaxed cell is, compared with the lattice that it started on.

    Where several hold, the worst is the verdict: transformed, then charge transfer,
    then distorted, then kept.
    """

    KEPT = "kept"
    """Still the prototype, within every threshold."""
    DISTORTED = "distorted"
    """The prototype's sites are recognisable, but strained or displaced."""
    CHARGE_TRANSFER = "charge transfer"
    """Some ions are not in the oxidation or spin state that they were given."""
    TRANSFORMED = "transformed"
    """No longer the prototype: its energy belongs to another phase."""


class RelaxationThresholds(Document):
    """Limits between kept, distorted, charge transfer and transformed."""

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
    volume_kept: float = Field(
        0.15,
        gt=0,
        description="Largest relative change of volume of a kept cell, up or down.",
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
    coordination_kept: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Largest share of cations with another number of neighbours than "
        "at the start in a kept cell.",
    )
    coordination_transformed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of such cations above which the cell is another structure.",
    )
    moment_lost_share: float = Field(
        0.18,
        ge=0,
        le=1,
        description="An ion may show this share less than its spin-only moment: part "
        "of its spin lies on the anions, outside the sphere in which it is counted.",
    )
    moment_lost_least: float = Field(
        0.5,
        ge=0,
        description="An ion may always show this much less than its spin-only moment, "
        "in Bohr magnetons: half of what one electron makes.",
    )
    moment_gained: float = Field(
        0.4,
        ge=0,
        description="An ion may show this much more than its spin-only moment, in "
        "Bohr magnetons; covalency does not add to it as it takes away.",
    )
    oxygen_contact: float = Field(
        1.6,
        gt=0,
        description="Two oxygen atoms closer than this many angstrom form a peroxide "
        "or a molecule; for other anions the distance is scaled with the sum of their "
        "covalent radii.",
    )
    anion_contact: float = Field(
        0.7,
        gt=0,
        description="Two anions closer than this share of the sum of their van der "
        "Waals radii distort a cell: 2.10 angstrom for two oxygen atoms.",
    )


class ChargeTransfer(Document):
    """An ion whose moment is not that of the species it was given."""

    site: int = Field(
        ge=0, description="Its site, numbered as in the ordering's decoration."
    )
    species: str = Field(description="Species that it was given.")
    moment_assigned: float = Field(
        ge=0, description="Spin-only moment of the species in Bohr magnetons, unsigned."
    )
    moment_found: float = Field(
        ge=0, description="Moment after relaxation in Bohr magnetons, unsigned."
    )


class RelaxedCell(Document):
    """Comparison of a relaxed structure with the ordered cell it started from."""

    ordering_id: str = Field(description="Ordering that was relaxed.")
    candidate_id: str = Field(description="Candidate that it is an ordering of.")
    verdict: Verdict = Field(
        description="Kept, distorted, charge transfer or transformed; the worst that "
        "holds."
    )
    reasons: tuple[str, ...] = Field(
        description="Every threshold that was exceeded, with value and limit, the "
        "worst first."
    )
    site_map: tuple[int, ...] = Field(
        description="Nearest parent site of each relaxed atom, numbered as in the "
        "ordering's decoration."
    )
    site_occupancies: dict[str, dict[str, int]] = Field(
        description="Label of a site → element or Vac → number in the cell. Of "
        "NASICON by the network of its polyhedra: 6b and 18e of sodium, 12c, "
        "polyanion 18e, 36f-1, 36f-2, and interstitial for an alkali ion outside "
        "every cavity. Of other prototypes by the nearest parent site. Empty where "
        "the sites are not recognisable."
    )
    relabelled_atoms: int | None = Field(
        None,
        ge=0,
        description="Atoms of NASICON whose label by topology is not that of the "
        "nearest parent site; null for other prototypes and where the network is lost.",
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
        ge=0, le=1, description="Share of the parent's nearest contacts that survive."
    )
    coordination: dict[str, dict[str, int]] = Field(
        description="Sublattice of cations → number of neighbours on the sublattice "
        "that it bonds to → number of such cations."
    )
    coordination_changed: float = Field(
        ge=0,
        le=1,
        description="Share of the cations with another number of neighbours than at "
        "the start.",
    )
    oxygen_contacts: int = Field(
        ge=0, description="Pairs of oxygen atoms closer than the threshold."
    )
    anion_bonds: dict[str, int] = Field(
        default_factory=dict,
        description="Elements of two anions, alphabetical, like F-O → pairs at a "
        "bonding distance; oxygen-oxygen among them.",
    )
    anion_contacts: dict[str, int] = Field(
        default_factory=dict,
        description="The same → pairs closer than anions come in a crystal, those at a "
        "bonding distance among them.",
    )
    cations_past_half_way: int | None = Field(
        None,
        ge=0,
        description="Cations nearer to the centre of another octahedron or tetrahedron "
        "of anions, filled or empty, than to that of their own; null for NASICON, "
        "whose cavities are found by topology.",
    )
    charge_transfers: tuple[ChargeTransfer, ...] | None = Field(
        None,
        description="Ions whose final moment is not that of their species; null where "
        "no moments were given, so that nothing is known about it.",
    )
    states_exchanged: bool | None = Field(
        None,
        description="Whether the ions of each element only exchanged the states that "
        "they were given, so that the cell holds the same valences on other sites; "
        "null where no ion left its state or no moments were given.",
    )
    descriptors: CellDescriptors = Field(
        description="Short-range order and free space of the relaxed cell."
    )
    thresholds: RelaxationThresholds = Field(description="Limits that were used.")

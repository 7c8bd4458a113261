"""Prototypes of the reference library and their decoration with other species."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.reference import (
    ReferencePhase,
    ReferenceSite,
    ReferenceSource,
    SourceKind,
)
from hts_battery.structures.neighbours import structure_pairs
from hts_battery.structures.references.geometry import (
    SITE_OF_ATOM,
    conventional_cell,
    mean_valence_radius,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    CellParameters = tuple[float, float, float, float, float, float]
    Position = tuple[float, float, float]

_SPECIES = re.compile(r"([A-Z][a-z]?)(?:(\d*(?:\.\d+|/\d+)?)([+-]))?")
_NEIGHBOUR_RADIUS = 4.5  # angstrom; beyond the longest bond of any prototype
_CELL_DECIMALS = 3
_LAST_LENGTH = 3  # a cell is three lengths and three angles


class OxidationSpecies(NamedTuple):
    """An element and its formal charge, which may be a fraction."""

    element: str
    oxidation_state: Fraction


class PrototypeSite(NamedTuple):
    """One site of a prototype, to be filled by label."""

    label: str
    coordination: int
    position: Position


class ReferencePrototype(NamedTuple):
    """A structure type whose sites wait for species."""

    name: str
    space_group_symbol: str
    space_group_number: int
    cell: CellParameters
    sites: tuple[PrototypeSite, ...]
    aflow_label: str | None
    published: str | None = None
    """Number and article of the structure whose coordinates these are."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the sites, each once, alphabetical."""
        return tuple(sorted({site.label for site in self.sites}))


def parse_oxidation_species(text: str) -> OxidationSpecies:
    """
    Read ``Mn3+``, ``Mn3.5+``, ``O2-`` or, uncharged, ``Mn``.

    Raises
    ------
    ConfigurationError
        If the text is none of these.

    Examples
    --------
    >>> parse_oxidation_species("Mn3.5+")
    OxidationSpecies(element='Mn', oxidation_state=Fraction(7, 2))
    """
    match = _SPECIES.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"{text!r} is not a species; write Mn3+, Mn3.5+, O2- or Mn"
        )
    element, size, sign = match.groups()
    if sign is None:
        return OxidationSpecies(element, Fraction(0))
    charge = Fraction(size or 1)
    return OxidationSpecies(element, charge if sign == "+" else -charge)


def parse_position(values: Sequence[object]) -> Position:
    """Read three coordinates; thirds and sixths are written as fractions."""
    x, y, z = (float(Fraction(str(value))) for value in values)
    return (x, y, z)


def parse_prototype(name: str, row: Mapping[str, Any]) -> ReferencePrototype:
    """Read one prototype of the data file."""
    symbol, number = row["space_group"]
    source = row["source"]
    return ReferencePrototype(
        name=name,
        space_group_symbol=symbol,
        space_group_number=number,
        cell=tuple(float(value) for value in row["cell"]),  # type: ignore[arg-type]  # six numbers, checked by ReferencePhase
        sites=tuple(
            PrototypeSite(label, coordination, parse_position(position))
            for label, coordination, *position in row["sites"]
        ),
        aflow_label=source.get("label"),
        published=_published(source),
    )


def _published(source: Mapping[str, Any]) -> str | None:
    if source.get("kind") != "published":
        return None
    return f"{source['id']}: {source['citation']}"


@lru_cache(maxsize=256)
def _bond_lengths(prototype: ReferencePrototype) -> tuple[float, ...]:
    """Mean distance of each cation site to its nearest anions, in angstrom."""
    kinds = ["Cl" if _is_anion(site.label) else "Na" for site in prototype.sites]
    structure = conventional_cell(
        prototype.space_group_symbol,
        prototype.cell,
        kinds,
        [site.position for site in prototype.sites],
    )
    first, second, _, lengths = structure_pairs(structure, _NEIGHBOUR_RADIUS)
    anions = np.array([site.specie.symbol == "Cl" for site in structure])
    atoms = structure.site_properties[SITE_OF_ATOM]
    means = []
    for number, site in enumerate(prototype.sites):
        if not _is_anion(site.label):
            own = (first == atoms.index(number)) & anions[second]
            means.append(float(np.sort(lengths[own])[: site.coordination].mean()))
    return tuple(means)


def _is_anion(label: str) -> bool:
    """Labels X, Y, Z are anions, all others cations."""
    return label[0] in "XYZ"


def scaled_cell(
    prototype: ReferencePrototype, species: Mapping[str, OxidationSpecies]
) -> CellParameters:
    """
    Scale a prototype's cell so that its bonds fit other ions.

    All lengths are multiplied by the mean, over cation sites, of the sum of
    Shannon radii divided by the prototype's mean bond. A starting point: the
    relaxation decides.

    Parameters
    ----------
    prototype
        The structure type.
    species
        Species on each label.

    Returns
    -------
    tuple
        a, b, c in angstrom, rounded to 0.001, and the prototype's angles.
    """
    anions = [
        mean_valence_radius(*species[site.label], site.coordination)
        for site in prototype.sites
        if _is_anion(site.label)
    ]
    anion = sum(anions) / len(anions)
    cations = [site for site in prototype.sites if not _is_anion(site.label)]
    ratios = [
        (mean_valence_radius(*species[site.label], site.coordination) + anion) / length
        for site, length in zip(cations, _bond_lengths(prototype), strict=True)
    ]
    scale = sum(ratios) / len(ratios)
    a, b, c, *angles = (
        round(value * scale, _CELL_DECIMALS) if index < _LAST_LENGTH else value
        for index, value in enumerate(prototype.cell)
    )
    return (a, b, c, angles[0], angles[1], angles[2])


def decorate(
    prototype: ReferencePrototype,
    formula: str,
    row: str | Mapping[str, Any],
    *,
    group: str,
) -> ReferencePhase:
    """
    Fill the sites of a prototype with species.

    Parameters
    ----------
    prototype
        The structure type.
    formula
        Formula of the phase.
    row
        Species in the order of the prototype's labels, ``"Mn2+ F-"``; or a mapping
        with ``species`` and any of ``id``, ``formula``, ``name``, ``cell``, ``note``,
        ``supergroup``, ``candidate_family``.
    group
        Name of the data file.

    Raises
    ------
    ConfigurationError
        If the number of species is not that of labels.
    """
    details: Mapping[str, Any] = {"species": row} if isinstance(row, str) else row
    species = [parse_oxidation_species(text) for text in details["species"].split()]
    if len(species) != len(prototype.labels):
        raise ConfigurationError(
            f"{group}.yaml: {formula} fills {prototype.name} with {len(species)} "
            f"species; it has the labels {', '.join(prototype.labels)}"
        )
    formula = details.get("formula", formula)
    filling = dict(zip(prototype.labels, species, strict=True))
    given = details.get("cell")
    return ReferencePhase(
        phase_id=details.get("id", f"{formula}-{prototype.name}"),
        formula=formula,
        name=details.get("name"),
        group=group,
        space_group_symbol=prototype.space_group_symbol,
        space_group_number=prototype.space_group_number,
        cell=given or scaled_cell(prototype, filling),
        sites=tuple(
            ReferenceSite(
                element=filling[site.label].element,
                oxidation_state=filling[site.label].oxidation_state,
                position=site.position,
            )
            for site in prototype.sites
        ),
        source=_source(prototype, scaled=given is None),
        supergroup=details.get("supergroup"),
        candidate_family=details.get("candidate_family"),
        note=details.get("note"),
    )


def _source(prototype: ReferencePrototype, *, scaled: bool) -> ReferenceSource:
    if prototype.aflow_label:
        kind = SourceKind.AFLOW_DECORATED
    elif prototype.published:
        kind = SourceKind.PUBLISHED_TYPE
    else:
        kind = SourceKind.OWN_DECORATION
    return ReferenceSource(
        kind=kind,
        aflow_label=prototype.aflow_label,
        prototype=prototype.name,
        cell_scaled=scaled,
        type_source=prototype.published,
    )

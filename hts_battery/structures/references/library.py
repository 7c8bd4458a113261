"""The library of reference phases: prototypes, decorations, structures, coverage."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml
from pydantic import ValidationError

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
    primitive_cell,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pymatgen.core import Structure

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
    """Read ``Mn3+``, ``Mn3.5+``, ``O2-`` or, uncharged, ``Mn``."""
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
    """Scale a prototype's cell so that its bonds fit other ions."""
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
    """Fill the sites of a prototype with species: a row of a data file."""
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


_DATA = files("hts_battery.structures") / "data" / "references"
_PROTOTYPES = "prototypes"


@lru_cache(maxsize=1)
def load_reference_phases() -> tuple[ReferencePhase, ...]:
    """Return every phase of the library, sorted by id; read once."""
    prototypes = load_prototypes()
    phases: dict[str, ReferencePhase] = {}
    for group in reference_groups():
        for phase in _phases_of_group(group, prototypes):
            if phase.phase_id in phases:
                raise ConfigurationError(
                    f"{group}.yaml: the id {phase.phase_id} stands already in "
                    f"{phases[phase.phase_id].group}.yaml"
                )
            phases[phase.phase_id] = phase
    return tuple(phases[name] for name in sorted(phases))


def reference_groups() -> tuple[str, ...]:
    """Return the names of the data files, without the prototypes, sorted."""
    names = (entry.name for entry in _DATA.iterdir())
    stems = (name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))
    return tuple(sorted(stem for stem in stems if not stem.startswith(_PROTOTYPES)))


@lru_cache(maxsize=1)
def load_prototypes() -> dict[str, ReferencePrototype]:
    """Return the structure types that decorations fill, by name."""
    names = sorted(
        entry.name for entry in _DATA.iterdir() if entry.name.startswith(_PROTOTYPES)
    )
    return {
        name: parse_prototype(name, row)
        for file in names
        for name, row in _read(file.removesuffix(".yaml")).items()
    }


def reference_phase(phase_id: str) -> ReferencePhase:
    """Return one phase by its id."""
    for phase in load_reference_phases():
        if phase.phase_id == phase_id:
            return phase
    raise KeyError(f"no reference phase {phase_id!r}")


def reference_structure(phase: ReferencePhase) -> Structure:
    """Build the primitive cell of a phase, without oxidation states."""
    return primitive_cell(conventional_structure(phase), phase.space_group_symbol)


def conventional_structure(phase: ReferencePhase) -> Structure:
    """Build the conventional cell of a phase; atoms know their ``SITE_OF_ATOM``."""
    return conventional_cell(
        phase.space_group_symbol,
        phase.cell,
        [site.element for site in phase.sites],
        [site.position for site in phase.sites],
    )


def phases_within(elements: Iterable[str]) -> tuple[ReferencePhase, ...]:
    """Return the phases whose elements are all among the given ones."""
    allowed = frozenset(elements)
    return tuple(
        phase for phase in load_reference_phases() if phase.elements <= allowed
    )


def _read(stem: str) -> dict[str, Any]:
    """Read one data file of the package."""
    text = (_DATA / f"{stem}.yaml").read_text(encoding="utf-8")
    try:
        content: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506  # the C twin of SafeLoader
    except yaml.YAMLError as err:
        raise ConfigurationError(f"{stem}.yaml is not YAML: {err}") from err
    return content


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _phases_of_group(
    group: str, prototypes: Mapping[str, ReferencePrototype]
) -> Iterator[ReferencePhase]:
    """Read the phases of one file: explicit ones, then decorations."""
    content = _read(group)
    for row in content.get("phases") or ():
        yield _explicit_phase(group, row)
    for name, rows in (content.get("decorations") or {}).items():
        if name not in prototypes:
            raise ConfigurationError(f"{group}.yaml: no prototype is called {name!r}")
        for formula, row in rows.items():
            yield decorate(prototypes[name], formula, row, group=group)


def _explicit_phase(group: str, row: Mapping[str, Any]) -> ReferencePhase:
    """Read a phase that brings its own cell and sites."""
    symbol, number = row["space_group"]
    sites = []
    for text, *position in row["sites"]:
        element, charge = parse_oxidation_species(text)
        sites.append(
            ReferenceSite(
                element=element,
                oxidation_state=charge,
                position=parse_position(position),
            )
        )
    try:
        return ReferencePhase(
            phase_id=row["id"],
            formula=row["formula"],
            name=row.get("name"),
            group=group,
            space_group_symbol=symbol,
            space_group_number=number,
            cell=tuple(row["cell"]),
            sites=tuple(sites),
            source=ReferenceSource(**row["source"]),
            supergroup=row.get("supergroup"),
            candidate_family=row.get("candidate_family"),
            note=row.get("note"),
        )
    except (ValidationError, KeyError) as err:
        raise ConfigurationError(f"{group}.yaml: {row.get('id')}: {err}") from err

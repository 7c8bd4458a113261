"""The library of reference phases: load it, ask it, build its structures."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from pydantic import ValidationError

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.reference import (
    ReferencePhase,
    ReferenceSite,
    ReferenceSource,
)
from hts_battery.structures.references.geometry import (
    conventional_cell,
    primitive_cell,
)
from hts_battery.structures.references.prototypes import (
    decorate,
    parse_oxidation_species,
    parse_position,
    parse_prototype,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pymatgen.core import Structure

    from hts_battery.structures.references.prototypes import ReferencePrototype

_DATA = files("hts_battery.structures") / "data" / "references"
_PROTOTYPES = "prototypes"


class SystemCoverage(NamedTuple):
    """The phases that lie in exactly one chemical system."""

    chemical_system: str
    phase_ids: tuple[str, ...]
    formulas: tuple[str, ...]


@lru_cache(maxsize=1)
def load_reference_phases() -> tuple[ReferencePhase, ...]:
    """
    Return every phase of the library, sorted by id; read once.

    Raises
    ------
    ConfigurationError
        If a data file is wrong or an id appears twice.

    Examples
    --------
    >>> len(load_reference_phases()) > 100
    True
    """
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
    """
    Return one phase by its id.

    Raises
    ------
    KeyError
        If the library has no such phase.

    Examples
    --------
    >>> reference_phase("TiO2-rutile").space_group_symbol
    'P4_2/mnm'
    """
    for phase in load_reference_phases():
        if phase.phase_id == phase_id:
            return phase
    raise KeyError(f"no reference phase {phase_id!r}")


def reference_structure(phase: ReferencePhase) -> Structure:
    """
    Build the primitive cell of a phase, ready to be relaxed.

    Parameters
    ----------
    phase
        A phase of the library, or one of the same form.

    Returns
    -------
    Structure
        Primitive cell without oxidation states.

    Examples
    --------
    >>> reference_structure(reference_phase("TiO2-rutile")).composition.formula
    'Ti2 O4'
    """
    return primitive_cell(conventional_structure(phase), phase.space_group_symbol)


def conventional_structure(phase: ReferencePhase) -> Structure:
    """
    Build the conventional cell of a phase, without oxidation states.

    Each atom carries the index of its asymmetric site as the site property
    ``SITE_OF_ATOM``.
    """
    return conventional_cell(
        phase.space_group_symbol,
        phase.cell,
        [site.element for site in phase.sites],
        [site.position for site in phase.sites],
    )


def phases_within(elements: Iterable[str]) -> tuple[ReferencePhase, ...]:
    """
    Return the phases whose elements are all among the given ones.

    Parameters
    ----------
    elements
        Symbols.

    Examples
    --------
    >>> {phase.formula for phase in phases_within(["Li", "F"])} >= {"Li", "F", "LiF"}
    True
    """
    allowed = frozenset(elements)
    return tuple(
        phase for phase in load_reference_phases() if phase.elements <= allowed
    )


def coverage(
    elements: Iterable[str], *, max_elements: int = 3
) -> tuple[SystemCoverage, ...]:
    """
    List every chemical system of the elements with its phases, gaps included.

    Parameters
    ----------
    elements
        Symbols.
    max_elements
        Largest number of elements of a system that is listed even when empty;
        larger systems appear where the library has a phase.

    Returns
    -------
    tuple[SystemCoverage, ...]
        Small systems first, then alphabetical.

    Examples
    --------
    >>> [row.chemical_system for row in coverage(["Li", "F"])]
    ['F', 'Li', 'F-Li']
    """
    symbols = sorted(set(elements))
    found: dict[frozenset[str], list[ReferencePhase]] = {
        frozenset(subset): []
        for size in range(1, max_elements + 1)
        for subset in combinations(symbols, size)
    }
    for phase in phases_within(symbols):
        found.setdefault(phase.elements, []).append(phase)
    return tuple(
        SystemCoverage(
            "-".join(sorted(system)),
            tuple(phase.phase_id for phase in phases),
            tuple(sorted({phase.formula for phase in phases})),
        )
        for system, phases in sorted(
            found.items(), key=lambda item: (len(item[0]), sorted(item[0]))
        )
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

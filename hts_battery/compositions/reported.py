"""Compounds that were made, each with its structure type and its source."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.compositions.descriptors import neutral_species
from hts_battery.compositions.radii import octahedral_radius
from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species_table import METAL_ROLES, species_properties
from hts_battery.schemas.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction
    from pathlib import Path

    from hts_battery.schemas.species_table import Role

_COLUMNS = ("formula", "structure_type", "doi")


class ReportedCompound(NamedTuple):
    """One compound of a table of reported ones."""

    formula: str
    structure_type: str
    doi: str
    """Where it is reported."""
    species: Mapping[str, Fraction]
    """Its species, as :func:`neutral_species` gives them; empty if it has none."""
    metals: frozenset[str]
    """Elements that are metals: neither carriers nor centres of polyanions."""


def read_reported(path: Path) -> tuple[ReportedCompound, ...]:
    """
    Read a table with the columns ``formula``, ``structure_type`` and ``doi``.

    Lines that begin with ``#`` are comments; columns of other names are left alone.

    Raises
    ------
    SpecError
        If a column is missing, a formula cannot be read, or a row names no source:
        with the line.
    """
    return _read(read_text(path), str(path))


@cache
def reported_compounds() -> tuple[ReportedCompound, ...]:
    """
    Return the compounds that this package knows of.

    Examples
    --------
    >>> {one.structure_type for one in reported_compounds()} >= {"NASICON"}
    True
    """
    data = files("hts_battery.compositions") / "data" / "reported_compounds.csv"
    return _read(data.read_text(encoding="utf-8"), data.name)


def _read(text: str, name: str) -> tuple[ReportedCompound, ...]:
    lines = ["" if x.startswith("#") else x for x in text.splitlines(keepends=True)]
    rows = csv.reader(lines)
    heading: list[str] = []
    found = []
    for row in rows:
        if not any(map(str.strip, row)):
            continue
        if not heading:
            heading = [cell.strip() for cell in row]
            for column in _COLUMNS:
                if column not in heading:
                    raise SpecError(
                        f"there is no column {column}: {', '.join(_COLUMNS)} are "
                        "needed",
                        file=name,
                        line=rows.line_num,
                    )
            continue
        cells = dict(zip(heading, map(str.strip, row), strict=False))
        found.append(_compound(cells, name, rows.line_num))
    if not found:
        raise SpecError("no compound stands in this file", file=name)
    return tuple(found)


def _compound(cells: Mapping[str, str], name: str, line: int) -> ReportedCompound:
    for column in _COLUMNS:
        if not cells.get(column):
            raise SpecError(
                "every compound needs formula, structure type and source",
                file=name,
                line=line,
                field=column,
            )
    try:
        amounts = parse_formula(cells["formula"])
    except CompositionError as err:
        raise SpecError(str(err), file=name, line=line, field="formula") from err
    try:
        species = neutral_species(amounts)
    except CompositionError:
        species = {}
    return ReportedCompound(
        cells["formula"],
        cells["structure_type"],
        cells["doi"],
        species,
        frozenset(filter(_is_metal, amounts)),
    )


@cache
def _is_metal(element: str) -> bool:
    """Whether an element is a metal of a framework; Si, P, S and carriers are none."""
    from pymatgen.core import Element  # noqa: PLC0415 - a second to import

    return bool(Element(element).is_metal) and element not in ("Li", "Na", "K")


def reported_pairs(
    compounds: Iterable[ReportedCompound],
) -> dict[frozenset[str], int]:
    """
    Count the compounds that hold both metals of each pair.

    Examples
    --------
    >>> pairs = reported_pairs(reported_compounds())
    >>> pairs[frozenset(("Hf", "Zr"))]
    1
    """
    found: dict[frozenset[str], int] = {}
    for one in compounds:
        for pair in map(frozenset, combinations(sorted(one.metals), 2)):
            found[pair] = found.get(pair, 0) + 1
    return found


def reported_species(
    role: Role, compounds: Iterable[ReportedCompound] | None = None
) -> tuple[str, ...]:
    """
    Name the species of a role that reported compounds hold and that have a radius.

    Examples
    --------
    >>> "Mn3+" in reported_species("redox centre")
    True
    """
    known = reported_compounds() if compounds is None else compounds
    held = {species for one in known for species in one.species}
    return tuple(
        sorted(
            species
            for species in held
            if species_properties(species).role == role
            and octahedral_radius(species) is not None
        )
    )


def nearest_reported(species: str, reported: Iterable[str]) -> tuple[str, float] | None:
    """
    Find the reported species whose octahedral radius is nearest.

    Returns
    -------
    tuple or None
        The species, and the absolute difference in angstrom; None if the species has no
        radius. Species without one are no neighbours.

    Examples
    --------
    >>> nearest_reported("Mn3+", ["Ti4+", "Fe3+"])
    ('Fe3+', 0.0)
    """
    radius = octahedral_radius(species)
    known = [(s, here) for s in reported if (here := octahedral_radius(s)) is not None]
    if radius is None or not known:
        return None
    apart, nearest = min((round(abs(here - radius), 9), s) for s, here in known)
    return nearest, apart


def distance_to_reported(
    species: Iterable[str], role: Role, reported: Iterable[str]
) -> float | None:
    """
    Return how far the least usual metal of a role is from any reported one.

    Parameters
    ----------
    species
        Species of a composition.
    role
        ``redox centre`` or ``charge compensator``: the two are kept apart.
    reported
        Species of that role in reported compounds.

    Returns
    -------
    float or None
        Greatest, over the metals of the role, of the difference to the nearest reported
        radius, in angstrom; 0 without such a metal; None if one has no radius.
    """
    if role not in METAL_ROLES:
        raise ValueError(f"{role} is no role of metals")
    known = tuple(reported)
    mine = [one for one in species if species_properties(one).role == role]
    found = [nearest_reported(one, known) for one in mine]
    if None in found:
        return None
    return max((one[1] for one in found if one), default=0.0)

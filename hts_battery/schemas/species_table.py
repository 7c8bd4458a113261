"""What is known about a species: its role in a cathode, its spin state, its couple."""

from __future__ import annotations

import csv
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.base import Document
from hts_battery.schemas.files import spec_error
from hts_battery.schemas.spec_messages import unknown_field
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Role = Literal[
    "charge carrier", "redox centre", "charge compensator", "polyanion centre", "anion"
]
Spin = Literal["high", "low"]
METAL_ROLES: frozenset[str] = frozenset({"redox centre", "charge compensator"})
"""Roles that make a species count as a metal; carriers and anions do not."""

_UNKNOWN_PREFERENCE = 99
# Transition metals in the order of their groups, 3 to 12.
_D_BLOCK = (
    ("Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn"),
    ("Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd"),
    ("La", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg"),
)
_FIRST_GROUP = 3
# d electrons that an octahedral field can leave unpaired in two ways.
_HIGH_SPIN_UNPAIRED = {4: 4, 5: 5, 6: 4, 7: 3}
_LOW_SPIN_UNPAIRED = {4: 2, 5: 1, 6: 0, 7: 1}


class SpeciesProperties(Document):
    """One species on an octahedral site of an oxide or oxyfluoride."""

    element: str = Field(description="Symbol, or Vac for a vacancy.")
    charge: int = Field(description="Oxidation state in elementary charges.")
    role: Role | None = Field(description="What the species does; none if unknown.")
    spin: Spin | None = Field(
        description="Spin state on an octahedral site; none where d electrons leave "
        "no choice."
    )
    unpaired_electrons: int = Field(
        ge=0, description="Unpaired electrons per ion on an octahedral site."
    )
    preference: int = Field(
        _UNKNOWN_PREFERENCE,
        ge=0,
        description="Rank among the oxidation states of its element, 0 first; decides "
        "which of several neutral assignments is used.",
    )
    potential: int | None = Field(
        None,
        json_schema_extra={"unit": "mV"},
        description="Potential in mV against the standard hydrogen electrode of the "
        "couple of the species and the next lower state of its element in the table; "
        "none for the lowest state, or if unknown. Their order over all elements "
        "says which metal keeps an electron.",
    )
    source: str = Field(description="Where the entry comes from.")


class SpinState(Document):
    """Electrons of a species that differ from what the species table says."""

    spin: Spin | None = Field(
        description="Spin state; none where d electrons leave no choice."
    )
    unpaired_electrons: int = Field(ge=0, description="Unpaired electrons per ion.")


@cache
def species_table() -> Mapping[str, SpeciesProperties]:
    """
    Species table of the package: species text → properties.

    Examples
    --------
    >>> species_table()["Co3+"].spin
    'low'
    """
    data = files("hts_battery.schemas") / "data" / "species.csv"
    return read_species_table(data.read_text(encoding="utf-8"))


def read_table_file(path: Path) -> dict[str, SpeciesProperties]:
    """Read a species table of one's own; SpecError names file, line and column."""
    return read_species_table(read_text(path), name=str(path))


_NEEDED = ("species", "role", "spin", "unpaired_electrons", "preference", "source")
_COLUMNS = (*_NEEDED, "potential")


def read_species_table(
    text: str, *, name: str | None = None
) -> dict[str, SpeciesProperties]:
    r"""
    Read a table with the columns of ``data/species.csv``.

    Parameters
    ----------
    text
        CSV with the columns ``species``, ``role``, ``spin``, ``unpaired_electrons``,
        ``preference`` and ``source``; lines that begin with ``#`` are comments.
        ``potential`` may be left out: the package's table then says it.
    name
        Name of the file, for messages.

    Raises
    ------
    SpecError
        If a column is unknown or missing, a species cannot be read or stands twice, or
        a value is not allowed: with the line and the column.

    Examples
    --------
    >>> heading = "species,role,spin,unpaired_electrons,preference,source"
    >>> read_species_table(f"{heading}\nMn3+,redox centre,low,2,0,mine")["Mn3+"].spin
    'low'
    >>> read_species_table(f"{heading},moment\nMn3+,,,4,0,mine,4")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hts_battery.errors.SpecError: 1: moment: no such field here; check its spelling: ...
    """
    lines = text.splitlines(keepends=True)
    rows = csv.reader(
        ("" if line.startswith("#") else line for line in lines), strict=True
    )
    table: dict[str, SpeciesProperties] = {}
    heading: list[str] | None = None
    try:
        for cells in rows:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if heading is None:
                heading = _checked_heading(row, name, rows.line_num)
                continue
            said_of, found = _species_row(heading, row, name, rows.line_num)
            if said_of in table:
                raise SpecError(
                    f"{said_of} stands in this table twice: leave one of them out",
                    file=name,
                    line=rows.line_num,
                    field="species",
                )
            table[said_of] = found
    except csv.Error as err:
        raise SpecError(f"not a table: {err}", file=name, line=rows.line_num) from err
    if heading is None:
        raise SpecError(
            f"nothing stands in this table: its heading is {','.join(_COLUMNS)}",
            file=name,
        )
    return table


def _checked_heading(row: list[str], name: str | None, line: int) -> list[str]:
    if len(row) == 1 and re.search("[;\t]", row[0]):
        raise SpecError(
            "the columns of this table are separated by commas", file=name, line=line
        )
    for one in row:
        if one not in _COLUMNS:
            raise SpecError(
                unknown_field(one, _COLUMNS), file=name, line=line, field=one or None
            )
        if row.count(one) > 1:
            raise SpecError(
                "this column stands here twice", file=name, line=line, field=one
            )
    if missing := [one for one in _NEEDED if one not in row]:
        raise SpecError(
            f"the columns {', '.join(missing)} are missing: the heading is "
            f"{','.join(_COLUMNS)}",
            file=name,
            line=line,
        )
    return row


def _species_row(
    heading: list[str], row: list[str], name: str | None, line: int
) -> tuple[str, SpeciesProperties]:
    """Read one row: the species in its one spelling, and what is said of it."""
    if len(row) != len(heading):
        raise SpecError(
            f"{len(row)} cells stand here, and {len(heading)} in the heading: put what "
            "holds a comma in quotation marks",
            file=name,
            line=line,
        )
    cells = dict(zip(heading, row, strict=True))
    try:
        species = parse_species(cells.pop("species"))
    except CompositionError as err:
        raise SpecError(str(err), file=name, line=line, field="species") from err
    empty = {"role": None, "spin": None, "potential": None}
    said = {one: cell or empty.get(one, cell) for one, cell in cells.items()}
    try:
        found = SpeciesProperties.model_validate(
            {**said, "element": species.element, "charge": species.charge}
        )
    except ValidationError as err:
        error = spec_error(err, file=name, shape=SpeciesProperties)
        raise error.at(line=line) from err
    return str(species), found


def completed_table(
    table: Mapping[str, SpeciesProperties],
) -> dict[str, SpeciesProperties]:
    """
    Put a user's table over that of the package.

    Parameters
    ----------
    table
        Species text → properties; where they state no potential, the package's holds.
    """
    known = species_table()
    found = dict(known)
    for text, mine in table.items():
        stated = "potential" in mine.model_fields_set or text not in known
        potential = mine.potential if stated else known[text].potential
        found[text] = mine.model_copy(update={"potential": potential})
    return found


def species_properties(species: str) -> SpeciesProperties:
    """
    Properties of a species; one that the table does not hold is closed-shell.

    Parameters
    ----------
    species
        Text like ``Mn3+``.

    Raises
    ------
    CompositionError
        If the text is not a species.

    Examples
    --------
    >>> species_properties("Mn3+").unpaired_electrons
    4
    >>> species_properties("Ni3+").unpaired_electrons
    1
    """
    parsed = parse_species(species)
    known = species_table().get(str(parsed))
    if known is not None:
        return known
    role: Role | None = None
    if parsed.element != VACANCY:
        role = "anion" if parsed.charge < 0 else "charge compensator"
    return SpeciesProperties(
        element=parsed.element,
        charge=parsed.charge,
        role=role,
        spin=None,
        unpaired_electrons=0,
        source="not in the table: taken as closed-shell",
    )


def octahedral_spin_state(species: str, spin: Spin) -> SpinState:
    """
    Electrons of a transition-metal ion in high or low spin on an octahedral site.

    An octahedral field splits five d states into three low and two high ones: four
    to seven electrons fill them in two ways.

    Parameters
    ----------
    species
        Text like ``Co3+``.
    spin
        ``high`` or ``low``.

    Raises
    ------
    CompositionError
        If the species has no such choice.

    Examples
    --------
    >>> octahedral_spin_state("Co3+", "high").unpaired_electrons
    4
    >>> octahedral_spin_state("Fe3+", "low").unpaired_electrons
    1
    """
    parsed = parse_species(species)
    electrons = next(
        (
            row.index(parsed.element) + _FIRST_GROUP - parsed.charge
            for row in _D_BLOCK
            if parsed.element in row
        ),
        0,
    )
    unpaired = _HIGH_SPIN_UNPAIRED if spin == "high" else _LOW_SPIN_UNPAIRED
    if electrons not in unpaired:
        raise CompositionError(
            f"{species} has no high and low spin state on an octahedral site: only "
            "transition-metal ions with 4 to 7 d electrons have; leave spin out"
        )
    return SpinState(spin=spin, unpaired_electrons=unpaired[electrons])

"""What is known about a species: its role in a cathode, its spin state, its rank."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.species import VACANCY, parse_species

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Role = Literal[
    "charge carrier", "redox centre", "charge compensator", "polyanion centre", "anion"
]
Spin = Literal["high", "low"]
METAL_ROLES: frozenset[str] = frozenset({"redox centre", "charge compensator"})
"""Roles that make a species count as a metal; carriers and anions do not."""

_UNKNOWN_PREFERENCE = 99


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
    source: str = Field(description="Where the entry comes from.")


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
    with data.open(encoding="utf-8") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    return read_species_table(csv.DictReader(lines))


def read_species_table(
    rows: Iterable[Mapping[str, str]],
) -> dict[str, SpeciesProperties]:
    """
    Read rows with the columns of ``data/species.csv``.

    Parameters
    ----------
    rows
        Mappings with ``species``, ``role``, ``spin``, ``unpaired_electrons``,
        ``preference`` and ``source``, all text.

    Raises
    ------
    CompositionError
        If a species cannot be read.
    ValueError
        If a species stands twice or a value is not allowed.
    """
    table: dict[str, SpeciesProperties] = {}
    for row in rows:
        species = parse_species(row["species"])
        if str(species) in table:
            raise ValueError(f"species {species} stands twice in the table")
        table[str(species)] = SpeciesProperties.model_validate(
            {
                "element": species.element,
                "charge": species.charge,
                "role": row["role"] or None,
                "spin": row["spin"] or None,
                "unpaired_electrons": row["unpaired_electrons"],
                "preference": row["preference"],
                "source": row["source"],
            }
        )
    return table


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

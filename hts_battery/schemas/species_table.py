"""What is known about a species: its role in a cathode, its spin state, its couple."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from hts_battery.errors import CompositionError
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
        ``preference`` and ``source``, all text. ``potential`` may be left out: the
        package's table then says it.

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
            | ({"potential": row["potential"] or None} if "potential" in row else {})
        )
    return table


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

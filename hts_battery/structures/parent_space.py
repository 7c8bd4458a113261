"""A parent lattice of a user's own: a structure with partial occupancies as a space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd
from typing import TYPE_CHECKING, NamedTuple

from pymatgen.core import Species as PymatgenSpecies
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.formula import common_divisor
from hts_battery.schemas.species import VACANCY, Species, parse_species
from hts_battery.schemas.species_table import species_table
from hts_battery.structures.structure_files import exact_occupancy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pymatgen.core import Structure
    from pymatgen.symmetry.structure import SymmetrizedStructure

LARGEST_PARENT = 500
"""Sites in the cell of a parent lattice."""
_FINEST_STEP = Fraction(1, 10)
_SYMMETRY_TOLERANCE_ANGSTROM = 0.01
_PLAIN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class ParentSublattice:
    """One set of sites of a parent lattice, per formula unit."""

    name: str
    """By the file's label, or the element of sites that hold nothing else."""
    sites: Fraction
    """Sites per formula unit."""
    occupation: Mapping[str, Fraction]
    """Element, or Vac → fraction of the sites in the file."""
    species: tuple[str, ...]
    """What may sit there."""
    open_elements: tuple[str, ...]
    """Elements whose oxidation state the file does not state: all that are known
    stand among the species."""
    held: Mapping[str, Fraction]
    """Species, or Vac → fraction; where the file states none, all states as many."""
    orbits: tuple[tuple[int, ...], ...]
    """Its sites in the file's cell, by orbit of the space group."""


@dataclass(frozen=True)
class ParentSpace:
    """A space whose members fill the sites of a parent lattice."""

    family: str
    sublattices: tuple[ParentSublattice, ...]
    step: Fraction
    """Grid step in atoms per formula unit."""
    formula_units: int
    """In the conventional cell of the file."""
    space_group: str

    @property
    def amounts(self) -> dict[str, Fraction]:
        """Element → amount per formula unit in the file."""
        found: dict[str, Fraction] = {}
        for one in self.sublattices:
            for element, fraction in one.occupation.items():
                if element != VACANCY:
                    amount = found.get(element, Fraction(0)) + one.sites * fraction
                    found[element] = amount
        return found

    @property
    def charges(self) -> tuple[Fraction, Fraction]:
        """Least and greatest charge per formula unit of the file's own composition."""
        low = high = Fraction(0)
        for one in self.sublattices:
            for element, fraction in one.occupation.items():
                found = [
                    parsed.charge
                    for parsed in map(parse_species, one.species)
                    if parsed.element == element
                ]
                low += one.sites * fraction * min(found)
                high += one.sites * fraction * max(found)
        return low, high

    @property
    def problem(self) -> str | None:
        """Why the file's own composition is no member; None where it may be one."""
        low, high = self.charges
        if low <= 0 <= high:
            return None
        spread = str(low) if low == high else f"{low} to {high}"
        return (
            f"the composition of the file carries the charge {spread} per formula unit "
            "and is no member: its occupancies or oxidation states are rounded or wrong"
        )

    @property
    def mapping(self) -> dict[str, object]:
        """The space as :func:`~hts_battery.compositions.load_space` takes it."""
        return {
            "family": self.family,
            "basis": "formula-unit",
            "step": str(self.step),
            "sublattices": {
                one.name: {"sites": str(one.sites), "species": list(one.species)}
                for one in self.sublattices
            },
        }

    def as_yaml(self, source: str) -> str:
        """
        Write the space as a file, with what its user should know beside each line.

        ``source``: where the structure is from.
        """
        lines = [
            f"# Sites and species of {source}, {self.space_group}; formula units in",
            f"# its cell: {self.formula_units}.",
            "# Every charge-neutral filling in steps of 'step' atoms per formula unit",
            "# is a member: narrow it with contents, elements, metals, exclusions.",
            *([f"# {self.problem}."] if self.problem else []),
            f"family: {self.family}",
            "basis: formula-unit",
            f'step: "{self.step}"',
            "sublattices:",
        ]
        for one in self.sublattices:
            held = ", ".join(f"{n} {name}" for name, n in one.occupation.items())
            lines += [
                f"  {one.name}:  # in the file: {held}",
                f'    sites: "{one.sites}"',
                f"    species: [{', '.join(one.species)}]",
            ]
            if one.open_elements:
                lines[-1] += (
                    f"  # the file states no oxidation state of "
                    f"{', '.join(one.open_elements)}: keep those that you mean"
                )
        return "\n".join(lines) + "\n"


def parent_space(
    structure: Structure,
    family: str,
    *,
    states: Mapping[str, Sequence[int]] | None = None,
) -> ParentSpace:
    """
    Read sublattices, species and sites from a structure with partial occupancies.

    Each orbit of sites that shares its species, or is filled in part, is a sublattice;
    orbits that hold one and the same species alone are one.

    Parameters
    ----------
    structure
        The cell of a file, with the symmetry of its space group.
    family
        Family of the candidates: lower-case letters, digits, - and _.
    states
        Element → oxidation states that it may have; others than the file states.

    Raises
    ------
    ConfigurationError
        If nothing in it varies, it has too many sites, or an element has no oxidation
        state that is known.
    """
    if len(structure) > LARGEST_PARENT:
        raise ConfigurationError(
            f"{len(structure)} sites in its cell, at most {LARGEST_PARENT} make a "
            "parent lattice: give the smallest cell"
        )
    analyzer = symmetry(structure)
    found = _joined(analyzer.get_symmetrized_structure())
    if all(len(one.held) == 1 for one in found):
        raise ConfigurationError(
            "every site holds one species alone, so nothing varies: write partial "
            "occupancies (_atom_site_occupancy) of what may share a site, or begin "
            "from a file of workflows/spaces"
        )
    units = gcd(*(one.n_sites for one in found))
    sublattices = tuple(
        _sublattice(name, one, units, states or {}) for name, one in _named(found)
    )
    amounts = [
        one.sites * fraction
        for one in sublattices
        for fraction in one.occupation.values()
    ]
    divisor = common_divisor(amounts)
    return ParentSpace(
        family=family,
        sublattices=sublattices,
        step=divisor / ceil(divisor / _FINEST_STEP),
        formula_units=units,
        space_group=str(analyzer.get_space_group_symbol()),
    )


def symmetry(structure: Structure) -> SpacegroupAnalyzer:
    """Return what finds the space group of a parent lattice."""
    return SpacegroupAnalyzer(structure, symprec=_SYMMETRY_TOLERANCE_ANGSTROM)


class _Sites(NamedTuple):
    """Sites that make one sublattice."""

    label: str
    held: dict[str, Fraction]
    """Species or Vac → fraction."""
    orbits: tuple[tuple[int, ...], ...]

    @property
    def n_sites(self) -> int:
        return sum(map(len, self.orbits))


def _joined(structure: SymmetrizedStructure) -> list[_Sites]:
    """Find the orbits of sites, those of one species alone joined."""
    found: list[_Sites] = []
    alone: dict[str, _Sites] = {}
    for group, indices in zip(
        structure.equivalent_sites, structure.equivalent_indices, strict=True
    ):
        held = {
            str(species): exact_occupancy(float(n))
            for species, n in sorted(
                group[0].species.items(), key=lambda one: (-one[1], str(one[0]))
            )
        }
        rest = 1 - sum(held.values(), Fraction(0))
        if rest > 0:
            held[VACANCY] = rest
        elif rest < 0:  # occupancies that are rounded up
            held = {name: n / (1 - rest) for name, n in held.items()}
        orbit = tuple(int(index) for index in indices)
        if len(held) > 1:
            found.append(_Sites(group[0].label, held, (orbit,)))
            continue
        (name,) = held
        before = alone[name].orbits if name in alone else ()
        alone[name] = _Sites(name, {name: Fraction(1)}, (*before, orbit))
    return [*found, *alone.values()]


def _named(sublattices: Sequence[_Sites]) -> Iterator[tuple[str, _Sites]]:
    """Give each sublattice a name of its own."""
    seen: set[str] = set()
    for one in sublattices:
        # Sites that hold one species are named by its element.
        word = _read(one.label)[0] if len(one.held) == 1 else one.label
        plain = _PLAIN.sub("_", word.lower()).strip("_") or "site"
        name, number = plain, 2
        while name in seen:
            name, number = f"{plain}_{number}", number + 1
        seen.add(name)
        yield name, one


def _sublattice(
    name: str, one: _Sites, units: int, states: Mapping[str, Sequence[int]]
) -> ParentSublattice:
    held: dict[str, Fraction] = {}
    unknown: list[str] = []
    occupation: dict[str, Fraction] = {}
    for text, fraction in one.held.items():
        element, charge = (VACANCY, None) if text == VACANCY else _read(text)
        if element == VACANCY:
            species = [VACANCY]
        elif element in states:
            species = [str(Species(element, state)) for state in states[element]]
        elif charge is not None and float(charge).is_integer():
            species = [str(Species(element, int(charge)))]
        else:
            species = _known(element)
            if len(species) > 1:
                unknown.append(element)
        occupation[element] = occupation.get(element, Fraction(0)) + fraction
        for each in species:
            held[each] = held.get(each, Fraction(0)) + fraction / len(species)
    return ParentSublattice(
        name,
        Fraction(one.n_sites, units),
        occupation,
        tuple(held),
        tuple(unknown),
        held,
        one.orbits,
    )


def _read(text: str) -> tuple[str, float | None]:
    """Read a species as pymatgen writes it: element, and charge where it has one."""
    if text[-1] not in "+-":
        return text, None
    species = PymatgenSpecies.from_str(text)
    return species.symbol, species.oxi_state


def _known(element: str) -> list[str]:
    """Every species of an element in the table."""
    found = [name for name in species_table() if parse_species(name).element == element]
    if not found:
        raise ConfigurationError(
            f"the file states no oxidation state of {element}, and the species table "
            f"has none: name it, --state {element}3+"
        )
    return found


def given_species(texts: Sequence[str]) -> dict[str, list[int]]:
    """
    Read oxidation states that a user names, several of one element.

    Examples
    --------
    >>> given_species(["Mn3+", "Mn4+", "O2-"])
    {'Mn': [3, 4], 'O': [-2]}
    """
    found: dict[str, list[int]] = {}
    for text in texts:
        species = parse_species(text)
        found.setdefault(species.element, []).append(species.charge)
    return found

"""A prototype of a user's own: the sites of a structure file as a parent lattice."""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

import numpy as np
import yaml
from pymatgen.core import Lattice

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.decoration import MINIMUM_DISTANCE
from hts_battery.structures.neighbours import minimum_distance, structure_pairs
from hts_battery.structures.parent_space import symmetry
from hts_battery.structures.prototypes import (
    LatticeParameters,
    Prototype,
    Sublattice,
    load_prototype,
    package_prototypes,
)
from hts_battery.structures.radii import lattice_scale

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from spglib import SpglibDataset

    from hts_battery.structures.parent_space import ParentSpace, ParentSublattice

    Position = tuple[Fraction, Fraction, Fraction]

SHELLS = 3
"""Neighbour shells whose correlations are optimised."""
_CONTACT = 1.25
"""Anions nearer than this, in shortest distances of a cation, are its neighbours."""
_FINEST = 24  # denominators of special positions
_SIMPLE = 1e-6
_DIGITS = 6
_REACH_ANGSTROM = 6.0
_PRIMITIVE = {
    "P": ("1 0 0", "0 1 0", "0 0 1"),
    "A": ("1 0 0", "0 1/2 -1/2", "0 1/2 1/2"),
    "C": ("1/2 -1/2 0", "1/2 1/2 0", "0 0 1"),
    "I": ("-1/2 1/2 1/2", "1/2 -1/2 1/2", "1/2 1/2 -1/2"),
    "F": ("0 1/2 1/2", "1/2 0 1/2", "1/2 1/2 0"),
    "R": ("2/3 1/3 1/3", "-1/3 1/3 1/3", "-1/3 -2/3 1/3"),
}
"""Letter of a space group's centring → primitive vectors in conventional ones."""


def parent_prototype(
    structure: Structure, parent: ParentSpace, *, source: str
) -> Prototype:
    """
    Describe the sites of a structure file as the prototype of its family.

    The cell is the conventional one of the space group; sublattices are those of the
    space, so that its members can be ordered. Lengths are such that the composition of
    the file starts in the cell of the file.

    Parameters
    ----------
    structure
        The cell that ``parent`` was read from.
    parent
        Its sublattices.
    source
        Where the file is from.

    Raises
    ------
    ConfigurationError
        If two of its sites are too near to be filled both, if no cation has an anion
        beside it, or the family is one of the package's.
    OrderingError
        If an ionic radius is not known.
    """
    _refuse(structure, parent.family)
    found = symmetry(structure).get_symmetry_dataset()
    rows = _PRIMITIVE[found.international[0]]
    first, second, third = (_fractions(row) for row in rows)
    cells = Fraction(len(structure), len(set(found.mapping_to_primitive.tolist())))
    near, bonds = _contacts(structure, parent)
    positions = _positions(found, parent)
    a, b, c, *angles = Lattice(found.std_lattice).parameters
    alpha, beta, gamma = (round(angle, _DIGITS) for angle in angles)
    described = Prototype(
        name=parent.family,
        title=f"Parent lattice of {source}, {parent.space_group}",
        families=(parent.family,),
        source=source,
        space_group=found.number,
        lattice=LatticeParameters(a=a, b=b, c=c, alpha=alpha, beta=beta, gamma=gamma),
        primitive=(first, second, third),
        formula_units=parent.formula_units / cells,
        sublattices={
            one.name: Sublattice(
                sites=one.sites,
                coordination=near[one.name],
                reference=_largest(one),
                positions=positions[one.name],
            )
            for one in parent.sublattices
        },
        bonds=bonds,
        shells=SHELLS,
    )
    size = lattice_scale(
        described, {one.name: _counts(one) for one in parent.sublattices}
    )
    fitted = {
        name: round(length / size, _DIGITS)
        for name, length in (("a", a), ("b", b), ("c", c))
    }
    return described.model_copy(
        update={"lattice": described.lattice.model_copy(update=fitted)}
    )


def prototype_yaml(prototype: Prototype) -> str:
    """Write a prototype as the file of a folder of one's own."""
    return yaml.safe_dump(
        prototype.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )


def _refuse(structure: Structure, family: str) -> None:
    """Refuse what could not be ordered, or would take the place of another."""
    for name in package_prototypes():
        if family in load_prototype(name).families or family == name:
            raise ConfigurationError(
                f"the family {family} is ordered on the prototype {name} of the "
                "package: give yours another name with --family"
            )
    shortest = minimum_distance(structure)
    if shortest < MINIMUM_DISTANCE:
        raise ConfigurationError(
            f"two of its sites are {shortest:.2f} angstrom apart and cannot both hold "
            f"an atom (at least {MINIMUM_DISTANCE}): such split sites are counted and "
            "cannot be ordered; put one site at their middle"
        )


def _largest(sublattice: ParentSublattice) -> str:
    """Return the species that holds most of a sublattice."""
    held = {name: n for name, n in sublattice.held.items() if name != VACANCY}
    return max(held, key=lambda name: held[name])


def _counts(sublattice: ParentSublattice) -> dict[str, int]:
    """Return the species in the file as whole numbers."""
    whole = lcm(*(share.denominator for share in sublattice.held.values()))
    return {name: int(share * whole) for name, share in sublattice.held.items()}


def _positions(
    found: SpglibDataset, parent: ParentSpace
) -> dict[str, dict[str, Position]]:
    """Give one position of each orbit in the conventional cell, by Wyckoff label."""
    at = {place: site for site, place in enumerate(found.mapping_to_primitive)}
    origins = [at[place] for place in found.std_mapping_to_primitive]
    positions: dict[str, dict[str, Position]] = {}
    for sublattice in parent.sublattices:
        mine = positions.setdefault(sublattice.name, {})
        for orbit in sublattice.orbits:
            inside = [k for k, site in enumerate(origins) if site in set(orbit)]
            chosen = min(
                inside, key=lambda k: float(np.sum(found.std_positions[k] ** 2))
            )
            label = f"{len(inside)}{found.wyckoffs[orbit[0]]}"
            again = sum(one.split("-")[0] == label for one in mine)
            first, second, third = map(_exact, found.std_positions[chosen].tolist())
            name = f"{label}-{again + 1}" if again else label
            mine[name] = (first, second, third)
    return positions


def _fractions(text: str) -> Position:
    x, y, z = map(Fraction, text.split())
    return x, y, z


def _exact(coordinate: float) -> Fraction:
    """Return the simple fraction that a coordinate is, or its decimals."""
    simple = Fraction(coordinate).limit_denominator(_FINEST)
    if abs(simple - Fraction(coordinate)) < _SIMPLE:
        return simple
    return Fraction(f"{coordinate:.{_DIGITS}f}")


def _contacts(
    structure: Structure, parent: ParentSpace
) -> tuple[dict[str, int], tuple[tuple[str, str], ...]]:
    """Count nearest neighbours of each sublattice; name the pairs in contact."""
    names = np.empty(len(structure), dtype=object)
    charges = np.zeros(len(structure))
    for one in parent.sublattices:
        sites = [site for orbit in one.orbits for site in orbit]
        names[sites] = one.name
        charges[sites] = parse_species(_largest(one)).charge
    pairs = structure_pairs(structure, _REACH_ANGSTROM)
    opposite = (charges[pairs.first] > 0) & (charges[pairs.second] < 0)
    first, second = pairs.first[opposite], pairs.second[opposite]
    lengths = pairs.lengths[opposite]
    if not len(lengths):
        raise ConfigurationError(
            f"no cation has an anion within {_REACH_ANGSTROM:g} angstrom: ionic radii "
            "give such a lattice no size"
        )
    shortest = np.full(len(structure), np.inf)
    np.minimum.at(shortest, first, lengths)
    touching = lengths <= _CONTACT * shortest[first]
    first, second = first[touching], second[touching]
    around = np.bincount(np.concatenate([first, second]), minlength=len(structure))
    near = {
        one.name: max(1, round(float(np.mean(around[names == one.name]))))
        for one in parent.sublattices
    }
    bonds = tuple(
        sorted(set(zip(names[first].tolist(), names[second].tolist(), strict=True)))
    )
    # What may be vacant sets no size where something else does.
    full = {one.name for one in parent.sublattices if VACANCY not in one.species}
    firm = tuple(pair for pair in bonds if set(pair) <= full)
    return near, firm or bonds

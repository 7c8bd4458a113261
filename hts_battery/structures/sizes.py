"""Which cells can hold a composition exactly: sizes and site counts, no geometry."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, gcd, lcm
from typing import TYPE_CHECKING

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.prototypes import Prototype

    Assignment = Mapping[str, Mapping[str, Fraction]]

LARGEST_CELL = 400
"""Atoms in the largest cell that is looked for when no limit is given."""

# Sizes that an error message names.
_SIZES_NAMED = 6

SiteCounts = dict[str, dict[str, int]]
"""Sublattice → species → number of sites in a cell, vacancies included."""


def atoms_per_formula_unit(assignment: Assignment) -> Fraction:
    """
    Count the atoms of an assignment per formula unit; a vacancy is not an atom.

    Examples
    --------
    >>> lco = {"cation": {"Li+": Fraction(1), "Co3+": Fraction(1)}}
    >>> atoms_per_formula_unit(lco | {"anion": {"O2-": Fraction(2)}})
    Fraction(4, 1)
    """
    return sum(
        (
            Fraction(amount)
            for occupation in assignment.values()
            for species, amount in occupation.items()
            if species != VACANCY
        ),
        Fraction(0),
    )


def smallest_cell(assignment: Assignment, prototype: Prototype) -> Fraction:
    """
    Find the smallest cell of a prototype that holds an assignment.

    The smallest multiple of the primitive cell in which every species has a whole
    number of sites; every cell that fits is a multiple of it.

    Parameters
    ----------
    assignment
        Sublattice → species → amount per formula unit, exact.
    prototype
        The parent lattice.

    Returns
    -------
    Fraction
        Formula units per cell.

    Raises
    ------
    OrderingError
        If the assignment's sublattices are not those of the prototype.

    Examples
    --------
    >>> from hts_battery.structures.prototypes import load_prototype
    >>> amounts = {"Li+": Fraction("1.2"), "Mn3+": Fraction("0.4")}
    >>> amounts["Ti4+"] = Fraction("0.4")
    >>> drx = {"cation": amounts, "anion": {"O2-": Fraction(2)}}
    >>> smallest_cell(drx, load_prototype("rocksalt"))
    Fraction(5, 2)
    """
    check_sublattices(assignment, prototype)
    amounts = [Fraction(a) for occ in assignment.values() for a in occ.values() if a]
    # Whole numbers of sites need multiples of 1/gcd of the amounts; whole numbers
    # of primitive cells need multiples of the primitive cell's formula units.
    return _common_multiple(1 / _greatest_divisor(amounts), prototype.formula_units)


def smallest_random_cell(assignment: Assignment, prototype: Prototype) -> Fraction:
    """
    Find the smallest cell that holds an assignment and can resemble a random solution.

    Of the multiples of :func:`smallest_cell` the first that has the sites which the
    prototype asks for; the smallest cell where it asks for none or nothing mixes.

    Parameters
    ----------
    assignment, prototype
        As for :func:`smallest_cell`.

    Returns
    -------
    Fraction
        Formula units per cell.

    Examples
    --------
    >>> from hts_battery.structures.prototypes import load_prototype
    >>> amounts = {"Li+": Fraction("1.2"), "Mn3+": Fraction("0.4")}
    >>> amounts["Ti4+"] = Fraction("0.4")
    >>> drx = {"cation": amounts, "anion": {"O2-": Fraction(2)}}
    >>> smallest_random_cell(drx, load_prototype("rocksalt"))
    Fraction(10, 1)
    """
    smallest = smallest_cell(assignment, prototype)
    return smallest * ceil(least_formula_units(assignment, prototype) / smallest)


def least_formula_units(assignment: Assignment, prototype: Prototype) -> Fraction:
    """
    Count the formula units that an ordering needs to resemble a random solution.

    Parameters
    ----------
    assignment, prototype
        As for :func:`smallest_cell`.

    Returns
    -------
    Fraction
        Those of the primitive cell where nothing is asked for or nothing mixes.
    """
    mixed = any(
        sum(1 for amount in occupation.values() if amount) > 1
        for occupation in assignment.values()
    )
    wanted = prototype.least_sites if mixed else {}
    return max(
        (
            Fraction(sites) / prototype.sublattices[name].sites
            for name, sites in wanted.items()
        ),
        default=prototype.formula_units,
    )


def is_too_small(ordered: OrderedCell) -> bool:
    """Say whether a cell is too small to resemble a random solution."""
    from hts_battery.structures.prototypes import load_prototype  # noqa: PLC0415

    least = least_formula_units(ordered.assignment, load_prototype(ordered.prototype))
    return ordered.formula_units < least


def check_sublattices(assignment: Assignment, prototype: Prototype) -> None:
    """
    Refuse an assignment whose sublattices are not filled exactly.

    Raises
    ------
    OrderingError
        Names the sublattice that is missing, unknown, or holds the wrong number
        of sites.
    """
    if set(assignment) != set(prototype.sublattices):
        raise OrderingError(
            f"prototype {prototype.name} has the sublattices "
            f"{sorted(prototype.sublattices)}, the candidate {sorted(assignment)}"
        )
    for name, occupation in assignment.items():
        filled = sum((Fraction(a) for a in occupation.values()), Fraction(0))
        sites = prototype.sublattices[name].sites
        if filled != sites:
            raise OrderingError(
                f"sublattice {name} of prototype {prototype.name} has {sites} sites "
                f"per formula unit, the candidate fills {filled}"
            )


def cell_sizes(
    candidate: Candidate | Assignment,
    prototype: Prototype | None = None,
    *,
    limit: int = LARGEST_CELL,
) -> tuple[int, ...]:
    """
    Sizes of the cells that hold a candidate exactly, in atoms.

    Parameters
    ----------
    candidate
        A candidate, or its assignment: sublattice → species → amount per formula
        unit.
    prototype
        The parent lattice; that of the candidate's family if not given.
    limit
        Number of atoms of the largest cell listed.

    Returns
    -------
    tuple[int, ...]
        Numbers of atoms, ascending; empty if the smallest cell exceeds the limit.

    Raises
    ------
    OrderingError
        If the candidate's sublattices are not those of the prototype.

    Examples
    --------
    >>> from hts_battery.structures.prototypes import load_prototype
    >>> amounts = {"Li+": Fraction("1.3"), "Mn3+": Fraction("0.4")}
    >>> amounts["Ti4+"] = Fraction("0.3")
    >>> anions = {"O2-": Fraction("1.7"), "F-": Fraction("0.3")}
    >>> drx = {"cation": amounts, "anion": anions}
    >>> cell_sizes(drx, load_prototype("rocksalt"), limit=120)
    (40, 80, 120)
    """
    assignment, prototype = _resolve(candidate, prototype)
    step = smallest_cell(assignment, prototype) * atoms_per_formula_unit(assignment)
    return tuple(range(int(step), limit + 1, int(step)))


def exact_sizes_hint(assignment: Assignment, prototype: Prototype) -> str:
    """Say for people which cells hold an assignment exactly."""
    sizes = cell_sizes(assignment, prototype)
    if not sizes:
        smallest = smallest_cell(assignment, prototype)
        atoms = smallest * atoms_per_formula_unit(assignment)
        return f"the smallest cell that fits has {atoms} atoms"
    more = ", …" if len(sizes) > _SIZES_NAMED else ""
    return f"sizes that fit: {', '.join(map(str, sizes[:_SIZES_NAMED]))}{more}"


def _resolve(
    candidate: Candidate | Assignment, prototype: Prototype | None
) -> tuple[Assignment, Prototype]:
    """Find the assignment and the prototype of what a caller handed in."""
    from hts_battery.schemas.candidate import Candidate  # noqa: PLC0415
    from hts_battery.structures.prototypes import prototype_of_family  # noqa: PLC0415

    if isinstance(candidate, Candidate):
        return candidate.assignment, prototype or prototype_of_family(candidate.family)
    if prototype is None:
        raise ValueError("an assignment alone does not name a prototype: give one")
    return candidate, prototype


def _greatest_divisor(amounts: Iterable[Fraction]) -> Fraction:
    """Greatest rational of which every amount is a whole multiple."""
    amounts = list(amounts)
    denominator = lcm(*(a.denominator for a in amounts))
    return Fraction(gcd(*(int(a * denominator) for a in amounts)), denominator)


def _common_multiple(first: Fraction, second: Fraction) -> Fraction:
    """Least common multiple of two positive rationals."""
    denominator = lcm(first.denominator, second.denominator)
    return Fraction(
        lcm(int(first * denominator), int(second * denominator)), denominator
    )

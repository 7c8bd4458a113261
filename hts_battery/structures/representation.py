"""The charge-neutral composition of a cell that is nearest to a candidate's."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, lcm
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import atoms_per_formula_unit, element_amounts
from hts_battery.schemas.formula import common_divisor, display_formula
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.nearest_counts import nearest_counts
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Assignment
    from hts_battery.schemas.structure import OrderedCell
    from hts_battery.structures.nearest_counts import SiteCounts
    from hts_battery.structures.prototypes import Prototype

LARGEST_CELL = 400
"""Atoms in the largest cell that is looked for: what tenths of the metal content of
Li1.3M0.7O2 need."""

# Sizes that an error message names.
_SIZES_NAMED = 6


def smallest_cell(assignment: Assignment, prototype: Prototype) -> Fraction:
    """
    Find the smallest cell of a prototype that holds an assignment, in formula units.

    The smallest multiple of the primitive cell in which every species has a whole
    number of sites; every cell that fits is a multiple of it.

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
    return _common_multiple(1 / common_divisor(amounts), prototype.formula_units)


def smallest_random_cell(assignment: Assignment, prototype: Prototype) -> Fraction:
    """
    Find the smallest cell that fits and can resemble a random solution.

    Of the multiples of :func:`smallest_cell` the first that has the sites which the
    prototype asks for; the smallest cell where it asks for none or nothing mixes.
    """
    smallest = smallest_cell(assignment, prototype)
    return smallest * ceil(least_formula_units(assignment, prototype) / smallest)


def least_formula_units(assignment: Assignment, prototype: Prototype) -> Fraction:
    """Count the formula units that an ordering needs to resemble a random solution."""
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
    least = least_formula_units(ordered.assignment, load_prototype(ordered.prototype))
    return ordered.formula_units < least


def check_sublattices(assignment: Assignment, prototype: Prototype) -> None:
    """Refuse an assignment whose sublattices are not filled exactly."""
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
    assignment: Assignment, prototype: Prototype, *, limit: int = LARGEST_CELL
) -> tuple[int, ...]:
    """
    Sizes of the cells that hold an assignment exactly, in atoms, up to a limit.

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


def _common_multiple(first: Fraction, second: Fraction) -> Fraction:
    """Least common multiple of two positive rationals."""
    denominator = lcm(first.denominator, second.denominator)
    return Fraction(
        lcm(int(first * denominator), int(second * denominator)), denominator
    )


_ZERO = Fraction(0)


class Representation(NamedTuple):
    """What a cell of a certain size holds in the place of a candidate."""

    formula_units: Fraction
    """Formula units in the cell."""
    counts: SiteCounts
    """Sublattice → species → number of sites, vacancies included, none zero."""
    deviation: dict[str, Fraction]
    """Cell minus candidate, elements per formula unit, where not zero."""

    @property
    def largest_deviation(self) -> Fraction:
        """Largest deviation of any element, per formula unit."""
        return max(map(abs, self.deviation.values()), default=_ZERO)

    @property
    def assignment(self) -> dict[str, dict[str, Fraction]]:
        """Sublattice → species → amount per formula unit."""
        return {
            name: {text: n / self.formula_units for text, n in species.items()}
            for name, species in self.counts.items()
        }

    @property
    def amounts(self) -> dict[str, Fraction]:
        """Amount of each element per formula unit."""
        return element_amounts(self.assignment)


def represent(
    assignment: Assignment,
    prototype: Prototype,
    *,
    atoms: int | None,
    max_deviation: Fraction = _ZERO,
) -> Representation:
    """
    Choose the cell that holds an assignment, or comes nearest to it.

    Parameters
    ----------
    assignment
        Sublattice → species → amount per formula unit, exact.
    prototype
        The parent lattice.
    atoms
        Number of atoms asked for. Where the assignment has vacancies, the whole
        number of primitive cells that comes nearest. None takes the smallest cell
        that can resemble a random solution and holds the assignment exactly or, where
        none does, the smallest one within the tolerance, up to :data:`LARGEST_CELL`.
    max_deviation
        Largest difference of any element's amount per formula unit between the cell
        and the assignment.

    Raises
    ------
    OrderingError
        If nothing is within the tolerance: says why, what is nearest, how far it is,
        and the sizes that would be exact.

    Examples
    --------
    >>> from hts_battery.structures.prototypes import load_prototype
    >>> cation = {"Li+": Fraction("1.15"), "Mn3+": Fraction("0.85")}
    >>> anion = {"O2-": Fraction("1.7"), "F-": Fraction("0.3")}
    >>> rocksalt = load_prototype("rocksalt")
    >>> drx = {"cation": cation, "anion": anion}
    >>> found = represent(drx, rocksalt, atoms=40, max_deviation=Fraction("0.1"))
    >>> found.counts["cation"], found.deviation["Li"]
    ({'Li+': 11, 'Mn3+': 9}, Fraction(-1, 20))
    """
    check_sublattices(assignment, prototype)
    _check_neutral(assignment)
    if atoms is None:
        return _any_size(assignment, prototype, max_deviation)
    cells = _primitive_cells(assignment, prototype, atoms)
    if cells is None:
        raise OrderingError(
            f"no cell of prototype {prototype.name} with {atoms} atoms holds the "
            f"composition; {exact_sizes_hint(assignment, prototype)}"
        )
    try:
        found = _nearest(assignment, cells * prototype.formula_units)
    except OrderingError as err:
        raise OrderingError(
            f"no cell of prototype {prototype.name} with {atoms} atoms holds anything "
            f"like the composition: {err}; "
            f"{_larger_cell(assignment, prototype, cells)}"
            f"{exact_sizes_hint(assignment, prototype)}"
        ) from err
    if found.largest_deviation <= max_deviation:
        return found
    raise _too_far(f"{atoms} atoms", assignment, prototype, found, max_deviation)


def _larger_cell(assignment: Assignment, prototype: Prototype, cells: int) -> str:
    """Say which larger cell is the first to hold something like an assignment."""
    per_cell = prototype.formula_units * atoms_per_formula_unit(assignment)
    for more in range(cells + 1, int(LARGEST_CELL / per_cell) + 1):
        try:
            found = _nearest(assignment, more * prototype.formula_units)
        except OrderingError:
            continue
        if not found.deviation:
            return ""
        return f"the next larger cell that can holds {_described(found)}; "
    return ""


def _check_neutral(assignment: Assignment) -> None:
    charge = sum(
        parse_species(text).charge * Fraction(amount)
        for occupation in assignment.values()
        for text, amount in occupation.items()
    )
    if charge:
        raise OrderingError(
            f"the composition itself has charge {charge} per formula unit, not zero"
        )


def _any_size(
    assignment: Assignment,
    prototype: Prototype,
    max_deviation: Fraction,
) -> Representation:
    smallest = smallest_random_cell(assignment, prototype)
    per_unit = atoms_per_formula_unit(assignment)
    if smallest * per_unit <= LARGEST_CELL:
        return _nearest(assignment, smallest)
    best: Representation | None = None
    why: OrderingError | None = None
    least = least_formula_units(assignment, prototype)
    cells = ceil(least / prototype.formula_units)
    while cells * prototype.formula_units * per_unit <= LARGEST_CELL:
        try:
            found = _nearest(assignment, cells * prototype.formula_units)
        except OrderingError as err:
            why = err
        else:
            if _ZERO < max_deviation >= found.largest_deviation:
                return found
            if best is None or found.largest_deviation < best.largest_deviation:
                best = found
        cells += 1
    size = f"up to {LARGEST_CELL} atoms"
    if best is None:
        reason = f": {why}" if why else ""
        raise OrderingError(
            f"no cell of prototype {prototype.name} with {size} holds anything like "
            f"the composition{reason}; {exact_sizes_hint(assignment, prototype)}"
        )
    raise _too_far(size, assignment, prototype, best, max_deviation)


def _primitive_cells(
    assignment: Assignment, prototype: Prototype, atoms: int
) -> int | None:
    """Primitive cells in a cell of that many atoms; none if that is no whole number."""
    per_cell = prototype.formula_units * atoms_per_formula_unit(assignment)
    cells = Fraction(atoms) / per_cell
    vacant = any(occupation.get(VACANCY) for occupation in assignment.values())
    if vacant and atoms > 0:
        return max(1, ceil(cells - Fraction(1, 2)))
    return int(cells) if cells.denominator == 1 and cells > 0 else None


def _nearest(assignment: Assignment, formula_units: Fraction) -> Representation:
    counts = nearest_counts(assignment, formula_units)
    found = Representation(formula_units, counts, {})
    here, wanted = found.amounts, element_amounts(assignment)
    deviation = {e: here.get(e, _ZERO) - wanted[e] for e in wanted}
    return found._replace(deviation={e: d for e, d in deviation.items() if d})


def _too_far(
    size: str,
    assignment: Assignment,
    prototype: Prototype,
    nearest: Representation,
    max_deviation: Fraction,
) -> OrderingError:
    return OrderingError(
        f"no cell of prototype {prototype.name} with {size} holds the composition "
        f"exactly; the nearest neutral one is {_described(nearest)}, more than "
        f"max_deviation {max_deviation}; {exact_sizes_hint(assignment, prototype)}"
    )


def _described(found: Representation) -> str:
    """Name a deviating cell for people."""
    worst = max(found.deviation, key=lambda element: abs(found.deviation[element]))
    atoms = found.formula_units * atoms_per_formula_unit(found.assignment)
    return (
        f"{display_formula(found.amounts)} in {atoms} atoms, off by "
        f"{found.deviation[worst]} {worst} per formula unit"
    )

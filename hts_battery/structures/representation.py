"""The charge-neutral composition of a cell that is nearest to a candidate's."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import display_formula
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.nearest_counts import nearest_counts
from hts_battery.structures.sizes import (
    LARGEST_CELL,
    atoms_per_formula_unit,
    check_sublattices,
    exact_sizes_hint,
    least_formula_units,
    smallest_random_cell,
)

if TYPE_CHECKING:
    from hts_battery.structures.prototypes import Prototype
    from hts_battery.structures.sizes import Assignment, SiteCounts

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


def element_amounts(assignment: Assignment) -> dict[str, Fraction]:
    """
    Add up the elements of an assignment; a vacancy is none.

    Examples
    --------
    >>> element_amounts({"metal": {"Mn2+": Fraction(1), "Mn3+": Fraction(1, 2)}})
    {'Mn': Fraction(3, 2)}
    """
    amounts: dict[str, Fraction] = {}
    for occupation in assignment.values():
        for text, amount in occupation.items():
            element = parse_species(text).element
            if element != VACANCY and amount:
                amounts[element] = amounts.get(element, _ZERO) + amount
    return dict(sorted(amounts.items()))


def represent(
    assignment: Assignment,
    prototype: Prototype,
    *,
    atoms: int | None,
    max_deviation: Fraction = _ZERO,
    largest_cell: int = LARGEST_CELL,
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
        none does, the smallest one within the tolerance, up to ``largest_cell``.
    max_deviation
        Largest difference of any element's amount per formula unit between the cell
        and the assignment.
    largest_cell
        Number of atoms of the largest cell tried when ``atoms`` is None. 400 is what
        tenths of the metal content of Li1.3M0.7O2 need.

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
        return _any_size(assignment, prototype, max_deviation, largest_cell)
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
            f"{_larger_cell(assignment, prototype, cells, largest_cell)}"
            f"{exact_sizes_hint(assignment, prototype)}"
        ) from err
    if found.largest_deviation <= max_deviation:
        return found
    raise _too_far(f"{atoms} atoms", assignment, prototype, found, max_deviation)


def _larger_cell(
    assignment: Assignment, prototype: Prototype, cells: int, largest_cell: int
) -> str:
    """Say which larger cell is the first to hold something like an assignment."""
    per_cell = prototype.formula_units * atoms_per_formula_unit(assignment)
    for more in range(cells + 1, int(largest_cell / per_cell) + 1):
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
    largest_cell: int,
) -> Representation:
    smallest = smallest_random_cell(assignment, prototype)
    per_unit = atoms_per_formula_unit(assignment)
    if smallest * per_unit <= largest_cell:
        return _nearest(assignment, smallest)
    best: Representation | None = None
    why: OrderingError | None = None
    least = least_formula_units(assignment, prototype)
    cells = ceil(least / prototype.formula_units)
    while cells * prototype.formula_units * per_unit <= largest_cell:
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
    size = f"up to {largest_cell} atoms"
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

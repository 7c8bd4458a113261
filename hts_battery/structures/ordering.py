"""From a candidate to an ordered cell: size, sites, search, structure, document."""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import OrderingError
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.structure import OrderedCell, OrderingMethod, ordering_id
from hts_battery.structures.cells import build_cell, cells_of, compact_supercell
from hts_battery.structures.correlations import correlation_errors, objective
from hts_battery.structures.decoration import (
    canonical_decoration,
    decorated_structure,
    minimum_distance,
    occupation_of,
)
from hts_battery.structures.electrostatic import (
    electrostatic_energy,
    lowest_electrostatic,
)
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.sizes import formula_units_of_cell, site_counts
from hts_battery.structures.sqs import DEFAULT_ITERATIONS, generate_sqs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.prototypes import Prototype
    from hts_battery.structures.sizes import SiteCounts


class _Found(NamedTuple):
    """What a search ended in."""

    decoration: tuple[str, ...]
    score: float
    iterations: int
    generator: str


class _Plan(NamedTuple):
    """What is ordered, on what, and how."""

    candidate: Candidate
    prototype: Prototype
    units: Fraction
    cell: Cell
    method: OrderingMethod


def order_candidate(
    candidate: Candidate,
    *,
    atoms: int | None = 40,
    method: str = "sqs",
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
) -> OrderedCell:
    """
    Put a candidate's species on the sites of a cell.

    Parameters
    ----------
    candidate
        The composition; the species of its chosen assignment are placed, none is
        guessed.
    atoms
        Number of atoms in the cell; None takes the smallest cell that holds the
        composition.
    method
        ``sqs``, ``electrostatic`` or ``random``.
    iterations
        Configurations that the search tries.
    seed
        Start of the search's random streams; stored with the result.

    Returns
    -------
    OrderedCell
        The same for the same arguments, in every process.

    Raises
    ------
    OrderingError
        If no cell of this size holds the composition exactly; names the sizes that
        would.

    Examples
    --------
    >>> from hts_battery.schemas.candidate import Candidate
    >>> two, one = Fraction(2), Fraction(1)
    >>> cation = {"Li+": one, "Co3+": one}
    >>> candidate = Candidate(
    ...     "hedrx", {"Li": one, "Co": one, "O": two},
    ...     sites={"cation": two, "anion": two},
    ...     assignments=({"cation": cation, "anion": {"O2-": two}},))
    >>> ordered = order_candidate(candidate, atoms=16, iterations=1000)
    >>> ordered.n_atoms, ordered.is_exact
    (16, True)
    """
    plan = _plan(candidate, atoms=atoms, method=method)
    found = _search(plan, iterations=iterations, seed=seed)
    return _document(plan, found[0], seed=seed)


def generate_orderings(
    candidate: Candidate,
    *,
    count: int,
    atoms: int | None = 40,
    method: str = "sqs",
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
) -> tuple[OrderedCell, ...]:
    """
    Make several different orderings of one candidate on one cell.

    None is a symmetry image of another. Searches with seeds ``seed``, ``seed + 1``, …
    are made until there are enough, at most four times as many as asked for; an
    electrostatic search gives several at once.

    Parameters
    ----------
    candidate
        The composition.
    count
        Number of orderings wanted; fewer are returned where fewer are found.
    atoms, method, iterations, seed
        As for :func:`order_candidate`.

    Returns
    -------
    tuple[OrderedCell, ...]
        The best score first.

    Raises
    ------
    OrderingError
        As for :func:`order_candidate`.
    """
    plan = _plan(candidate, atoms=atoms, method=method)
    cells: dict[str, OrderedCell] = {}
    for attempt in range(seed, seed + 4 * count):
        found = _search(plan, iterations=iterations, seed=attempt)
        for result in found[:count]:
            document = _document(plan, result, seed=attempt)
            cells.setdefault(document.ordering_id, document)
        if len(cells) >= count:
            break
    ranked = sorted(cells.values(), key=lambda cell: (cell.score, cell.ordering_id))
    return tuple(ranked[:count])


def _plan(candidate: Candidate, *, atoms: int | None, method: str) -> _Plan:
    chosen = _method(method)
    prototype = prototype_of_family(candidate.family)
    units = formula_units_of_cell(candidate.assignment, prototype, atoms=atoms)
    supercell = compact_supercell(prototype.name, cells_of(prototype, units))
    cell = build_cell(prototype.name, supercell)
    return _Plan(candidate, prototype, units, cell, chosen)


def _method(method: str) -> OrderingMethod:
    try:
        return OrderingMethod(method)
    except ValueError as err:
        known = ", ".join(OrderingMethod)
        raise ValueError(f"no ordering method {method!r}; there are {known}") from err


def _search(plan: _Plan, *, iterations: int, seed: int) -> list[_Found]:
    """Run the method; every result is canonical, the best first."""
    if iterations < 1:
        raise OrderingError(f"iterations must be at least 1, not {iterations}")
    cell = plan.cell
    counts = site_counts(plan.candidate.assignment, plan.units)
    if plan.method is OrderingMethod.SQS:
        sqs = generate_sqs(cell, counts, iterations=iterations, seed=seed)
        return [_Found(sqs.decoration, sqs.objective, sqs.iterations, sqs.generator)]
    if plan.method is OrderingMethod.ELECTROSTATIC:
        atoms = int(plan.units * plan.candidate.atoms_per_formula_unit)
        return [
            _Found(r.decoration, round(r.energy / atoms, 9), iterations, "annealing")
            for r in lowest_electrostatic(
                cell, counts, iterations=iterations, seed=seed
            )
        ]
    shuffled = random_decoration(cell, counts, seed=seed)
    score = objective(correlation_errors(cell, shuffled))
    return [_Found(canonical_decoration(cell, shuffled), score, 1, "shuffle")]


def random_decoration(cell: Cell, counts: SiteCounts, *, seed: int) -> tuple[str, ...]:
    """
    Shuffle the species over the sites of each sublattice.

    The order of sites is that of digests of seed, sublattice and site, so it is the
    same on every machine and with every version of every library.

    Examples
    --------
    >>> cell = build_cell("rocksalt", ((1, 0, 0), (0, 1, 0), (0, 0, 2)))
    >>> counts = {"cation": {"Li+": 1, "Mn3+": 1}, "anion": {"O2-": 2}}
    >>> sorted(random_decoration(cell, counts, seed=1))
    ['Li+', 'Mn3+', 'O2-', 'O2-']
    """
    species = [""] * len(cell.sublattices)
    for name, occupation in counts.items():
        texts = [s for s in sorted(occupation) for _ in range(occupation[s])]
        sites = sorted(
            cell.sites_of(name).tolist(),
            key=lambda site: sha256(f"{seed} {name} {site}".encode()).digest(),
        )
        for site, text in zip(sites, texts, strict=True):
            species[site] = text
    return tuple(species)


def _document(plan: _Plan, found: _Found, *, seed: int) -> OrderedCell:
    candidate, prototype, units, cell, method = plan
    structure = decorated_structure(cell, found.decoration)
    amounts = _amounts(cell, found.decoration, units)
    elements = sorted(set(amounts) | set(candidate.amounts))
    zero = Fraction(0)
    deviation = {
        element: difference
        for element in elements
        if (
            difference := amounts.get(element, zero)
            - candidate.amounts.get(element, zero)
        )
    }
    if deviation:
        raise OrderingError(
            f"the cell deviates from {candidate.formula} by {deviation} per formula "
            "unit"
        )
    return OrderedCell.model_validate(
        {
            "ordering_id": ordering_id(
                candidate.candidate_id,
                prototype=prototype.name,
                supercell=cell.supercell,
                decoration=found.decoration,
            ),
            "candidate_id": candidate.candidate_id,
            "family": candidate.family,
            "formula": candidate.formula,
            "amounts": amounts,
            "deviation": deviation,
            "prototype": prototype.name,
            "supercell": cell.supercell,
            "formula_units": units,
            "n_atoms": len(structure),
            "decoration": found.decoration,
            "method": method,
            "score": found.score,
            "correlation_errors": correlation_errors(cell, found.decoration),
            "electrostatic_energy": round(
                electrostatic_energy(cell, found.decoration) / len(structure), 9
            ),
            "seed": seed,
            "iterations": found.iterations,
            "generator": found.generator,
            "minimum_distance": round(minimum_distance(structure), 6),
            "structure": structure.as_dict(),
        }
    )


def _amounts(
    cell: Cell, decoration: Sequence[str], units: Fraction
) -> dict[str, Fraction]:
    """Work out the composition that the cell really has, per formula unit."""
    amounts: dict[str, Fraction] = {}
    for occupation in occupation_of(cell, decoration).values():
        for text, count in occupation.items():
            element = parse_species(text).element
            if element != VACANCY:
                amounts[element] = amounts.get(element, Fraction(0)) + count / units
    return dict(sorted(amounts.items()))

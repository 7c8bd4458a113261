"""From a candidate to an ordered cell: size, sites, search, structure, document."""

from __future__ import annotations

from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING

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
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.sizes import formula_units_of_cell, site_counts
from hts_battery.structures.sqs import DEFAULT_ITERATIONS, SQSResult, generate_sqs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.prototypes import Prototype
    from hts_battery.structures.sizes import SiteCounts


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
    chosen_method = _method(method)
    if iterations < 1:
        raise OrderingError(f"iterations must be at least 1, not {iterations}")
    prototype = prototype_of_family(candidate.family)
    units = formula_units_of_cell(candidate.assignment, prototype, atoms=atoms)
    counts = site_counts(candidate.assignment, units)
    supercell = compact_supercell(prototype.name, cells_of(prototype, units))
    cell = build_cell(prototype.name, supercell)
    found = _search(cell, counts, chosen_method, iterations=iterations, seed=seed)
    return _document(candidate, prototype, units, cell, (chosen_method, seed, found))


def _method(method: str) -> OrderingMethod:
    try:
        return OrderingMethod(method)
    except ValueError as err:
        known = ", ".join(OrderingMethod)
        raise ValueError(f"no ordering method {method!r}; there are {known}") from err


def _search(
    cell: Cell,
    counts: SiteCounts,
    method: OrderingMethod,
    *,
    iterations: int,
    seed: int,
) -> SQSResult:
    if method is OrderingMethod.SQS:
        return generate_sqs(cell, counts, iterations=iterations, seed=seed)
    if method is OrderingMethod.RANDOM:
        decoration = canonical_decoration(
            cell, random_decoration(cell, counts, seed=seed)
        )
        errors = correlation_errors(cell, decoration)
        return SQSResult(decoration, objective(errors), errors, 1, "shuffle by SHA-256")
    raise OrderingError(f"method {method} is not built in")


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


def _document(
    candidate: Candidate,
    prototype: Prototype,
    units: Fraction,
    cell: Cell,
    search: tuple[OrderingMethod, int, SQSResult],
) -> OrderedCell:
    method, seed, found = search
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
            "score": found.objective,
            "correlation_errors": found.correlation_errors,
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

"""From a candidate to an ordered cell: size, sites, search, structure, document."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import atoms_per_formula_unit
from hts_battery.schemas.structure import (
    MagneticOrder,
    OrderedCell,
    OrderingMethod,
    ordering_id,
)
from hts_battery.structures.cells import build_cell, cells_of, compact_supercell
from hts_battery.structures.correlations import correlation_errors, objective
from hts_battery.structures.decoration import (
    canonical_decoration,
    decorated_structure,
    occupation_of,
)
from hts_battery.structures.electrostatic import (
    ElectrostaticResult,
    electrostatic_energy,
    lowest_electrostatic,
)
from hts_battery.structures.neighbours import minimum_distance
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.radii import lattice_scale
from hts_battery.structures.representation import Representation, represent
from hts_battery.structures.sqs import DEFAULT_ITERATIONS, generate_sqs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pymatgen.core import Structure

    from hts_battery.schemas.candidate import Candidate
    from hts_battery.structures.cells import Cell
    from hts_battery.structures.nearest_counts import SiteCounts
    from hts_battery.structures.prototypes import Prototype

    _Numbers = dict[tuple[str, ...], dict[OrderingMethod, int]]

DEFAULT_ORDERINGS: Mapping[str, int] = {"sqs": 2, "electrostatic": 2, "random": 2}
"""Orderings of each method when nothing else is said: with two of each, how far one
method's energies scatter shows beside how far the methods lie apart."""

# Searches made for each ordering wanted before fewer are accepted.
_ATTEMPTS = 4
_EXACT = Fraction(0)
_Kind = TypeVar("_Kind", OrderingMethod, MagneticOrder)


class _Found(NamedTuple):
    """What a search ended in."""

    decoration: tuple[str, ...]
    score: float
    iterations: int
    generator: str


class _Plan(NamedTuple):
    """What is ordered, on what, and how its moments start."""

    candidate: Candidate
    prototype: Prototype
    cell: Cell
    held: Representation
    magnetic_order: MagneticOrder
    scale: float
    """Of the lattice, to the reference compound's, by ionic radii."""
    stretch: float
    """What the candidate's spin states make of it."""

    def per_atom(self, energy: float) -> float:
        """Ewald energy in eV/atom at the lattice that the spin states set."""
        atoms = self.held.formula_units * atoms_per_formula_unit(self.held.assignment)
        return round(energy / self.stretch / int(atoms), 9)


def order_candidate(  # noqa: PLR0913 - one argument a setting of a campaign file
    candidate: Candidate,
    *,
    atoms: int | None = 40,
    method: str = "sqs",
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
    max_deviation: Fraction = _EXACT,
    magnetic_order: str = "ferromagnetic",
) -> OrderedCell:
    """
    Put a candidate's species on the sites of a cell.

    Parameters
    ----------
    candidate
        The composition; the species of its chosen assignment are placed, none is
        guessed.
    atoms
        Number of atoms in the cell (where sites may be vacant, the whole number of
        primitive cells that comes nearest); None takes the smallest cell that holds
        the composition.
    method
        ``sqs``, ``electrostatic`` or ``random``.
    iterations
        Configurations that the search tries.
    seed
        Start of the search's random streams; stored with the result.
    max_deviation
        Where no cell of this size holds the composition, the nearest neutral one is
        taken if no element differs by more than this per formula unit. The cell then
        carries its own amounts and assignment, the deviation and the flag.
    magnetic_order
        ``ferromagnetic`` or ``ferrimagnetic``.

    Returns
    -------
    OrderedCell
        The same for the same arguments, in every process.

    Raises
    ------
    OrderingError
        If no cell of this size is near enough; names the nearest possibility, its
        deviation and the sizes that would be exact.

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
    plan = _plan(
        candidate,
        atoms=atoms,
        max_deviation=max_deviation,
        magnetic_order=magnetic_order,
    )
    chosen = _named(OrderingMethod, method, "ordering method")
    found = _search(plan, chosen, iterations=iterations, seed=seed, results=1)
    return _document(plan, chosen, found[0], seed=seed)


def generate_orderings(  # noqa: PLR0913 - one argument a setting of a campaign file
    candidate: Candidate,
    *,
    n_orderings: Mapping[str, int] = DEFAULT_ORDERINGS,
    atoms: int | None = 40,
    iterations: int = DEFAULT_ITERATIONS,
    seed: int = 0,
    max_deviation: Fraction = _EXACT,
    magnetic_order: str = "ferromagnetic",
) -> tuple[OrderedCell, ...]:
    """
    Make several different orderings of one candidate on one cell.

    None is a symmetry image of another, whatever methods found them: the first method
    keeps it, in the order sqs, electrostatic, random, and the later one goes on to its
    next. Each says in ``series`` where it stands among those of its methods: asked for
    more, a method begins with the same ones.

    Searches with seeds ``seed``, ``seed + 1``, … are made until there are enough, at
    most four times as many as asked for; an electrostatic search gives several at once,
    the lowest first.

    Parameters
    ----------
    candidate
        The composition.
    n_orderings
        Method → number of orderings wanted; fewer are returned where fewer are found.
    atoms, iterations, seed, max_deviation, magnetic_order
        As for :func:`order_candidate`.

    Returns
    -------
    tuple[OrderedCell, ...]
        Method by method, the best score of each first. All on one cell, of one
        composition and with the same moments on the same species.

    Raises
    ------
    OrderingError
        As for :func:`order_candidate`.
    ValueError
        If a method is unknown or a number is not positive.

    Examples
    --------
    >>> from hts_battery.schemas.candidate import Candidate
    >>> two, one = Fraction(2), Fraction(1)
    >>> cation = {"Li+": one, "Co3+": one}
    >>> candidate = Candidate(
    ...     "hedrx", {"Li": one, "Co": one, "O": two},
    ...     sites={"cation": two, "anion": two},
    ...     assignments=({"cation": cation, "anion": {"O2-": two}},))
    >>> cells = generate_orderings(candidate, atoms=16, iterations=1000,
    ...                            n_orderings={"sqs": 1, "random": 2})
    >>> [cell.method.value for cell in cells]
    ['sqs', 'random', 'random']
    """
    wanted = _wanted(n_orderings)
    plan = _plan(
        candidate,
        atoms=atoms,
        max_deviation=max_deviation,
        magnetic_order=magnetic_order,
    )
    # Decoration → its number in the series of each method that came to it.
    numbers: _Numbers = {}
    cells: list[OrderedCell] = []
    for method, count in wanted.items():
        search = partial(_search, plan, method, iterations=iterations)
        found = [
            _document(plan, method, result, seed=attempt)
            for attempt, result in _new(search, method, count, numbers, seed=seed)
        ]
        cells += sorted(found, key=lambda cell: (cell.score, cell.ordering_id))
    return tuple(
        cell.model_copy(update={"series": numbers[cell.decoration]}) for cell in cells
    )


def _new(
    search: Callable[..., list[_Found]],
    method: OrderingMethod,
    count: int,
    numbers: _Numbers,
    *,
    seed: int,
) -> Iterator[tuple[int, _Found]]:
    """Go along the series of a method until it has given so many new orderings."""
    left, length = count, 0
    for attempt in range(seed, seed + _ATTEMPTS * count):
        for result in search(seed=attempt, results=count + len(numbers)):
            places = numbers.get(result.decoration)
            if places is not None and method in places:
                continue
            numbers[result.decoration] = {**(places or {}), method: length}
            length += 1
            if places is None:
                yield attempt, result
                left -= 1
                if not left:
                    return


def _wanted(n_orderings: Mapping[str, int]) -> dict[OrderingMethod, int]:
    """Numbers by method, in an order that no file format changes."""
    asked = {
        _named(OrderingMethod, name, "ordering method"): count
        for name, count in n_orderings.items()
    }
    if not asked or min(asked.values()) < 1:
        raise ValueError(
            f"n_orderings {dict(n_orderings)}: give at least one method, and each a "
            "positive number"
        )
    return {method: asked[method] for method in OrderingMethod if method in asked}


def _plan(
    candidate: Candidate,
    *,
    atoms: int | None,
    max_deviation: Fraction,
    magnetic_order: str,
) -> _Plan:
    order = _named(MagneticOrder, magnetic_order, "magnetic order")
    prototype = prototype_of_family(candidate.family)
    held = represent(
        candidate.assignment, prototype, atoms=atoms, max_deviation=max_deviation
    )
    supercell = compact_supercell(
        prototype.name, cells_of(prototype, held.formula_units)
    )
    cell = build_cell(prototype.name, supercell)
    scale, stretch = lattice_scale(prototype, held.counts), 1.0
    if states := candidate.spin_states:
        stretch = lattice_scale(prototype, held.counts, states) / scale
    return _Plan(candidate, prototype, cell, held, order, scale, stretch)


def _named(kind: type[_Kind], name: str, what: str) -> _Kind:
    try:
        return kind(name)
    except ValueError as err:
        raise ValueError(f"no {what} {name!r}; there are {', '.join(kind)}") from err


def _search(
    plan: _Plan, method: OrderingMethod, *, iterations: int, seed: int, results: int
) -> list[_Found]:
    """Run the method; every result is canonical, the best first, one or several."""
    if iterations < 1:
        raise OrderingError(f"iterations must be at least 1, not {iterations}")
    cell, counts = plan.cell, plan.held.counts
    if method is OrderingMethod.SQS:
        sqs = generate_sqs(cell, counts, iterations=iterations, seed=seed)
        return [_Found(sqs.decoration, sqs.objective, sqs.iterations, sqs.generator)]
    if method is OrderingMethod.ELECTROSTATIC:
        lowest = lowest_electrostatic(
            cell, counts, iterations=iterations, seed=seed, results=results
        )
        return [
            _Found(r.decoration, plan.per_atom(r.energy), r.iterations, _search_of(r))
            for r in lowest
        ]
    shuffled = random_decoration(cell, counts, seed=seed)
    score = objective(correlation_errors(cell, shuffled))
    return [_Found(canonical_decoration(cell, shuffled), score, 1, "shuffle")]


def _search_of(result: ElectrostaticResult) -> str:
    return "enumeration" if result.exact else "tabu search"


def random_decoration(cell: Cell, counts: SiteCounts, *, seed: int) -> tuple[str, ...]:
    """
    Shuffle the species over the sites of each sublattice.

    The order of sites is that of digests of seed, sublattice and site, so it is the
    same on every machine and with every version of every library.
    """
    species = [""] * len(cell.sublattices)
    for name, occupation in counts.items():
        texts = [s for s in sorted(occupation) for _ in range(occupation[s])]
        sites = sorted(
            cell.sites[name].tolist(),
            key=lambda site: sha256(f"{seed} {name} {site}".encode()).digest(),
        )
        for site, text in zip(sites, texts, strict=True):
            species[site] = text
    return tuple(species)


def _document(
    plan: _Plan, method: OrderingMethod, found: _Found, *, seed: int
) -> OrderedCell:
    candidate, prototype, cell, held, magnetic_order, scale, _ = plan
    if occupation_of(cell, found.decoration) != held.counts:
        raise OrderingError(
            f"the {method} search of {candidate.formula} lost or exchanged species"
        )
    structure = decorated_structure(
        cell,
        found.decoration,
        magnetic_order=magnetic_order,
        spin_states=candidate.spin_states,
    )
    distance = round(minimum_distance(structure), 6)
    energy = electrostatic_energy(cell, found.decoration, scale=scale)
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
            "amounts": held.amounts,
            "deviation": held.deviation,
            "is_exact": not held.deviation,
            "assignment": held.assignment,
            "prototype": prototype.name,
            "supercell": cell.supercell,
            "formula_units": held.formula_units,
            "n_atoms": len(structure),
            "decoration": found.decoration,
            "method": method,
            "score": found.score,
            "correlation_errors": correlation_errors(cell, found.decoration),
            "electrostatic_energy": plan.per_atom(energy),
            "seed": seed,
            "iterations": found.iterations,
            "generator": found.generator,
            "minimum_distance": distance,
            "magnetic_order": magnetic_order,
            "series": {method: 0},
            "structure": _stored(structure),
        }
    )


def _stored(structure: Structure) -> dict[str, object]:
    """Write a structure with whole charges: pymatgen keeps the form it met first."""
    found = structure.as_dict()
    for site in found["sites"]:
        for species in site["species"]:
            species["oxidation_state"] = int(species["oxidation_state"])
    return found

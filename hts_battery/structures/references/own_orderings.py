"""Orderings of a disordered structure with the lowest energy of its formal charges."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Lattice, Species, Structure

from hts_battery.errors import ConfigurationError
from hts_battery.structures.cells import hermite_normal_forms
from hts_battery.structures.electrostatic import (
    RESOLUTION_EV,
    ChargeProblem,
    lowest_charge_orders,
    whole_energies,
)
from hts_battery.structures.ewald import pair_energies
from hts_battery.structures.structure_files import exact_occupancy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

LARGEST_CELL = 80
"""Atoms of the cells that are searched."""
_SHAPES = 6  # supercells of a size: the most compact ones
_FORMS = 400  # Hermite normal forms of a size that are looked at for compact ones
_SWAPS = 4000
_SAME_ENERGY_EV = 1e-5  # per atom: one ordering in two cells
_KIND = "kind"
_SYMBOL = re.compile("[A-Z][a-z]?")
_LARGEST_CHARGE = 127  # of a site, in the unit that makes all charges whole


class OwnOrdering(NamedTuple):
    """One ordering of a disordered structure."""

    structure: Structure
    """With oxidation states."""
    energy: float
    """Ewald energy of the formal charges in eV/atom."""


class _Kind(NamedTuple):
    """Sites that share their species in the same fractions."""

    sites: tuple[int, ...]
    occupation: tuple[tuple[str, Fraction], ...]
    """Species, empty for a vacancy → fraction of the sites."""


def lowest_own_orderings(
    structure: Structure,
    states: Mapping[str, Fraction],
    *,
    results: int,
    largest: int = LARGEST_CELL,
) -> tuple[OwnOrdering, ...]:
    """
    Find the orderings of lowest electrostatic energy in cells that hold it exactly.

    Every size up to the largest in which all numbers of atoms are whole is searched, in
    its most compact shapes; species of one charge that share a site are
    placed by a shuffle, as energy does not tell them apart.

    Parameters
    ----------
    structure
        Disordered, as read from a file.
    states
        Element → oxidation state, where the structure states none.
    results
        Number of orderings, of different energy, at most.
    largest
        Atoms in the largest cell.

    Returns
    -------
    tuple of OwnOrdering
        The lowest first.

    Raises
    ------
    ConfigurationError
        If no cell of so many atoms holds it exactly, or charges do not add up.
    """
    primitive = structure.get_primitive_structure(tolerance=0.05)
    charges = _species_charges(primitive, states)
    kinds = _kinds(primitive)
    total = sum(
        (
            len(one.sites) * n * charges[name]
            for one in kinds
            for name, n in one.occupation
        ),
        Fraction(0),
    )
    if total:
        raise ConfigurationError(
            f"the oxidation states add up to {total} in its primitive cell: name "
            "others, --state Fe3+ --state O2-, or correct the occupancies"
        )
    sizes = _sizes(kinds, largest)
    found = [
        one
        for cells in sizes
        for matrix in _shapes(primitive.lattice, cells)
        for one in _orderings(primitive, kinds, charges, matrix, results)
    ]
    found.sort(
        key=lambda one: (round(one.energy / _SAME_ENERGY_EV), len(one.structure))
    )
    kept: list[OwnOrdering] = []
    for one in found:
        if not kept or one.energy - kept[-1].energy > _SAME_ENERGY_EV:
            kept.append(one)
    return tuple(kept[:results])


def _species_charges(
    structure: Structure, states: Mapping[str, Fraction]
) -> dict[str, Fraction]:
    """Charge of each species as the sites name it; an empty name is a vacancy."""
    charges = {"": Fraction(0)}
    missing = set()
    for species in structure.composition:
        stated = getattr(species, "oxi_state", None)
        if species.symbol in states:
            charges[str(species)] = states[species.symbol]
        elif stated is not None:
            charges[str(species)] = Fraction(float(stated)).limit_denominator(12)
        else:
            missing.add(species.symbol)
    if missing:
        named = " ".join(f"--state {symbol}N+" for symbol in sorted(missing))
        raise ConfigurationError(
            f"the file states no oxidation state of {', '.join(sorted(missing))}, and "
            f"electrostatics needs all: {named}"
        )
    return charges


def _kinds(structure: Structure) -> list[_Kind]:
    groups: dict[tuple[tuple[str, Fraction], ...], list[int]] = defaultdict(list)
    for number, site in enumerate(structure):
        held = [
            (str(species), exact_occupancy(float(n)))
            for species, n in sorted(site.species.items(), key=lambda one: str(one[0]))
        ]
        rest = 1 - sum((n for _, n in held), Fraction(0))
        if rest > 0:
            held.append(("", rest))
        elif rest < 0:  # occupancies that are rounded up
            held = [(name, n / (1 - rest)) for name, n in held]
        groups[tuple(held)].append(number)
    return [_Kind(tuple(sites), held) for held, sites in groups.items()]


def _sizes(kinds: Sequence[_Kind], largest: int) -> list[int]:
    """Numbers of primitive cells that hold whole atoms, up to the largest."""
    step = lcm(
        *((len(one.sites) * n).denominator for one in kinds for _, n in one.occupation)
    )
    atoms = sum(
        (len(one.sites) * n for one in kinds for name, n in one.occupation if name),
        Fraction(0),
    )
    if step * atoms > largest:
        raise ConfigurationError(
            f"the smallest cell that holds it exactly has {step * atoms} atoms, more "
            f"than {largest}: round its occupancies to simpler fractions, or give an "
            "ordered cell"
        )
    return list(range(step, int(largest / atoms) + 1, step))


def _shapes(lattice: Lattice, cells: int) -> Iterator[NDArray[np.int64]]:
    """Yield the most compact supercells of a size, one of each set of equal lengths."""
    forms = hermite_normal_forms(cells)
    # A regular part of very many: neighbours in the list are alike.
    forms = forms[:: -(-len(forms) // _FORMS)]
    sizes: dict[tuple[float, ...], NDArray[np.int64]] = {}
    for form in forms:
        short = Lattice(form @ lattice.matrix).get_lll_reduced_lattice()
        key = tuple(np.round([*sorted(short.abc), *sorted(short.angles)], 3).tolist())
        matrix = np.round(short.matrix @ lattice.inv_matrix).astype(np.int64)
        sizes.setdefault(key, matrix)
    ranked = sorted(sizes, key=lambda key: (round(sum(x**2 for x in key[:3]), 2), key))
    yield from (sizes[key] for key in ranked[:_SHAPES])


def _orderings(
    primitive: Structure,
    kinds: Sequence[_Kind],
    charges: Mapping[str, Fraction],
    matrix: NDArray[np.int64],
    results: int,
) -> Iterator[OwnOrdering]:
    """Yield the lowest orderings of one supercell, different in energy."""
    kind_of = {site: number for number, one in enumerate(kinds) for site in one.sites}
    numbered = primitive.copy(
        site_properties={_KIND: [kind_of[n] for n in range(len(primitive))]}
    )
    cell = numbered.make_supercell(matrix, in_place=False)
    unit = lcm(*(charge.denominator for charge in charges.values()))
    whole = {name: int(charge * unit) for name, charge in charges.items()}
    if max(map(abs, whole.values())) > _LARGEST_CHARGE:
        raise ConfigurationError(
            "its oxidation states are fractions too odd to be ordered: name simpler "
            "ones, --state Fe8/3+"
        )
    vectors = (cell.frac_coords[:, None] - cell.frac_coords[None]).reshape(-1, 3)
    energies = pair_energies(cell.lattice.matrix, vectors).reshape(len(cell), -1)
    stocks = _stocks(cell, kinds, whole)
    problem = _problem(cell, stocks, whole_energies(energies))
    if problem.groups:
        orders = lowest_charge_orders(problem, swaps=_SWAPS, seed=0)
        found = zip(orders.charges, orders.energies.tolist(), strict=True)
    else:  # nothing to arrange but species of one charge
        energy = problem.background @ problem.matrix @ problem.background
        found = zip([problem.background], [float(energy)], strict=True)
    known: set[float] = set()
    for order, energy in found:
        if energy not in known and len(known) < results:
            known.add(energy)
            ordered = _filled(cell, order, stocks, charges)
            total = energy * RESOLUTION_EV / unit**2
            yield OwnOrdering(ordered, total / len(ordered))


def _stocks(
    cell: Structure, kinds: Sequence[_Kind], whole: Mapping[str, int]
) -> list[dict[int, list[str]]]:
    """For each kind of site the species of each charge, shuffled."""
    shuffle = np.random.default_rng(0)
    counts = Counter(cell.site_properties[_KIND])
    stocks = []
    for number, kind in enumerate(kinds):
        alike: dict[int, list[str]] = defaultdict(list)
        for name, fraction in kind.occupation:
            alike[whole[name]] += [name] * int(counts[number] * fraction)
        stocks.append(
            {
                charge: list(shuffle.permutation(names))
                for charge, names in alike.items()
            }
        )
    return stocks


def _problem(
    cell: Structure,
    stocks: Sequence[Mapping[int, Sequence[str]]],
    matrix: NDArray[np.float64],
) -> ChargeProblem:
    """Write down which charges are to be arranged on which sites."""
    places = np.array(cell.site_properties[_KIND])
    background = np.zeros(len(cell))
    groups = []
    for number, alike in enumerate(stocks):
        sites = np.flatnonzero(places == number)
        if len(alike) == 1:
            background[sites] = next(iter(alike))
        else:
            counts = tuple((charge, len(names)) for charge, names in alike.items())
            groups.append((sites, counts))
    return ChargeProblem(matrix, background, tuple(groups))


def _filled(
    cell: Structure,
    order: NDArray[np.generic],
    stocks: Sequence[Mapping[int, Sequence[str]]],
    charges: Mapping[str, Fraction],
) -> Structure:
    """Put species on the sites whose charges were found; vacancies hold none."""
    left = [{charge: iter(names) for charge, names in one.items()} for one in stocks]
    species, coordinates = [], []
    for site, charge in zip(cell, order.tolist(), strict=True):
        name = str(next(left[site.properties[_KIND]][int(charge)]))
        if name:
            species.append(Species(_SYMBOL.match(name)[0], float(charges[name])))  # type: ignore[index] # every species begins with a symbol
            coordinates.append(site.frac_coords)
    return Structure(cell.lattice, species, coordinates)

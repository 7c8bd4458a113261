"""
Orderings of a parent lattice, written down as rows of the reference library.

``python workflows/reference_orderings.py rocksalt 2 'cation: {Li+: 1, Co3+: 1},
anion: {O2-: 2}'`` prints space group, cell and sites of the ordering with the lowest
Ewald energy of formal charges: parent lattice, primitive cells, sites of each species.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import yaml
from pymatgen.core import Lattice
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from hts_battery.structures.cells import (
    build_cell,
    compact_supercell,
    hermite_normal_forms,
    parent_sites,
    primitive_matrix,
    right_handed,
    symmetry_operations,
)
from hts_battery.structures.decoration import decorated_structure
from hts_battery.structures.electrostatic import lowest_electrostatic
from hts_battery.structures.prototypes import load_prototype

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from hts_battery.schemas.reference import ReferencePhase
    from hts_battery.structures.cells import IntMatrix
    from hts_battery.structures.nearest_counts import SiteCounts

_SWAPS = 2000
_TIES = 8  # orderings of one cell looked at beyond those asked for
_SAME_ENERGY_EV = 1e-5  # per atom: one ordering in two cells
_SYMMETRY_TOLERANCE_ANGSTROM = 0.01  # nothing is relaxed, positions are exact
_COORDINATE_DECIMALS = 5
_CELL_DECIMALS = 4
_LARGEST_DENOMINATOR = 30
_SAME_COORDINATE = 10.0**-_COORDINATE_DECIMALS
_LARGEST_CELL = 1000  # atoms that may share a charge
_DIMENSIONS = 3


class Ordering(NamedTuple):
    """One ordering of a parent lattice."""

    structure: Structure
    """At the lattice that ionic radii set, with oxidation states."""
    energy: float
    """Ewald energy of the formal charges in eV/atom."""
    supercell: IntMatrix
    """Its vectors in units of the parent's primitive ones, one a row."""


def lowest_orderings(
    parent: str,
    counts: SiteCounts,
    *,
    cells: int,
    results: int = 1,
    seed: int = 0,
    every_shape: bool = True,
) -> list[Ordering]:
    """
    Find the orderings of a parent lattice with the lowest electrostatic energy.

    Parameters
    ----------
    parent
        Name of the parent lattice, ``rocksalt`` for example.
    counts
        Sublattice → species → number of sites in the supercell.
    cells
        Number of primitive cells of the parent in it.
    results
        Number of orderings, of different energy, returned at most.
    seed
        Start of the random streams; matters where not every arrangement is tried.
    every_shape
        Whether every supercell of that size is searched, or the compact one only.

    Returns
    -------
    list[Ordering]
        Lowest energy first; of orderings that tie the one of highest symmetry.

    Examples
    --------
    >>> counts = {"cation": {"Li+": 1, "Co3+": 1}, "anion": {"O2-": 2}}
    >>> lowest_orderings("rocksalt", counts, cells=2)[0].structure.formula
    'Li1 Co1 O2'
    """
    shapes = (
        distinct_supercells(parent, cells)
        if every_shape
        else (compact_supercell(parent, cells),)
    )
    found = []
    for shape in shapes:
        cell = build_cell(parent, shape)
        for result in lowest_electrostatic(
            cell, counts, iterations=_SWAPS, seed=seed, results=results + _TIES
        ):
            structure = decorated_structure(cell, result.decoration)
            found.append(Ordering(structure, result.energy / len(structure), shape))
    found.sort(key=lambda ordering: ordering.energy)
    levels: list[list[Ordering]] = []
    for ordering in found:
        if levels and ordering.energy - levels[-1][0].energy < _SAME_ENERGY_EV:
            levels[-1].append(ordering)
        elif len(levels) < results:
            levels.append([ordering])
        else:
            break
    return [max(level, key=_symmetry) for level in levels]


def _symmetry(ordering: Ordering) -> tuple[int, int]:
    """Count distinct rotations; of equals the space group that comes later."""
    bare = ordering.structure.copy()
    bare.remove_oxidation_states()
    data = SpacegroupAnalyzer(
        bare, symprec=_SYMMETRY_TOLERANCE_ANGSTROM
    ).get_symmetry_dataset()
    return len(np.unique(data.rotations, axis=0)), data.number


def remade(phase: ReferencePhase) -> Ordering:
    """
    Make an ordering of the library again, from what its source says.

    Raises
    ------
    ValueError
        If the phase is no electrostatic ordering.

    Examples
    --------
    >>> from hts_battery.structures.references.library import reference_phase
    >>> remade(reference_phase("Li4MoO5-rocksalt-tetragonal")).structure.formula
    'Li4 Mo1 O5'
    """
    source = phase.source.ordering
    if source is None:
        raise ValueError(f"{phase.phase_id} is no ordering of a parent lattice")
    return lowest_orderings(
        source.parent,
        source.species,
        cells=source.cells,
        results=source.rank,
        seed=source.seed,
        every_shape=source.every_shape,
    )[source.rank - 1]


@lru_cache(maxsize=32)
def distinct_supercells(parent: str, cells: int) -> tuple[IntMatrix, ...]:
    """
    List the supercells of a size, one of each set that the parent's symmetry joins.

    Returns
    -------
    tuple
        Vectors in units of the primitive ones, one a row, reduced and right-handed.

    Examples
    --------
    >>> [len(distinct_supercells("rocksalt", cells)) for cells in (1, 2, 3, 4)]
    [1, 2, 3, 7]
    """
    basis = primitive_matrix(load_prototype(parent))
    rotations, _ = symmetry_operations(load_prototype(parent))
    turns = np.unique(
        [
            np.round(basis @ rotation.T @ np.linalg.inv(basis)).astype(np.int64)
            for rotation in rotations
        ],
        axis=0,
    )
    lattice = parent_sites(parent).lattice
    known: set[bytes] = set()
    kept = []
    for form in hermite_normal_forms(cells):
        if form.tobytes() in known:
            continue
        known.update(_hermite(form @ turn).tobytes() for turn in turns)
        kept.append(_reduced(form, lattice))
    return tuple(kept)


def _hermite(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bring integer rows to the form of :func:`hermite_normal_forms`."""
    rows = matrix.copy()
    for column in range(_DIMENSIONS):
        for other in range(column + 1, _DIMENSIONS):
            while rows[other, column]:
                rows[column] -= (
                    rows[column, column] // rows[other, column] * rows[other]
                )
                rows[[column, other]] = rows[[other, column]]
        if rows[column, column] < 0:
            rows[column] *= -1
        for other in range(column):
            rows[other] -= rows[other, column] // rows[column, column] * rows[column]
    return rows


def _reduced(form: NDArray[np.int64], lattice: NDArray[np.float64]) -> IntMatrix:
    short = Lattice(form @ lattice).get_lll_reduced_lattice().matrix
    matrix = np.round(short @ np.linalg.inv(lattice)).astype(np.int64)
    return right_handed(matrix, lattice)


def asymmetric_row(
    structure: Structure, *, tolerance: float = _SYMMETRY_TOLERANCE_ANGSTROM
) -> dict[str, Any]:
    """
    Write a structure as the library does: space group, cell and asymmetric sites.

    Parameters
    ----------
    structure
        With oxidation states, as :func:`lowest_orderings` gives it.
    tolerance
        Distance in angstrom within which positions are symmetric; the numbers
        written obey the symmetry exactly.

    Returns
    -------
    dict
        ``space_group``, ``cell`` and ``sites`` of a row; standard setting.

    Examples
    --------
    >>> counts = {"cation": {"Mg2+": 1}, "anion": {"O2-": 1}}
    >>> ordering = lowest_orderings("rocksalt", counts, cells=1)[0]
    >>> asymmetric_row(ordering.structure)["space_group"]
    ['Fm-3m', 225]
    """
    valences = _mean_valences(structure)
    bare = structure.copy()
    bare.remove_oxidation_states()
    analyzer = SpacegroupAnalyzer(bare, symprec=tolerance)
    standard = SpacegroupAnalyzer(analyzer.get_refined_structure(), symprec=tolerance)
    symmetric = standard.get_symmetrized_structure()
    sites = [
        [
            valences[group[0].specie.symbol],
            *min(
                ([_coordinate(x) for x in site.frac_coords] for site in group),
                key=_length_written,
            ),
        ]
        for group in symmetric.equivalent_sites
    ]
    return {
        "space_group": [
            analyzer.get_space_group_symbol(),
            analyzer.get_space_group_number(),
        ],
        "cell": [round(float(x), _CELL_DECIMALS) for x in symmetric.lattice.parameters],
        "sites": sorted(sites, key=lambda site: str(site[0]).endswith("-")),
    }


def _mean_valences(structure: Structure) -> dict[str, str]:
    """Write each element with its charge, a fraction where it has several."""
    charges: dict[str, list[Fraction]] = {}
    for site in structure:
        charges.setdefault(site.specie.symbol, []).append(
            Fraction(float(site.specie.oxi_state or 0)).limit_denominator(_LARGEST_CELL)
        )
    written = {}
    for element, values in charges.items():
        mean = sum(values, Fraction(0)) / len(values)
        size = "" if abs(mean) == 1 else str(abs(mean))
        written[element] = f"{element}{size}{'-' if mean < 0 else '+'}"
    return written


def _length_written(position: list[float | str]) -> tuple[int, str]:
    """Prefer the shortest: what rounding leaves of a special position is long."""
    text = " ".join(str(x) for x in position)
    return (len(text), text)


def _coordinate(value: float) -> float | str:
    """Round to decimals; thirds and their kin stay exact, as fractions."""
    inside = round(float(value) % 1.0, _COORDINATE_DECIMALS) % 1.0
    near = Fraction(inside).limit_denominator(_LARGEST_DENOMINATOR)
    if near.denominator % 3 == 0 and abs(inside - near) < _SAME_COORDINATE:
        return str(near)
    return inside


def main() -> None:
    """Print the row of one ordering."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parent")
    parser.add_argument("cells", type=int)
    parser.add_argument("species")
    asked = parser.parse_args()
    counts = yaml.safe_load(f"{{{asked.species}}}")
    found = lowest_orderings(asked.parent, counts, cells=asked.cells)
    print(yaml.safe_dump(asymmetric_row(found[0].structure), default_flow_style=None))


if __name__ == "__main__":
    main()

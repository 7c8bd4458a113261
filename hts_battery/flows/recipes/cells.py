"""Cells that a node computes: every ordering, and where calculations start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymatgen.core import Structure

from hts_battery.structures.inputs import calculator_structure
from hts_battery.structures.ordering import generate_orderings

if TYPE_CHECKING:
    from hts_battery.flows.recipes.gate import Prerelaxation
    from hts_battery.schemas.campaign import StructureSpec
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.structure import OrderedCell


def candidate_orderings(
    candidate: CandidateDoc, structure: StructureSpec
) -> tuple[OrderedCell, ...]:
    """
    Make every ordering of a candidate that a campaign asks for.

    Parameters
    ----------
    candidate
        What to order.
    structure
        Methods with their numbers of orderings, cell size, iterations and seed.

    Raises
    ------
    OrderingError
        If no cell of this size holds the candidate closely enough.
    """
    return generate_orderings(
        candidate.to_candidate(),
        n_orderings={str(k): n for k, n in structure.n_orderings.items()},
        atoms=structure.atoms,
        iterations=structure.iterations,
        seed=structure.seed,
        max_deviation=structure.max_deviation,
        magnetic_order=structure.magnetic_order,
    )


def starting_structure(
    cell: OrderedCell,
    outcome: Prerelaxation | None,
    *,
    magmom: bool,
    charge: bool = False,
) -> Structure:
    """
    Return the structure that a calculation of an ordered cell starts from.

    Parameters
    ----------
    cell
        The cell, with the moments that every ordering of the candidate starts with.
    outcome
        Pre-relaxation whose lattice and positions are taken instead, if there is one.
    magmom
        Whether the engine takes starting moments.
    charge
        Whether the engine takes formal charges.

    Raises
    ------
    ValueError
        If the pre-relaxation is of other atoms.
    """
    start = calculator_structure(cell, magmom=magmom, charge=charge)
    if outcome is None:
        return start
    relaxed = outcome["structure"]
    if [site.specie.symbol for site in relaxed] != [s.specie.symbol for s in start]:
        raise ValueError(
            f"pre-relaxation of ordering {cell.ordering_id} returned other atoms than "
            "it was given"
        )
    return Structure(
        relaxed.lattice,
        start.species,
        relaxed.frac_coords,
        site_properties=start.site_properties,
    )

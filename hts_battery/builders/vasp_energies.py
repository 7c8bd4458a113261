"""What a stored VASP task says, validated and corrected, or why it may not be used."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.thermo.vasp_tasks import vasp_task_energy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from hts_battery.schemas.energy import ComparableEnergy


def vasp_comparable_energy(
    entry_id: str,
    output: Mapping[str, Any],
    structure: Structure,
    assignment: Mapping[str, Mapping[str, Fraction]] | None,
) -> ComparableEnergy | str:
    """
    Validate and correct the energy of one VASP task.

    Parameters
    ----------
    entry_id
        Key of the entry.
    output
        An emmet-core ``TaskDoc`` as stored.
    structure
        Its final structure.
    assignment
        Species on the sublattices of the calculated cell: oxidation states are
        supplied, never guessed.

    Returns
    -------
    ComparableEnergy or str
        The corrected energy, or the reason why there is none.

    Raises
    ------
    KeyError
        If the document lacks what every VASP task has.
    """
    if assignment is None:
        return "oxidation states unknown: the ordered cell of this task is lost"
    return vasp_task_energy(
        entry_id, output, structure, mean_oxidation_states(assignment)
    )


def mean_oxidation_states(
    assignment: Mapping[str, Mapping[str, Fraction]],
) -> dict[str, float]:
    """
    Mean formal charge of each element over all sublattices.

    Examples
    --------
    >>> mean_oxidation_states({"cation": {"Mn2+": Fraction(1), "Mn4+": Fraction(1)}})
    {'Mn': 3.0}
    """
    charges: dict[str, Fraction] = defaultdict(Fraction)
    amounts: dict[str, Fraction] = defaultdict(Fraction)
    for occupation in assignment.values():
        for name, amount in occupation.items():
            if name == VACANCY or not amount:
                continue
            species = parse_species(name)
            charges[species.element] += species.charge * amount
            amounts[species.element] += amount
    return {element: float(charges[element] / amounts[element]) for element in amounts}

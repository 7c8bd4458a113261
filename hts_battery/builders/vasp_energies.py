"""What a VASP task of a candidate says: comparable, or why it may not be used."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.thermo.vasp_schemes import vasp_scheme
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
    *,
    engine: str,
) -> ComparableEnergy | str:
    """
    Validate the energy of one VASP task, and correct it where its scheme does.

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
    engine
        Name of the engine that computed it.

    Returns
    -------
    ComparableEnergy or str
        The energy as it enters a hull, or the reason why there is none.

    Raises
    ------
    KeyError
        If the document lacks what every VASP task has.
    """
    scheme = vasp_scheme(engine)
    if assignment is None and scheme.corrected:
        return "oxidation states unknown: the ordered cell of this task is lost"
    return vasp_task_energy(
        entry_id,
        output,
        structure,
        scheme=scheme,
        oxidation_states=mean_oxidation_states(assignment or {}),
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

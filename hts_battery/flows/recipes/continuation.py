"""Where a relaxation starts: at an ordered cell, or where an earlier one ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict

from jobflow import OutputReference
from pymatgen.core import Structure

from hts_battery.schemas.decoding import read_structure
from hts_battery.structures.inputs import calculator_structure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobflow import Flow, Job, Maker

    from hts_battery.flows.recipes.gate import Prerelaxation
    from hts_battery.schemas.dispatch import Unconverged
    from hts_battery.schemas.structure import OrderedCell


class GoingOn(TypedDict):
    """A relaxation that used up its steps, and has more now."""

    structure: Any
    """Its last geometry, or a reference to the output that holds it."""
    steps: int
    """Ionic steps that it was allowed before, all jobs together."""
    uuid: str
    """Job that it goes on from."""


def going_on(unconverged: Mapping[str, Unconverged]) -> dict[str, GoingOn]:
    """
    Say of relaxations that used up their steps where they go on, by ordering id.

    A geometry that does not travel with the job is looked up where the job runs.
    """
    return {
        name: {
            "structure": OutputReference(one.uuid).structure
            if one.structure is None
            else read_structure(one.structure),
            "steps": one.steps,
            "uuid": one.uuid,
        }
        for name, one in sorted(unconverged.items())
    }


def starting_structure(
    cell: OrderedCell,
    before: Prerelaxation | GoingOn | None,
    *,
    magmom: bool,
    charge: bool,
) -> Structure:
    """
    Return the structure that a calculation of an ordered cell starts from.

    Lattice and positions are those of what was relaxed before, if there is anything;
    ValueError if that is of other atoms. Starting moments and formal charges where they
    are asked.
    """
    start = calculator_structure(cell, magmom=magmom, charge=charge)
    if before is None:
        return start
    relaxed = before["structure"]
    if [site.specie.symbol for site in relaxed] != [s.specie.symbol for s in start]:
        raise ValueError(
            f"an earlier relaxation of ordering {cell.ordering_id} returned other "
            "atoms than it was given"
        )
    return Structure(
        relaxed.lattice,
        start.species,
        relaxed.frac_coords,
        site_properties=start.site_properties,
    )


def relax_job(
    maker: Maker, start: Structure, *, steps: int, before: GoingOn | None
) -> Job | Flow:
    """
    Make a relaxation, or what is left of one that goes on.

    ``steps``: what is allowed, of all jobs together. A maker that counts no ionic steps
    has its own end, and is used as it is.
    """
    tags: dict[str, object] = {"steps": steps}
    counts: Any = maker
    if before is not None and hasattr(counts, "steps"):
        maker = replace(counts, steps=steps - before["steps"])
        tags |= {"steps_before": before["steps"], "continues": before["uuid"]}
    made: Job | Flow = maker.make(start)
    made.update_metadata(tags, dynamic=True)
    return made

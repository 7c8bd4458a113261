"""Competing phases of a user's own: read, checked, ordered where asked, and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.errors import ConfigurationError, HTSBatteryError
from hts_battery.schemas.reference import ReferenceEnergy
from hts_battery.structures.references.library import load_reference_phases
from hts_battery.structures.references.own_orderings import lowest_own_orderings
from hts_battery.structures.references.own_phases import (
    OwnPhase,
    file_source,
    materials_project_source,
    own_phase,
)
from hts_battery.structures.structure_files import is_disordered, read_structure_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.materials_project import MaterialsProject

_SUFFIXES = (".gz", ".cif", ".mcif", ".vasp", ".poscar", ".json")


def phases_of_files(
    files: Sequence[Path],
    *,
    states: Mapping[str, Fraction],
    order: int | None = None,
    phase_id: str | None = None,
) -> list[OwnPhase]:
    """
    Read competing phases from files of crystal structures.

    ``states``: element → oxidation state where a file states none. ``order``: so many
    orderings of each disordered structure; none are made if not given. ``phase_id``: id
    instead of formula and name of the file, for one structure. Returns: one a structure
    or ordering; what may not compete says why, and nothing is raised for it.
    """
    found = [one for file in files for one in _of_file(file, states, order, phase_id)]
    if phase_id is not None and len(found) > 1:
        raise ConfigurationError(
            f"--id {phase_id} names one phase, and these files hold {len(found)}"
        )
    return list(_distinct(found))


def _of_file(
    file: Path, states: Mapping[str, Fraction], order: int | None, phase_id: str | None
) -> Iterator[OwnPhase]:
    try:
        read = read_structure_file(file)
    except HTSBatteryError as err:
        yield OwnPhase(file.name, None, (str(err).removeprefix(f"{file}: "),))
        return
    stem = file.name
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    for number, structure in enumerate(read.structures, start=1):
        name = stem if len(read.structures) == 1 else f"{stem}-{number}"
        if order is not None and is_disordered(structure):
            found = _ordered(structure, name, file, states, order)
        else:
            source = file_source(file.name)
            found = [
                own_phase(
                    structure, name, source=source, states=states, phase_id=phase_id
                )
            ]
        yield from (
            one._replace(name=file.name, notes=(*read.notes, *one.notes))
            for one in found
        )


def _ordered(
    structure: Structure,
    name: str,
    file: Path,
    states: Mapping[str, Fraction],
    order: int,
) -> list[OwnPhase]:
    """Let the orderings of lowest electrostatic energy stand for a disordered file."""
    try:
        orderings = lowest_own_orderings(structure, states, results=order)
    except HTSBatteryError as err:
        return [OwnPhase(file.name, None, (str(err),))]
    return [
        own_phase(
            one.structure,
            f"{name}-ordering-{rank}",
            source=file_source(file.name, ordered_by_us=True),
            note=f"ordered by us: number {rank} of lowest electrostatic energy of "
            f"{structure.composition.reduced_formula} in {file.name}, {one.energy:.4f} "
            "eV/atom; nobody has refined it",
        )
        for rank, one in enumerate(orderings, start=1)
    ]


def _distinct(found: Sequence[OwnPhase]) -> Iterator[OwnPhase]:
    """Refuse an id that stands twice, or that a phase of the library has."""
    library = {phase.phase_id for phase in load_reference_phases()}
    seen: set[str] = set()
    for one in found:
        name = one.phase.phase_id if one.phase else None
        if name is None or name not in library | seen:
            yield one
        else:
            place = "in the library" if name in library else "in these files"
            problem = f"the id {name} stands already {place}: rename the file, or --id"
            yield one._replace(phase=None, problems=(*one.problems, problem))
        if name is not None:
            seen.add(name)


def phases_of_materials_project(
    systems: Sequence[str], connection: MaterialsProject, *, within: float
) -> list[OwnPhase]:
    """
    Fetch structures of the Materials Project as competing phases.

    ``systems``: chemical systems, like ``Li-Mn-O``. ``within``: at most so far above
    the service's own hull, eV/atom. Returns: one a structure, by its id; what may not
    compete says why.
    """
    found = [
        own_phase(
            one.structure,
            one.material_id,
            source=materials_project_source(one.material_id),
            note=None
            if one.is_reported
            else "no compound of this structure is reported",
        )
        for one in connection.structures(systems, within=within)
    ]
    return list(_distinct(found))


def stored_own_energies(stores: Stores) -> tuple[ReferenceEnergy, ...]:
    """Return the energies of phases that users brought to this database, by id."""
    docs = stores.references.query({"phase": {"$exists": True}}, sort={"phase_id": 1})
    return tuple(
        ReferenceEnergy.model_validate(
            {name: value for name, value in doc.items() if name != "_id"}
        )
        for doc in docs
    )

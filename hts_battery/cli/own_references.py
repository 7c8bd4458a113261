"""hts references add: competing phases from structures of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson, DryRun, Engine
from hts_battery.cli.references import (
    Like,
    computed_energies,
    refuse_unsupported,
    report_computed,
    settings_like,
)
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.schemas.reference import ReferencePhase
    from hts_battery.structures.references.own_phases import OwnPhase

_FAILED = 1
_MOST_ORDERINGS = 50


def add(  # noqa: PLR0913, PLR0917 - options are named on the command line
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE…",
            help="CIF (.cif), POSCAR (POSCAR…, .vasp) or pymatgen's JSON (.json).",
        ),
    ],
    engine: Engine = "chgnet",
    like: Like = None,
    order: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_ORDERINGS,
            metavar="N",
            help="Of a disordered structure let the N orderings of lowest "
            "electrostatic energy compete, in cells of up to 80 atoms.",
        ),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPECIES",
            help="Oxidation state, like Fe3+, where a file states none; repeatable.",
        ),
    ] = None,
    phase_id: Annotated[
        str | None, typer.Option("--id", help="Id of the one phase in the file.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Let crystal structures of your own compete: read, checked, computed, stored."""
    from hts_battery.campaign.own_references import phases_of_files
    from hts_battery.structures.references.own_phases import given_states

    found = phases_of_files(
        files, states=given_states(state or ()), order=order, phase_id=phase_id
    )
    _compute(found, like, engine, dry_run, as_json)


def import_structures(
    systems: Sequence[str],
    like: Path | None,
    engine: str,
    within: float,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Fetch structures of the Materials Project and let them compete."""
    from hts_battery.campaign.own_references import phases_of_materials_project
    from hts_battery.connections.materials_project import connect

    refuse_unsupported(systems, settings_like(like, engine)[0])
    found = phases_of_materials_project(systems, connect(), within=within / 1000)
    _compute(found, like, engine, dry_run, as_json)


def _compute(
    found: Sequence[OwnPhase],
    like: Path | None,
    engine: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say what may not compete and compute the rest; fail if nothing is left."""
    name, relaxation, prerelax = settings_like(like, engine)
    usable = _usable(found, as_json)
    if dry_run:
        for phase in usable:
            _report_phase(phase, as_json)
        if not as_json:
            formatting.line(f"would relax {len(usable)} phases with {name}")
    elif usable:
        refuse_unsupported((phase.chemical_system for phase in usable), name)
        if prerelax is not None:  # where the last relaxation begins
            computed_energies(usable, prerelax.engine, prerelax.relaxation, None)
        report_computed(computed_energies(usable, name, relaxation, prerelax), as_json)
    if len(usable) < len(found):
        raise typer.Exit(_FAILED)


def _usable(found: Sequence[OwnPhase], as_json: bool) -> list[ReferencePhase]:
    """Say what is wrong with each structure; return those with nothing wrong."""
    usable = []
    for one in found:
        if one.problems or one.phase is None:
            reason = "; ".join(one.problems)
            if as_json:
                formatting.json_line({"rejected": one.name, "reason": reason})
            else:
                formatting.line(f"{one.name}: rejected: {reason}")
            continue
        usable.append(one.phase)
        for note in one.notes if not as_json else ():
            formatting.line(f"{one.name}: {note}")
    if not found:
        raise ConfigurationError("no structure was found")
    return usable


def _report_phase(phase: ReferencePhase, as_json: bool) -> None:
    from hts_battery.schemas.reference import mean_oxidation_states
    from hts_battery.structures.references.own_phases import found_space_group

    row = {
        "phase_id": phase.phase_id,
        "formula": phase.formula,
        "n_atoms": len(phase.sites),
        "space_group": found_space_group(phase),
        "oxidation_states": mean_oxidation_states(phase),
        "source": str(phase.source.kind),
        "note": phase.note,
    }
    if as_json:
        formatting.json_line(row)
        return
    states = ", ".join(
        f"{name} {value:+g}" for name, value in mean_oxidation_states(phase).items()
    )
    formatting.line(
        f"{phase.phase_id}: {phase.formula}, {len(phase.sites)} atoms, "
        f"{row['space_group']}, {states}" + (f"; {phase.note}" if phase.note else "")
    )

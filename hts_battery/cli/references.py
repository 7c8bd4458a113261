"""hts references: energies of competing phases."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import (
    get_settings,
    opened_stores,
    read_campaign,
    stores_if_any,
)
from hts_battery.cli.options import AsJson, DryRun, Engine
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.formula import ELEMENTS

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from hts_battery.schemas.campaign import PrerelaxSpec, RelaxationSpec
    from hts_battery.schemas.reference import ReferenceEnergy, ReferencePhase
    from hts_battery.thermo.imported_entries import Rejection

Elements = Annotated[
    str | None, typer.Option(help="Only phases made of these elements, like Li,Mn,O.")
]


Like = Annotated[
    Path | None,
    typer.Option(
        metavar="SPEC",
        help="Compute as this campaign does: its engine, relaxation, pre-relaxed "
        "structures.",
    ),
]


def import_references(  # noqa: PLR0913, PLR0917 - options are named on the command line
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            help="Energies or pymatgen entries (JSON); with --from-mp a campaign file; "
            "the shipped energies if none.",
        ),
    ] = None,
    engine: Engine = "chgnet",
    calculator: Annotated[
        str | None,
        typer.Option(help="Calculator of pymatgen entries, like 'vasp mp-gga PBE'."),
    ] = None,
    from_mp: Annotated[
        bool, typer.Option("--from-mp", help="Fetch from the Materials Project.")
    ] = False,
    elements: Elements = None,
    largest: Annotated[
        int, typer.Option(min=1, help="Largest number of elements of a system fetched.")
    ] = 3,
    structures: Annotated[
        bool,
        typer.Option(
            "--structures",
            help="With --from-mp: fetch structures and compute them with the engine, "
            "or as the campaign file says.",
        ),
    ] = False,
    within: Annotated[
        float,
        typer.Option(
            min=0, help="With --structures: meV/atom above the service's own hull."
        ),
    ] = 25.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put reference energies into the database: shipped, of a file, or fetched."""
    from hts_battery.campaign.reference_import import read_file
    from hts_battery.campaign.references import store_references
    from hts_battery.flows.recipes.references import shipped_energies

    if structures:
        if not from_mp:
            raise ConfigurationError(
                "--structures belongs to --from-mp; files of structures go through "
                "`hts references add`"
            )
        from hts_battery.cli.own_references import import_structures

        systems = _systems(file, elements, largest)
        import_structures(systems, file, engine, within, dry_run, as_json)
        return
    rejected: tuple[Rejection, ...] = ()
    if from_mp:
        energies, rejected = _fetched(file, engine, elements, largest)
    elif elements is not None:
        raise ConfigurationError("--elements belongs to --from-mp")
    elif file is None:
        energies = shipped_energies(engine).energies
    else:
        energies, rejected = read_file(file, engine_name=engine, calculator=calculator)
    written = 0
    if not dry_run:
        with opened_stores() as stores:
            written = store_references(energies, stores)
    _report_import(len(energies), rejected, None if dry_run else written, as_json)


def _report_import(
    read: int, rejected: tuple[Rejection, ...], written: int | None, as_json: bool
) -> None:
    """Say what was imported; nothing was written where that is not known."""
    if as_json:
        for one in rejected:
            formatting.json_line({"rejected": one.entry, "reason": one.reason})
        formatting.json_line(
            {"read": read, "rejected": len(rejected), "written": written or 0}
        )
        return
    for one in rejected:
        formatting.line(f"{one.entry}: rejected: {one.reason}")
    if written is None:
        formatting.line(f"would write up to {read} references")
    else:
        formatting.line(f"{written} references written, {read} read")


def _fetched(
    spec: Path | None, engine: str, elements: str | None, largest: int
) -> tuple[tuple[ReferenceEnergy, ...], tuple[Rejection, ...]]:
    """Fetch the systems of a campaign, or of some elements."""
    from hts_battery.campaign.reference_import import (
        from_materials_project,
        materials_project_thermo_type,
    )
    from hts_battery.connections.materials_project import connect

    materials_project_thermo_type(engine)  # refuses an engine that has none
    systems = _systems(spec, elements, largest)
    refuse_unsupported(systems, engine)
    return from_materials_project(systems, connect(), engine_name=engine)


def _systems(spec: Path | None, elements: str | None, largest: int) -> tuple[str, ...]:
    """Chemical systems of a campaign file, or of some elements."""
    from hts_battery.campaign.reference_import import subsystems

    if (spec is None) == (elements is None):
        raise ConfigurationError("--from-mp needs a campaign file or --elements")
    if spec is not None:
        kept = (one.amounts for _, one in read_campaign(spec, skip_bad=True).kept())
        return subsystems((frozenset(one) for one in kept), largest=largest)
    return subsystems([_symbols(elements or "")], largest=largest)


def refuse_unsupported(systems: Iterable[str], engine: str) -> None:
    """Refuse systems with an element that the engine cannot compute."""
    from hts_battery.flows.engines.registry import engine as engine_of

    named = {symbol for system in systems for symbol in system.split("-")}
    if unsupported := engine_of(engine).unsupported(named):
        raise ConfigurationError(
            f"engine {engine} cannot compute {', '.join(sorted(unsupported))}: leave "
            "it out"
        )


def _symbols(elements: str) -> list[str]:
    symbols = elements.replace(" ", "").split(",")
    if wrong := sorted(set(symbols) - ELEMENTS):
        raise ConfigurationError(f"--elements: no element {', '.join(wrong)}")
    return symbols


def compute(  # noqa: PLR0913, PLR0917 - options are named on the command line
    engine: Engine = "chgnet",
    like: Like = None,
    elements: Elements = None,
    phase: Annotated[
        list[str] | None, typer.Option(help="Only this phase; may be repeated.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Only phases without a shipped energy.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Every N-th phase from the I-th: 1/4."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Also write the energies to this file.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Relax competing phases with an engine; what is in the job store is not redone."""
    from hts_battery.dispatch.submission import MemberSubset
    from hts_battery.flows.recipes.references import energy_file, write_energy_file

    engine, relaxation, prerelax = settings_like(like, engine)
    phases = _phases(elements, phase)
    phases = _without_energy(phases, engine) if missing else phases
    phases = list(MemberSubset.parse(None, shard).of(phases))
    if dry_run:
        if as_json:
            formatting.json_line({"phases": len(phases)})
        else:
            formatting.line(f"would relax up to {len(phases)} phases with {engine}")
        return
    energies = computed_energies(phases, engine, relaxation, prerelax)
    if write is not None:
        write_energy_file(
            write, energy_file(energies, engine, relaxation, prerelax=prerelax)
        )
    report_computed(energies, as_json)


def settings_like(
    like: Path | None, engine: str
) -> tuple[str, RelaxationSpec, PrerelaxSpec | None]:
    """Engine and settings of a campaign, or an engine's own; refuse an unknown one."""
    from hts_battery.flows.engines.registry import engine as engine_of
    from hts_battery.schemas.campaign import RelaxationSpec

    if like is not None:
        spec = read_campaign(like).spec
        return engine_of(spec.engine).name, spec.relaxation, spec.prerelax
    return engine_of(engine).name, RelaxationSpec(), None


def report_computed(energies: list[ReferenceEnergy], as_json: bool) -> None:
    """Say what came of each phase, or which were rejected."""
    if as_json:
        for energy in energies:
            hidden = {"structure", "phase"}
            formatting.json_line(energy.model_dump(mode="json", exclude=hidden))
        return
    rejected = [energy for energy in energies if energy.rejected]
    for energy in rejected:
        formatting.line(f"{energy.phase_id}: rejected: {energy.rejected}")
    formatting.line(f"{len(energies)} phases, {len(rejected)} rejected")


def _without_energy(phases: list[ReferencePhase], engine: str) -> list[ReferencePhase]:
    """Leave out the phases whose energy is shipped."""
    from hts_battery.flows.recipes.references import known_energies

    known = known_energies(engine)
    return [one for one in phases if one.phase_id not in known]


def computed_energies(
    phases: list[ReferencePhase],
    engine: str,
    relaxation: RelaxationSpec,
    prerelax: PrerelaxSpec | None,
) -> list[ReferenceEnergy]:
    """Compute phases and put their energies into the database."""
    from hts_battery.campaign.references import (
        compute_references,
        prerelaxed_starts,
        store_references,
    )
    from hts_battery.campaign.run import ensure_references

    settings = get_settings()
    with opened_stores() as stores, formatting.progress() as progress:
        starts = None
        if prerelax is not None:
            names = {element for one in phases for element in one.elements}
            ensure_references(prerelax.engine, stores, elements=names)
            starts = prerelaxed_starts(phases, stores, prerelax.engine)
        energies = compute_references(
            phases,
            stores,
            engine_name=engine,
            relaxation=relaxation,
            launch_folder=settings.data_dir / "launches",
            launch_quota=settings.launch_quota,
            starts=starts,
            progress=progress,
        )
        store_references(energies, stores)
    return energies


def _phases(elements: str | None, names: list[str] | None) -> list[ReferencePhase]:
    from hts_battery.structures.references.library import (
        load_reference_phases,
        phases_within,
    )

    if elements is None:
        found = (*load_reference_phases(), *_own_phases())
    else:
        wanted = frozenset(_symbols(elements))
        own = (phase for phase in _own_phases() if phase.elements <= wanted)
        found = (*phases_within(wanted), *own)
    if names:
        known = {phase.phase_id for phase in found}
        unknown = sorted(set(names) - known)
        if unknown:
            raise ConfigurationError(
                f"no reference phase {', '.join(unknown)}; see `hts references list`"
            )
        found = tuple(phase for phase in found if phase.phase_id in names)
    return list(found)


def _own_energies() -> tuple[ReferenceEnergy, ...]:
    """Energies of phases that a user brought to the database, where there is one."""
    from hts_battery.campaign.own_references import stored_own_energies

    with stores_if_any() as stores:
        return () if stores is None else stored_own_energies(stores)


def _own_phases() -> tuple[ReferencePhase, ...]:
    found = {one.phase_id: one.phase for one in _own_energies() if one.phase}
    return tuple(found.values())


def list_references(
    elements: Elements = None, engine: Engine = "chgnet", as_json: AsJson = False
) -> None:
    """List the competing phases by chemical system, with their shipped energies."""
    from hts_battery.flows.engines.registry import engine as engine_of
    from hts_battery.flows.recipes.references import known_energies
    from hts_battery.structures.references.own_phases import found_space_group

    name = engine_of(engine).name
    own = (one for one in _own_energies() if one.engine == name)
    energies = known_energies(name) | {one.phase_id: one for one in own}
    rows: list[dict[str, object]] = [
        {
            "chemical_system": phase.chemical_system,
            "phase_id": phase.phase_id,
            "formula": phase.formula,
            "space_group": found_space_group(phase),
            "calculator": energies[phase.phase_id].calculator
            if phase.phase_id in energies
            else None,
            "energy_per_atom": energies[phase.phase_id].energy_per_atom
            if phase.phase_id in energies
            else None,
            "source": str(phase.source.kind),
        }
        for phase in _phases(elements, None)
    ]
    rows.sort(key=lambda row: (str(row["chemical_system"]).count("-"), str(row)))
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    systems: dict[str, list[dict[str, object]]] = {}
    for row in rows:
        systems.setdefault(str(row["chemical_system"]), []).append(row)
    formatting.table(
        ("system", "phases", f"{engine} energies", "formulas"),
        (
            (
                system,
                len(phases),
                sum(phase["energy_per_atom"] is not None for phase in phases),
                " ".join(dict.fromkeys(str(phase["formula"]) for phase in phases)),
            )
            for system, phases in systems.items()
        ),
        right=("phases", f"{engine} energies"),
    )
    formatting.line(f"{len(rows)} phases in {len(systems)} chemical systems")
    for system in _gaps(elements, systems):
        formatting.line(f"{system}: no phase")


def _gaps(elements: str | None, known: Container[str]) -> list[str]:
    """Pairs of the given elements, both present, of which there is no compound."""
    if elements is None:
        return []
    names = sorted(elements.replace(" ", "").split(","))
    anions = {"O", "F"} & set(names)
    return [
        system
        for pair in combinations(names, 2)
        if anions & set(pair) and (system := "-".join(pair)) not in known
    ]

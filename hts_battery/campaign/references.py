"""Energies of competing phases in the database: the shipped ones, or computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hts_battery.campaign.local_run import Progress
from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.recipes.local import refuse_full, run_flow_locally, tidy_launches
from hts_battery.flows.recipes.references import (
    REFERENCE_STEP,
    ReferenceMaker,
    reference_energy,
    reference_key,
)
from hts_battery.schemas.decoding import read_structure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from jobflow import Maker
    from pymatgen.core import Structure

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.calculation import TaskOutput
    from hts_battery.schemas.campaign import RelaxationSpec
    from hts_battery.schemas.reference import ReferenceEnergy, ReferencePhase


def store_references(energies: Iterable[ReferenceEnergy], stores: Stores) -> int:
    """
    Write reference energies into the database; one document per phase and engine.

    Returns: number of documents that were new or differed.
    """
    docs = [energy.model_dump(mode="json") for energy in energies]
    if not docs:
        return 0
    known = {
        (doc["engine"], doc["phase_id"]): {k: v for k, v in doc.items() if k != "_id"}
        for doc in stores.references.query({})
    }
    changed = [
        doc for doc in docs if known.get((doc["engine"], doc["phase_id"])) != doc
    ]
    if changed:
        stores.references.update(changed, key=["engine", "phase_id"])
    return len(changed)


def compute_references(  # noqa: PLR0913 - each is named by its caller
    phases: Sequence[ReferencePhase],
    stores: Stores,
    *,
    engine_name: str,
    relaxation: RelaxationSpec,
    launch_folder: Path,
    launch_quota: int | None = None,
    starts: Mapping[str, Structure] | None = None,
    relax_maker: Maker | None = None,
    progress: Progress | None = None,
) -> list[ReferenceEnergy]:
    """
    Relax competing phases in this process; what is in the job store is not redone.

    ``relaxation``: the same as for candidates. ``launch_quota``: bytes that the folder
    of launches may hold before a phase is started. ``starts``: phase id → where its
    relaxation begins, instead of the library's structure. ``relax_maker``: injected
    instead of the engine's own. Returns one energy a phase; an unusable one carries its
    reason. ConfigurationError if there is something to compute and the engine lacks
    anything here for it, SubmissionError if launch folders hold as much as they may.
    """
    progress = progress or Progress()
    progress.total("references", len(phases))
    starts = starts or {}
    keys = {
        phase.phase_id: reference_key(
            phase, engine_name, relaxation, start=starts.get(phase.phase_id)
        )
        for phase in phases
    }
    outputs = {name: _output(key, stores) for name, key in keys.items()}
    todo = [phase for phase in phases if outputs[phase.phase_id] is None]
    maker = ReferenceMaker(
        engine_name=engine_name,
        relaxation=relaxation,
        relax_maker=relax_maker or _maker(todo, engine_name, relaxation),
    )
    if todo:
        tidy_launches(launch_folder, stores.tasks)
    energies = []
    for phase in phases:
        name = phase.phase_id
        progress.begin("references", name)
        if outputs[name] is None:
            refuse_full(launch_folder, launch_quota)
            flow = maker.make(phase, start=starts.get(name))
            run_flow_locally(flow, stores.job_store, launch_folder)
            outputs[name] = _output(keys[name], stores)
        energies.append(reference_energy(phase, outputs[name], engine_name))
        progress.advance("references", name)
    return energies


def _maker(
    todo: Sequence[ReferencePhase], engine_name: str, relaxation: RelaxationSpec
) -> Maker:
    """Make the engine's own maker, or refuse before anything is computed."""
    chosen = engine(engine_name)
    if todo:
        chosen.require(frozenset().union(*(phase.elements for phase in todo)))
    return chosen.relax_maker(relaxation)


def prerelaxed_starts(
    phases: Iterable[ReferencePhase], stores: Stores, engine_name: str
) -> dict[str, Structure]:
    """
    Find the structures that an engine relaxed competing phases to.

    ``phases``: the phases. ``engine_name``: engine of the pre-relaxation. Returns:
    phase id → structure. Raises ConfigurationError: names the phases that the engine
    has not relaxed in this database.
    """
    known = {
        doc["phase_id"]: doc["structure"]
        for doc in stores.references.query(
            {"engine": engine_name, "rejected": None},
            properties=["phase_id", "structure"],
        )
        if doc.get("structure")
    }
    names = [phase.phase_id for phase in phases]
    if missing := [name for name in names if name not in known]:
        raise ConfigurationError(
            f"{len(missing)} phases have no structure relaxed with {engine_name}, the "
            f"first is {missing[0]}: `hts references compute --engine {engine_name}` "
            "makes them, or name others with --phase"
        )
    return {name: read_structure(known[name]) for name in names}


def _output(key: str, stores: Stores) -> TaskOutput | None:
    """Output of the relaxation with that key, if it finished."""
    found = [
        doc
        for doc in stores.tasks.query(
            {"metadata.content_key": key, "metadata.step": REFERENCE_STEP},
            properties=["index", "metadata.final", "output"],
        )
        # Engines with several calculations mark the one whose energy counts, and an
        # attempt that failed has no energy.
        if doc["metadata"].get("final") and (doc.get("output") or {}).get("output")
    ]
    newest = max(found, key=lambda doc: doc.get("index") or 0, default=None)
    return None if newest is None else cast("TaskOutput", newest["output"])

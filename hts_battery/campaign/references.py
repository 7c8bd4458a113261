"""Energies of competing phases in the database: the shipped ones, or computed anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import Progress
from hts_battery.flows.engines import engine
from hts_battery.flows.local import run_flow_locally
from hts_battery.flows.references import (
    REFERENCE_STEP,
    reference_energy,
    reference_flow,
    reference_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from jobflow import Maker

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import RelaxationSpec
    from hts_battery.schemas.reference import ReferenceEnergy, ReferencePhase


def store_references(energies: Iterable[ReferenceEnergy], stores: Stores) -> int:
    """
    Write reference energies into the database; one document per phase and engine.

    Returns
    -------
    int
        Number of documents that were new or differed.
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
    relax_maker: Maker | None = None,
    progress: Progress | None = None,
) -> list[ReferenceEnergy]:
    """
    Relax competing phases in this process; what is in the job store is not redone.

    Parameters
    ----------
    phases
        The phases.
    stores
        Open stores.
    engine_name
        Name of the engine.
    relaxation
        Settings, the same as for candidates.
    launch_folder
        Where jobs run.
    relax_maker
        Injected instead of the engine's own maker.
    progress
        Told after each phase.

    Returns
    -------
    list[ReferenceEnergy]
        One per phase; an unusable one carries its reason.
    """
    progress = progress or Progress()
    progress.total("references", len(phases))
    maker = relax_maker or engine(engine_name).relax_maker(relaxation)
    energies = []
    for phase in phases:
        progress.begin("references", phase.phase_id)
        key = reference_key(phase, engine_name, relaxation)
        output = _output(key, stores)
        if output is None:
            flow = reference_flow(phase, engine_name, relaxation, relax_maker=maker)
            run_flow_locally(flow, stores.job_store, launch_folder)
            output = _output(key, stores)
        energies.append(reference_energy(phase, output, engine_name))
        progress.advance("references", phase.phase_id)
    return energies


def _output(key: str, stores: Stores) -> dict[str, object] | None:
    """Output of the relaxation with that key, if it finished."""
    found = [
        doc
        for doc in stores.tasks.query(
            {"metadata.content_key": key, "metadata.step": REFERENCE_STEP},
            properties=["index", "metadata.final", "output"],
        )
        # Engines with several calculations mark the one whose energy counts, and an
        # attempt that failed has no energy.
        if doc["metadata"].get("final") is not False
        and (doc.get("output") or {}).get("output")
    ]
    newest = max(found, key=lambda doc: doc.get("index") or 0, default=None)
    return None if newest is None else dict(newest["output"])

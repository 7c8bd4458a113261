"""
Several candidates in one job: what a cheap engine sends to a queue.

On the node the job runs the ordinary flow of each candidate, one after another, in its
launch folder and into the node's own job store. What that store has already is not
computed again, so a chunk that was killed goes on where it stopped.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobflow import CURRENT_JOB, Job, job

from hts_battery.connections.processes import host_name
from hts_battery.flows.execution.recorded import recorded
from hts_battery.flows.recipes.calculated import read_outputs
from hts_battery.flows.recipes.local import run_candidate
from hts_battery.flows.recipes.recipe import RecipeMaker
from hts_battery.schemas.campaign import candidate_key
from hts_battery.schemas.dispatch import (
    ChunkEntry,
    ChunkReport,
    ChunkRequest,
    ChunkWork,
    EndingKind,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobflow import JobStore

    from hts_battery.flows.recipes.calculated import Calculated
    from hts_battery.schemas.campaign import GateSpec

CHUNK_STEP = "chunk"


@job
def compute_chunk_job(work_text: str, maker_text: str) -> ChunkReport:
    """
    Compute what the candidates of a chunk lack, one after another.

    Work and maker are JSON texts of :class:`ChunkWork` and :class:`RecipeMaker`:
    jobflow and FireWorks walk several times through whatever is not a text. A candidate
    that failed does not fail the chunk. StoreError if the database or the execution
    record failed: no candidate has failed by it, and the chunk can be run again.
    """
    work = ChunkWork.model_validate_json(work_text)
    maker = RecipeMaker.from_text(maker_text)
    # The jobs of the candidates put their own store there, and take it away.
    store = CURRENT_JOB.store
    folder = Path.cwd()
    began = time.monotonic()
    entries = {
        candidate_key(one.candidate, maker.calculation): _compute(
            one, work, maker, maker_text, store, folder
        )
        for one in work.requests
    }
    return ChunkReport(
        entries=entries,
        seconds=time.monotonic() - began,
        folder=f"{host_name()}:{folder}",
    )


def _compute(
    request: ChunkRequest,
    work: ChunkWork,
    maker: RecipeMaker,
    maker_text: str,
    store: JobStore,
    folder: Path,
) -> ChunkEntry:
    key = candidate_key(request.candidate, maker.calculation)

    def read(failures: Sequence[Mapping[str, object]]) -> Calculated:
        found = read_outputs(store.docs_store, key, failures)
        # A node without a database has not seen what was computed elsewhere.
        found.finished.update(request.finished)
        found.converged.update(request.finished)
        for name, one in request.unconverged.items():
            found.note_unconverged(name, one)
        return found

    found = read(request.failures)
    known = found.asked_for(maker.asked, maker.steps)
    if not known.needs_work(
        maker.gate, released=request.released, retry_failed=request.retry
    ):
        return _entry(found, request, maker)
    failures = [
        dict(one)
        for one in request.failures
        if not request.retry or one not in known.failures
    ]
    began = time.monotonic()
    flow = maker.make(
        request.candidate,
        hull=None if request.hull is None else work.hulls[request.hull],
        finished=known.done(retry_failed=request.retry),
        parts=known.reusable(maker.asked),
        unconverged=known.unconverged,
        released=request.released,
        maker_text=maker_text,
    )
    run_candidate(flow, store, folder, failures.append)
    seconds = time.monotonic() - began
    return _entry(read(failures), request, maker, seconds=seconds)


def _entry(
    known: Calculated, request: ChunkRequest, maker: RecipeMaker, seconds: float = 0.0
) -> ChunkEntry:
    own = known.asked_for(maker.asked, maker.steps)
    return ChunkEntry(
        kind=ending_kind(own, maker.gate, released=request.released),
        failures=tuple(dict(one) for one in known.failures),
        seconds=seconds,
    )


def ending_kind(
    known: Calculated, gate: GateSpec | None, *, released: bool
) -> EndingKind:
    """Say how the dispatch of a candidate ended, by what is stored of it."""
    return known.ending(None if released else gate) or EndingKind.FAILED


def chunk_job(
    work: ChunkWork, maker: RecipeMaker, maker_text: str, *, uuid: str, campaign: str
) -> Job:
    """
    Make the job of a chunk, tagged and recorded: with the same uuid, the same job.

    ``maker_text``: the maker as JSON text, which is written once for many chunks.
    """
    made: Job = compute_chunk_job(work.model_dump_json(), maker_text)
    made.set_uuid(uuid)
    made.name = CHUNK_STEP
    made.config.expose_store = True
    metadata: dict[str, object] = {
        "step": CHUNK_STEP,
        "campaign": campaign,
        "content_keys": [
            candidate_key(one.candidate, maker.calculation) for one in work.requests
        ],
        "versions": maker.versions,
    }
    made.update_metadata(metadata, dynamic=False)
    return recorded(made)

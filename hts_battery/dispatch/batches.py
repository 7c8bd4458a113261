"""Making what is sent of waiting candidates: chunks of them, or one order job each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.gate_hulls import GateHulls
from hts_battery.connections.launchpad.launchpad import Batch
from hts_battery.connections.records.executions import described_error
from hts_battery.errors import MissingReferenceError, SubmissionError
from hts_battery.flows.execution.queue_requests import (
    policy_factors,
    queue_request,
    queue_rule,
)
from hts_battery.flows.recipes.chunk import chunk_job
from hts_battery.flows.recipes.screen import (
    GATE_STEP,
    PRERELAX_STEP,
    RELAX_STEP,
    STATIC_STEP,
    ScreenMaker,
)
from hts_battery.schemas.dispatch import ChunkRequest, ChunkWork, DispatchMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jobflow import Flow, Job

    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.snapshot import Prepared, Terms
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.dispatch import BacklogItem
    from hts_battery.schemas.gate import HullSnapshot


class BatchMaker:
    """Make what is sent of one campaign; reads the competing phases of its gate."""

    def __init__(self, terms: Terms, maker: ScreenMaker, stores: Stores) -> None:
        self._terms = terms
        self._submission = terms.submission
        self._spec = terms.spec
        self._maker = maker
        self._hulls = GateHulls.of_campaign(terms.spec, stores)
        if terms.submission.mode is DispatchMode.STEPS:
            # What is made here must know that its children go their own ways.
            self._maker = replace(maker, routing=self._routing({}))
        self._texts: dict[tuple[tuple[str, float], ...], str] = {}

    def missing_hull(self, candidate: CandidateDoc) -> Failure | None:
        """Say why a candidate cannot be compared at the gate, if so."""
        try:
            self._hull(candidate)
        except MissingReferenceError as err:
            return {"step": GATE_STEP, "ordering_id": None, **described_error(err)}
        return None

    def make(
        self, number: int, items: Sequence[BacklogItem], prepared: Prepared
    ) -> Batch:
        """
        Make the workflow of some candidates: one in steps, several in a chunk.

        Its key is the uuid of its first job, too: made again, it is the same job. The
        number stands in its name; the candidates know that of their Firework.
        """
        dispatch_id, fw_id = items[0].dispatch_id, items[0].fw_id
        if dispatch_id is None or fw_id is None:
            raise SubmissionError(f"no number was reserved for dispatch {dispatch_id}")
        by_chunks = self._submission.mode is DispatchMode.CHUNKS
        flow: Flow | Job
        if by_chunks:
            flow = self._chunk(dispatch_id, items, prepared)
        else:
            flow = self._order(dispatch_id, items[0], prepared)
        config: dict[str, Any] = {
            "_fworker": self._submission.worker,
            "_queueadapter": self._request(
                self._spec.engine, len(items) if by_chunks else 0, _factors(items)
            ),
        }
        if self._submission.priority is not None:
            config["_priority"] = self._submission.priority
        name = f"hts {self._submission.campaign} {number}"
        return Batch(dispatch_id, flow, name, config, fw_id)

    def _chunk(
        self, dispatch_id: str, items: Sequence[BacklogItem], prepared: Prepared
    ) -> Job:
        hulls, requests = {}, []
        for item in items:
            candidate = prepared.candidates[item.candidate_id]
            hull = self._hull(candidate)
            if hull is not None:
                hulls[hull.digest] = hull
            requests.append(
                ChunkRequest(
                    candidate=candidate,
                    hull=None if hull is None else hull.digest,
                    released=item.candidate_id in self._terms.released,
                    retry=item.retry,
                    failures=tuple(dict(one) for one in prepared.all_of(item).failures),
                    finished=tuple(
                        sorted(prepared.asked_of(item, self._terms).finished)
                    ),
                )
            )
        return chunk_job(
            ChunkWork(hulls=hulls, requests=tuple(requests)),
            self._maker,
            self._written({}),
            uuid=dispatch_id,
            campaign=self._submission.campaign,
        )

    def _order(self, dispatch_id: str, item: BacklogItem, prepared: Prepared) -> Flow:
        candidate = prepared.candidates[item.candidate_id]
        known = prepared.asked_of(item, self._terms)
        return self._maker.make(
            candidate,
            hull=self._hull(candidate),
            finished=known.done(retry_failed=item.retry),
            prerelax_uuids=known.prerelaxed,
            released=item.candidate_id in self._terms.released,
            uuid=dispatch_id,
            maker_text=self._written(_factors([item])),
        )

    def _hull(self, candidate: CandidateDoc) -> HullSnapshot | None:
        return None if self._hulls is None else self._hulls.snapshot(candidate)

    def _request(
        self, engine: str, calculations: int, factors: Mapping[str, float]
    ) -> dict[str, Any]:
        return queue_request(
            queue_rule(engine),
            atoms=self._spec.structure.atoms,
            calculations=calculations,
            max_hours=self._submission.max_walltime,
            factors=factors,
        )

    def _written(self, factors: Mapping[str, float]) -> str:
        """Write the maker as text, with queue requests that grew by some factors."""
        wanted = tuple(sorted(factors.items()))
        if wanted not in self._texts:
            routing = {}
            if self._submission.mode is DispatchMode.STEPS:
                routing = self._routing(factors)
            self._texts[wanted] = replace(self._maker, routing=routing).to_text()
        return self._texts[wanted]

    def _routing(self, factors: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """Say for each step which worker takes it and what its queue job asks for."""
        engine, prerelax = self._spec.engine, self._spec.prerelax
        steps = {
            GATE_STEP: (engine, 0),
            PRERELAX_STEP: (engine if prerelax is None else prerelax.engine, 1),
            RELAX_STEP: (engine, 1),
            STATIC_STEP: (engine, 1),
        }
        return {
            step: {
                "_fworker": self._submission.routes.get(step, self._submission.worker),
                "_queueadapter": self._request(name, calculations, factors),
            }
            for step, (name, calculations) in steps.items()
        }


def _factors(items: Iterable[BacklogItem]) -> dict[str, float]:
    """By how much more is asked after what failed of some candidates before."""
    return policy_factors(
        one.failure_class
        for item in items
        for one in item.earlier
        if one.failure_class is not None
    )

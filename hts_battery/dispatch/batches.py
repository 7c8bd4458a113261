"""Making what is sent of waiting candidates: chunks of them, or one order job each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hts_battery.connections.launchpad.launchpad import Batch
from hts_battery.flows.execution.queue_requests import (
    QUEUE_LIMITS,
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
)
from hts_battery.schemas.dispatch import ChunkRequest, ChunkWork, DispatchMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobflow import Flow, Job

    from hts_battery.dispatch.decide import Sendable
    from hts_battery.flows.recipes.screen import ScreenMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.dispatch import Submission


class BatchMaker:
    """Make what is sent of one campaign."""

    def __init__(
        self, submission: Submission, spec: CampaignSpec, maker: ScreenMaker
    ) -> None:
        self._submission = submission
        self._spec = spec
        self._maker = maker
        if submission.mode is DispatchMode.STEPS:
            # What is made here must know that its children go their own ways.
            self._maker = replace(maker, routing=self._routing({}))
        self._texts: dict[tuple[tuple[Any, ...], ...], str] = {}

    def make(self, number: int, fw_id: int, chunk: Sequence[Sendable]) -> Batch:
        """
        Make the workflow of some candidates: one in steps, several in a chunk.

        Its key is the uuid of its first job, too: made again, it is the same job. The
        number stands in its name.
        """
        dispatch_id = str(chunk[0].item.dispatch_id)
        asked = chunk[0].item.request
        by_chunks = self._submission.mode is DispatchMode.CHUNKS
        factors = policy_factors(
            ending.failure_class
            for one in chunk
            for ending in one.item.earlier
            if ending.failure_class is not None
        )
        config: dict[str, object] = {
            "_fworker": self._submission.worker,
            "_queueadapter": self._request(
                self._spec.engine, len(chunk) if by_chunks else 0, factors
            )
            | asked,
        }
        if self._submission.priority is not None:
            config["_priority"] = self._submission.priority
        flow: Flow | Job
        if by_chunks:
            flow = self._chunk(dispatch_id, chunk)
        else:
            flow = self._order(dispatch_id, chunk[0], factors, asked)
        name = f"hts {self._submission.campaign} {number}"
        return Batch(dispatch_id, flow, name, config, fw_id)

    def _chunk(self, dispatch_id: str, chunk: Sequence[Sendable]) -> Job:
        hulls = {one.hull.digest: one.hull for one in chunk if one.hull is not None}
        requests = tuple(
            ChunkRequest(
                candidate=one.candidate,
                hull=None if one.hull is None else one.hull.digest,
                released=one.released,
                retry=one.item.retry,
                failures=tuple(dict(failure) for failure in one.failures),
                finished=tuple(sorted(one.known.finished)),
            )
            for one in chunk
        )
        return chunk_job(
            ChunkWork(hulls=hulls, requests=requests),
            self._maker,
            self._written({}),
            uuid=dispatch_id,
            campaign=self._submission.campaign,
        )

    def _order(
        self,
        dispatch_id: str,
        one: Sendable,
        factors: Mapping[str, float],
        asked: Mapping[str, str],
    ) -> Flow:
        return self._maker.make(
            one.candidate,
            hull=one.hull,
            finished=one.known.done(retry_failed=one.item.retry),
            prerelax_uuids=one.known.prerelaxed,
            released=one.released,
            uuid=dispatch_id,
            maker_text=self._written(factors, asked),
        )

    def _request(
        self, engine: str, calculations: int, factors: Mapping[str, float]
    ) -> dict[str, str]:
        return queue_request(
            queue_rule(engine),
            atoms=self._spec.structure.atoms,
            calculations=calculations,
            max_hours=self._submission.max_walltime,
            max_memory=self._submission.max_memory,
            factors=factors,
        )

    def _written(
        self, factors: Mapping[str, float], asked: Mapping[str, str] | None = None
    ) -> str:
        """Write the maker as text, with queue requests that grew or were given."""
        asked = asked or {}
        wanted = (tuple(sorted(factors.items())), tuple(sorted(asked.items())))
        if wanted not in self._texts:
            routing = {}
            if self._submission.mode is DispatchMode.STEPS:
                routing = self._routing(factors, asked)
            self._texts[wanted] = replace(self._maker, routing=routing).to_text()
        return self._texts[wanted]

    def _routing(
        self, factors: Mapping[str, float], asked: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, object]]:
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
                "_queueadapter": self._request(name, calculations, factors)
                | dict(asked or {}),
                QUEUE_LIMITS: {
                    "max_hours": self._submission.max_walltime,
                    "max_memory": self._submission.max_memory,
                },
            }
            for step, (name, calculations) in steps.items()
        }

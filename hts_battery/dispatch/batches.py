"""Making what is sent of waiting candidates: chunks of them, or one order job each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hts_battery.connections.launchpad.launchpad import Batch
from hts_battery.flows.execution.queue_requests import (
    QUEUE_LIMITS,
    policy_factors,
    queue_request,
    queue_rule,
)
from hts_battery.flows.recipes.chunk import chunk_job
from hts_battery.flows.recipes.registry import campaign_recipe
from hts_battery.schemas.dispatch import ChunkRequest, ChunkWork, DispatchMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobflow import Flow, Job

    from hts_battery.dispatch.decide import Sendable
    from hts_battery.flows.recipes.recipe import RecipeMaker
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.dispatch import Submission


class BatchMaker:
    """Make what is sent of one campaign."""

    def __init__(
        self, submission: Submission, spec: CampaignSpec, maker: RecipeMaker
    ) -> None:
        self._submission = submission
        self._spec = spec
        self._work = campaign_recipe(spec.recipe).work(spec)
        self._maker = maker
        if submission.mode is DispatchMode.STEPS:
            # What is made here must know that its children go their own ways.
            self._maker = replace(maker, routing=self._routing({}))
        self._texts: dict[tuple[tuple[str, object], ...], str] = {}

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
                self._spec.engine,
                len(chunk) if by_chunks else 0,
                factors,
                self._atoms(chunk),
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
                unconverged=one.known.unconverged,
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
            # Sent again as the same dispatch, its own output is that of the same job.
            parts=one.known.reusable(self._maker.asked, besides=dispatch_id),
            unconverged=one.known.unconverged,
            released=one.released,
            uuid=dispatch_id,
            maker_text=self._written(factors, asked, self._atoms([one])),
        )

    def _atoms(self, chunk: Sequence[Sendable]) -> int | None:
        """Return the number of atoms of the largest cell, as far as it is known."""
        starts = [one.candidate.start for one in chunk]
        known = [one.n_atoms for one in starts if one is not None]
        return max(known, default=self._spec.structure.atoms)

    def _request(
        self,
        engine: str,
        calculations: int,
        factors: Mapping[str, float],
        atoms: int | None,
    ) -> dict[str, str]:
        return queue_request(
            queue_rule(engine),
            atoms=atoms,
            calculations=calculations,
            max_hours=self._submission.max_walltime,
            max_memory=self._submission.max_memory,
            factors=factors,
        )

    def _written(
        self,
        factors: Mapping[str, float],
        asked: Mapping[str, str] | None = None,
        atoms: int | None = None,
    ) -> str:
        """Write the maker as text, with queue requests that grew or were given."""
        asked = asked or {}
        wanted = (*sorted(factors.items()), *sorted(asked.items()), ("atoms", atoms))
        if wanted not in self._texts:
            routing = {}
            if self._submission.mode is DispatchMode.STEPS:
                routing = self._routing(factors, asked, atoms)
            self._texts[wanted] = replace(self._maker, routing=routing).to_text()
        return self._texts[wanted]

    def _routing(
        self,
        factors: Mapping[str, float],
        asked: Mapping[str, str] | None = None,
        atoms: int | None = None,
    ) -> dict[str, dict[str, object]]:
        """Say for each step which worker takes it and what its queue job asks for."""
        return {
            step: {
                "_fworker": self._submission.routes.get(step, self._submission.worker),
                "_queueadapter": self._request(name, calculations, factors, atoms)
                | dict(asked or {}),
                QUEUE_LIMITS: {
                    "max_hours": self._submission.max_walltime,
                    "max_memory": self._submission.max_memory,
                },
            }
            for step, (name, calculations) in self._work.items()
        }

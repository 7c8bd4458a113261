"""Making what is sent of waiting candidates: chunks of them, or one order job each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.gate_hulls import GateHulls
from hts_battery.connections.launchpad.launchpad import Batch
from hts_battery.connections.records.executions import described_error
from hts_battery.errors import MissingReferenceError, StoreError, SubmissionError
from hts_battery.flows.execution.queue_requests import (
    policy_factors,
    queue_request,
    queue_rule,
)
from hts_battery.flows.recipes.calculated import Calculated, read_some
from hts_battery.flows.recipes.chunk import chunk_job
from hts_battery.flows.recipes.screen import (
    GATE_STEP,
    PRERELAX_STEP,
    RELAX_STEP,
    STATIC_STEP,
    ScreenMaker,
)
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.dispatch import ChunkRequest, ChunkWork, DispatchMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jobflow import Flow, Job

    from hts_battery.connections.database.stores import Stores
    from hts_battery.flows.execution.recorded import Failure
    from hts_battery.schemas.dispatch import BacklogItem, Submission
    from hts_battery.schemas.gate import HullSnapshot
    from hts_battery.schemas.structure import OrderingMethod

_BATCH = 100  # the embedded server compares every document with every key


def stored_spec(stores: Stores, campaign: str) -> CampaignSpec:
    """
    Read the file of a campaign as it was last registered.

    Raises
    ------
    StoreError
        If it is not in the database.
    """
    doc = stores.campaigns.query_one({"name": campaign})
    if doc is None:
        raise StoreError(
            f"there is no campaign {campaign} in the database: submit its file"
        )
    return CampaignSpec.model_validate(doc["spec"])


class Prepared:
    """
    What is known of some waiting candidates before they are sent.

    Parameters
    ----------
    documents
        Candidate id → candidate.
    known
        Content key → what is known of its calculation.
    released
        Candidates that pass the gate.
    wanted
        Method → orderings that the campaign asks for.
    """

    def __init__(
        self,
        documents: dict[str, CandidateDoc],
        known: dict[str, Calculated],
        released: frozenset[str],
        wanted: Mapping[OrderingMethod, int],
    ) -> None:
        self.documents = documents
        self.known = known
        self.released = released
        self.wanted = wanted

    @classmethod
    def read(
        cls,
        stores: Stores,
        items: Sequence[BacklogItem],
        *,
        at_hand: Mapping[str, CandidateDoc],
        released: frozenset[str],
        wanted: Mapping[OrderingMethod, int],
    ) -> Prepared:
        """
        Read them in a few queries.

        Parameters
        ----------
        stores
            Open stores.
        items
            Candidates that wait.
        at_hand
            Candidates that need not be read, by their ids.
        released
            Those that pass the gate.
        wanted
            Method → orderings that the campaign asks for.
        """
        wanted_ids = {item.candidate_id for item in items}
        documents = {one: at_hand[one] for one in wanted_ids if one in at_hand}
        ids = sorted(wanted_ids - set(documents))
        for start in range(0, len(ids), _BATCH):
            some = {"candidate_id": {"$in": ids[start : start + _BATCH]}}
            for doc in stores.candidates.query(some):
                doc.pop("_id", None)
                documents[doc["candidate_id"]] = CandidateDoc.model_validate(doc)
        known = read_some(stores, [item.content_key for item in items])
        return cls(documents, known, released, wanted)

    def calculated(self, item: BacklogItem) -> Calculated:
        """Return what is known of the orderings of a candidate that are asked for."""
        return self.all_of(item).asked_for(self.wanted)

    def all_of(self, item: BacklogItem) -> Calculated:
        """Return what is known of a candidate, orderings of other campaigns too."""
        return self.known.get(item.content_key, Calculated())


class ParcelMaker:
    """
    Make what is sent of one campaign.

    Parameters
    ----------
    submission
        How it is sent.
    spec
        The campaign.
    maker
        How its candidates are ordered and computed.
    stores
        Open stores, for the competing phases of its gate.
    """

    def __init__(
        self,
        submission: Submission,
        spec: CampaignSpec,
        maker: ScreenMaker,
        stores: Stores,
    ) -> None:
        self._submission = submission
        self._spec = spec
        self._maker = maker
        self._hulls = GateHulls.of_campaign(spec, stores)
        if submission.mode is DispatchMode.STEPS:
            # What is made here must know that its children go their own ways.
            self._maker = replace(maker, routing=self._routing({}))
        self._texts: dict[tuple[tuple[str, float], ...], str] = {}

    def missing_hull(self, candidate: CandidateDoc) -> Failure | None:
        """Say why a candidate cannot be judged at the gate, if so."""
        try:
            self._hull(candidate)
        except MissingReferenceError as err:
            return {"step": GATE_STEP, "ordering_id": None, **described_error(err)}
        return None

    def make(
        self,
        dispatch_id: str,
        number: int,
        items: Sequence[BacklogItem],
        prepared: Prepared,
    ) -> Batch:
        """
        Make one parcel.

        Parameters
        ----------
        dispatch_id
            Its key, and the uuid of its first job: made again, it is the same job.
        number
            Number in the name of its workflow.
        items
            Its candidates: one in steps, several in a chunk. They know their number.
        prepared
            What is known of them.
        """
        fw_id = items[0].fw_id
        if fw_id is None:
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
            candidate = prepared.documents[item.candidate_id]
            hull = self._hull(candidate)
            if hull is not None:
                hulls[hull.digest] = hull
            requests.append(
                ChunkRequest(
                    candidate=candidate,
                    hull=None if hull is None else hull.digest,
                    released=item.candidate_id in prepared.released,
                    retry=item.retry,
                    failures=tuple(dict(one) for one in prepared.all_of(item).failures),
                    finished=tuple(sorted(prepared.calculated(item).finished)),
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
        candidate = prepared.documents[item.candidate_id]
        known = prepared.calculated(item)
        return self._maker.make(
            candidate,
            hull=self._hull(candidate),
            finished=known.done(retry_failed=item.retry),
            prerelax_uuids=known.prerelaxed,
            released=item.candidate_id in prepared.released,
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

"""Submitting a campaign: each of its calculations into the backlog, exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.coverage import missing_references
from hts_battery.campaign.gate_hulls import GateHulls
from hts_battery.campaign.local_run import Progress, released_ids
from hts_battery.campaign.registration import register_members
from hts_battery.campaign.run import ensure_references, hull_engines
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.processes import host_name
from hts_battery.connections.records.backlog import (
    Backlog,
    dispatching,
    keys_in_hand,
    read_submission,
    reopened,
    write_submission,
)
from hts_battery.dispatch.sending_order import Share, in_order
from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.queue_requests import queue_rule
from hts_battery.flows.recipes.calculated import Calculated, read_calculated
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.dispatch import (
    BacklogItem,
    DispatchMode,
    Ending,
    EndingKind,
    Hold,
    Submission,
)
from hts_battery.schemas.ordering_series import covers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.dispatch.sending_order import Member
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import Candidate

LOCAL_WORKER = "local"
"""The worker that is the machine one submits from."""


def readiness(
    spec: CampaignSpec,
    submission: Submission,
    members: Sequence[Member],
    stores: Stores,
) -> list[str]:
    """
    Import what is shipped and missing, and say what else a campaign lacks.

    What an engine needs is asked of this machine; another worker may have it.

    Parameters
    ----------
    spec
        The campaign.
    submission
        How it is sent.
    members
        Its candidates.
    stores
        Open stores.

    Returns
    -------
    list[str]
        Warnings, each with what to do.

    Raises
    ------
    ConfigurationError
        If an engine cannot compute an element, lacks something on this machine where
        this is the worker, or the gate has no competing phases.
    """
    elements = {element for _, candidate in members for element in candidate.elements}
    warnings = _engine_problems(spec, submission, elements)
    for name in hull_engines(spec):
        try:
            ensure_references(name, stores, elements=elements)
        except ConfigurationError as err:
            warnings.append(str(err))
    warnings += missing_references(spec, elements, stores)
    GateHulls.of_campaign(spec, stores)
    return warnings


def _engine_problems(
    spec: CampaignSpec, submission: Submission, elements: Collection[str]
) -> list[str]:
    workers = {spec.engine: submission.worker}
    if spec.prerelax is not None:
        workers[spec.prerelax.engine] = submission.routes.get(
            "prerelax", submission.worker
        )
    problems = []
    for name, worker in workers.items():
        if worker == LOCAL_WORKER:
            engine(name).require(elements)
        problems += [
            f"not on this machine, and worker {worker} needs it: {problem}"
            for problem in engine(name).missing(elements)
        ]
    return problems


@dataclass(frozen=True)
class Submitted:
    """What a submission came to."""

    submission: Submission
    candidates: int
    """Members that were chosen."""
    new: int
    """Members that are put into the backlog, or back into it."""
    known: int
    """Members that are in a backlog already or computed."""


def plan_submission(
    spec: CampaignSpec,
    worker: str,
    *,
    mode: DispatchMode | None = None,
    chunk: int | None = None,
    window: int | None = None,
    **options: Any,  # noqa: ANN401 - other fields of Submission
) -> Submission:
    """
    Complete what the operator says by what the engine's rule says.

    Parameters
    ----------
    spec
        The campaign.
    worker
        Worker that computes it.
    mode, chunk, window
        Where they differ from the rule of the engine.
    options
        Other fields of :class:`Submission`.

    Raises
    ------
    ConfigurationError
        If they do not go together.
    """
    rule = queue_rule(spec.engine)
    mode = mode or rule.mode
    by_steps = mode is DispatchMode.STEPS
    if by_steps and chunk not in (None, 1):
        raise ConfigurationError(
            "with --mode steps each calculation is a Firework of its own: leave "
            "--chunk out, or choose --mode chunks"
        )
    routes = options.get("routes") or {}
    if routes and not by_steps:
        raise ConfigurationError(
            "a chunk computes everything of its candidates on one worker: another "
            "worker for the pre-relaxation needs --mode steps"
        )
    if routes and spec.prerelax is None:
        raise ConfigurationError(
            f"the campaign {spec.name} has no prerelax step for another worker"
        )
    default = rule.chunk if rule.mode is DispatchMode.CHUNKS else 1
    return Submission(
        campaign=spec.name,
        worker=worker,
        mode=mode,
        chunk=1 if by_steps else chunk or default,
        window=window or rule.window,
        time=datetime.now(UTC),
        host=host_name(),
        **options,
    )


def submit_campaign(  # noqa: PLR0913 - each is named by its caller
    campaign: Campaign,
    stores: Stores,
    submission: Submission,
    *,
    members: Sequence[Member] | None = None,
    share: Share | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> Submitted:
    """
    Register a campaign and put what is not computed yet into its backlog.

    Called again, by anybody and after a kill at any moment, it adds what is missing and
    nothing else. Nothing is sent: the feeder does that.

    Parameters
    ----------
    campaign
        The campaign.
    stores
        Open stores.
    submission
        How it is sent.
    members
        All members of the campaign, where they are listed already.
    share
        Which of them are submitted.
    retry_failed
        Whether what failed is sent again.
    progress
        Told what happens.

    Raises
    ------
    StoreError
        If the database went away: submit again.
    """
    progress = progress or Progress()
    with (
        translated_outages(stores.database.uri, "submitting a campaign"),
        dispatching(stores, f"hts campaign submit {submission.campaign}") as lease,
    ):
        if members is None:
            members = read_members(campaign, progress)
        register_members(campaign, stores, members)
        known = read_submission(stores, submission.campaign)
        if known is not None and known.hold is Hold.PAUSED:
            submission = submission.model_copy(update={"hold": Hold.PAUSED})
        write_submission(stores, submission, lease)
        backlog = Backlog.read(stores, submission.campaign)
        keys = {one.candidate_id: campaign.key(one) for _, one in members}
        sorting = _Sorting(campaign, stores, backlog, keys, retry_failed=retry_failed)
        chosen = (share or Share()).of(members)
        _drop_strangers(backlog, set(keys.values()))
        new = [one for one in chosen if sorting.is_to_be_sent(one[1])]
        for _, candidate in new:
            key = keys[candidate.candidate_id]
            if key in backlog:
                again = reopened(backlog[key], retry=retry_failed)
                backlog.change(key, **again)
        fresh = [one for one in new if keys[one[1].candidate_id] not in backlog]
        backlog.append(
            BacklogItem(
                content_key=keys[candidate.candidate_id],
                candidate_id=candidate.candidate_id,
                formula=candidate.formula,
                retry=retry_failed,
            )
            for _, candidate in in_order(fresh, submission.rule, campaign.spec, stores)
        )
        backlog.save(lease)
    return Submitted(submission, len(chosen), len(new), len(chosen) - len(new))


def _drop_strangers(backlog: Backlog, keys: Collection[str]) -> None:
    """End what waits and is no calculation of the campaign's file any more."""
    ending = Ending(
        kind=EndingKind.CANCELLED,
        reason="the campaign file has changed",
        time=datetime.now(UTC),
    )
    for item in list(backlog.items):
        waits = item.dispatch_id is None and item.ending is None
        if waits and item.content_key not in keys:
            backlog.change(item.content_key, ending=ending)


def preview(
    campaign: Campaign,
    stores: Stores,
    submission: Submission,
    *,
    members: Sequence[Member],
    share: Share | None = None,
    retry_failed: bool = False,
) -> Submitted:
    """Say what :func:`submit_campaign` would do; write nothing."""
    backlog = Backlog.read(stores, submission.campaign)
    keys = {one.candidate_id: campaign.key(one) for _, one in members}
    sorting = _Sorting(campaign, stores, backlog, keys, retry_failed=retry_failed)
    chosen = (share or Share()).of(members)
    new = sum(sorting.is_to_be_sent(candidate) for _, candidate in chosen)
    return Submitted(submission, len(chosen), new, len(chosen) - new)


def read_members(
    campaign: Campaign,
    progress: Progress,
    kept: Iterable[tuple[int, Candidate]] | None = None,
) -> list[Member]:
    """
    List the members of a campaign.

    Parameters
    ----------
    campaign
        The campaign.
    progress
        Told of each.
    kept
        Its members, where they are checked while they are listed.
    """
    progress.total("members", _selected(campaign))
    found = []
    for index, candidate in campaign.kept() if kept is None else kept:
        found.append((index, CandidateDoc.from_candidate(candidate)))
        progress.advance("members", candidate.formula)
    return found


def _selected(campaign: Campaign) -> int:
    """Count the members that a campaign file selects, before its filters."""
    selection = campaign.spec.selection
    if selection.formulas is not None:
        return len(selection.formulas)
    if selection.count is not None:
        return selection.count
    if selection.stop is not None:
        return selection.stop - (selection.start or 0)
    return campaign.space.count


class _Sorting:
    """Who of the members is to be sent; reads what was computed where it matters."""

    def __init__(
        self,
        campaign: Campaign,
        stores: Stores,
        backlog: Backlog,
        keys: Mapping[str, str],
        *,
        retry_failed: bool,
    ) -> None:
        self._campaign = campaign
        self._keys = keys
        self._stores = stores
        self._backlog = backlog
        self._retry = retry_failed
        self._wanted = campaign.spec.structure.n_orderings
        self._elsewhere = keys_in_hand(stores, self._wanted, besides=campaign.spec.name)
        self._released = released_ids(campaign.spec.name, stores)
        self._calculated: dict[str, Calculated] | None = None

    def is_to_be_sent(self, candidate: CandidateDoc) -> bool:
        """Say whether a candidate is missing from every backlog and not computed."""
        key = self._keys[candidate.candidate_id]
        if key in self._elsewhere:
            return False
        if key in self._backlog:
            ending = self._backlog[key].ending
            if ending is None:
                return False
            if (
                ending.kind is EndingKind.COMPUTED
                and covers(self._backlog[key].asked, self._wanted)
                and (ending.failure_class is None or not self._retry)
            ):
                return False
        return self._known(key).needs_work(
            self._campaign.spec.gate,
            released=candidate.candidate_id in self._released,
            retry_failed=self._retry,
        )

    def _known(self, key: str) -> Calculated:
        if self._calculated is None:
            self._calculated = read_calculated(self._stores)
        return self._calculated.get(key, Calculated()).asked_for(self._wanted)

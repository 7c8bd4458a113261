"""Submitting a campaign: each of its calculations into the backlog, exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from hts_battery.campaign.local_run import Progress
from hts_battery.campaign.reference_gaps import hull_engines, missing_references
from hts_battery.campaign.registration import register_members
from hts_battery.campaign.run import ensure_references
from hts_battery.campaign.source import resolved
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
from hts_battery.connections.workers.configs import refuse_unmet_request
from hts_battery.dispatch.collection import outdated
from hts_battery.errors import ConfigurationError
from hts_battery.flows.engines.registry import engine
from hts_battery.flows.execution.queue_requests import largest_request, queue_rule
from hts_battery.flows.recipes.calculated import (
    Calculated,
    read_calculated,
    released_ids,
)
from hts_battery.flows.recipes.gate import GateHulls
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.dispatch import (
    BacklogItem,
    DispatchMode,
    EndingKind,
    Hold,
    PriorityRule,
    Submission,
)
from hts_battery.thermo.entropy import candidate_entropy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import Candidate

T = TypeVar("T")

Member = tuple[int, CandidateDoc]
"""Index in the space, and candidate."""

LOCAL_WORKER = "local"
"""The worker that is the machine one submits from."""


@dataclass(frozen=True)
class MemberSubset:
    """Which members of a campaign are submitted: all unless limited."""

    start: int = 0
    """First position among the members of the file, from 0."""
    stop: int | None = None
    """Position that is left out, with those after it."""
    shard: int = 1
    """Number of the first that is taken, from 1; then every ``shards``-th."""
    shards: int = 1

    @classmethod
    def parse(cls, span: str | None, shard: str | None) -> MemberSubset:
        """
        Read what the command line says.

        Raises
        ------
        ConfigurationError
            If it is not ``A:B`` or ``I/N``.

        Examples
        --------
        >>> MemberSubset.parse("100:", "1/4")
        MemberSubset(start=100, stop=None, shard=1, shards=4)
        """
        try:
            first, _, last = (span or ":").partition(":")
            number, _, shards = (shard or "1/1").partition("/")
            subset = cls(
                int(first or 0), int(last) if last else None, int(number), int(shards)
            )
        except ValueError:
            raise ConfigurationError(
                "a range is A:B (members A to B-1, from 0), a shard is I/N (from 1)"
            ) from None
        if subset.start < 0 or (
            subset.stop is not None and subset.stop <= subset.start
        ):
            raise ConfigurationError(f"the range {span} holds no member")
        if not 1 <= subset.shard <= subset.shards:
            raise ConfigurationError(f"the shard {shard} is not one of 1 to N")
        return subset

    def of(self, members: Sequence[T]) -> Sequence[T]:
        """Return the members that belong to it, in their order."""
        return members[self.start : self.stop][self.shard - 1 :: self.shards]


def readiness(
    spec: CampaignSpec,
    submission: Submission,
    members: Sequence[Member],
    stores: Stores,
) -> list[str]:
    """
    Import what is shipped and missing; return warnings of what else is lacking.

    What an engine needs is asked of this machine; another worker may have it.

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


def unmet_requests(
    spec: CampaignSpec, submission: Submission, templates: Path
) -> list[str]:
    """
    Say what workers leave out of what the engines and the failure policy ask for.

    Raises
    ------
    ConfigurationError
        If a worker has no place for it, with what to set.
    """
    workers = {spec.engine: submission.worker}
    if spec.prerelax is not None:
        prerelax = submission.routes.get("prerelax", submission.worker)
        workers[spec.prerelax.engine] = prerelax
    notes = []
    for name, worker in workers.items():
        if worker == LOCAL_WORKER:
            continue  # rockets run here, whatever is asked for
        request = largest_request(
            name,
            atoms=spec.structure.atoms,
            max_hours=submission.max_walltime,
            max_memory=submission.max_memory,
        )
        left_out = refuse_unmet_request(templates, worker, request)
        if left_out:
            notes.append(
                f"worker {worker} asks its queue for no {', '.join(left_out)}: engine "
                f"{name} is tried again with the same after a failure of that kind"
            )
    return notes


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
    spec, worker
        The campaign, and the worker that computes it.
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
    subset: MemberSubset | None = None,
    retry_failed: bool = False,
    progress: Progress | None = None,
    replace: bool = True,
) -> Submitted:
    """
    Register a campaign and put what is not computed yet into its backlog.

    Called again, by anybody and after a kill at any moment, it adds what is missing and
    nothing else. Nothing is sent: the feeder does that.

    Parameters
    ----------
    campaign, stores, submission
        The campaign, open stores, and how it is sent.
    members
        All members of the campaign, where they are listed already.
    subset
        Which of them are submitted.
    retry_failed
        Whether what failed is sent again.
    progress
        Told what happens.
    replace
        Whether the file takes the place of another of the same name.

    Raises
    ------
    StoreError
        If the database went away: submit again.
    """
    with (
        translated_outages(stores.database.uri, "submitting a campaign"),
        dispatching(stores, f"hts campaign submit {submission.campaign}") as lease,
    ):
        campaign = resolved(campaign, stores)
        if members is None:
            members = read_members(campaign, progress or Progress())
        register_members(campaign, stores, members, replace=replace)
        known = read_submission(stores, submission.campaign)
        if known is not None and known.hold in {Hold.PAUSED, Hold.BRAKE}:
            kept = {"hold": known.hold, "hold_reason": known.hold_reason}
            submission = submission.model_copy(update=kept)
        write_submission(stores, submission, lease)
        unsent = _Unsent(campaign, stores, members, retry_failed=retry_failed)
        backlog, keys = unsent.backlog, unsent.keys
        chosen = (subset or MemberSubset()).of(members)
        _end_outdated(backlog, set(keys.values()))
        new = [one for one in chosen if unsent.has(one[1])]
        fresh = []
        for one in new:
            key = keys[one[1].candidate_id]
            if key in backlog:
                backlog.put(reopened(backlog[key], retry=retry_failed))
            else:
                fresh.append(one)
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


def _end_outdated(backlog: Backlog, keys: Collection[str]) -> None:
    """End what waits and is no calculation of the campaign's file any more."""
    now = datetime.now(UTC)
    for item in list(backlog.items):
        waits = item.dispatch_id is None and item.ending is None
        if waits and item.content_key not in keys:
            backlog.put(outdated(item, now))


def plan_backlog(
    campaign: Campaign,
    stores: Stores,
    submission: Submission,
    *,
    members: Sequence[Member],
    subset: MemberSubset | None = None,
    retry_failed: bool = False,
) -> Submitted:
    """Say what :func:`submit_campaign` would do; write nothing."""
    unsent = _Unsent(campaign, stores, members, retry_failed=retry_failed)
    chosen = (subset or MemberSubset()).of(members)
    new = sum(unsent.has(candidate) for _, candidate in chosen)
    return Submitted(submission, len(chosen), new, len(chosen) - new)


def in_order(
    members: Sequence[Member], rule: PriorityRule, spec: CampaignSpec, stores: Stores
) -> list[Member]:
    """Sort members as they are sent; their order in the file decides between equals."""
    if rule is PriorityRule.FILE or not members:
        return list(members)
    if rule is PriorityRule.ENTROPY:
        return sorted(
            members,
            key=lambda one: (
                -candidate_entropy(one[1].to_candidate(), spec.entropy).entropy
            ),
        )
    found = _prescreened(spec.name, stores)
    return sorted(members, key=lambda one: found.get(one[1].candidate_id, float("inf")))


def _prescreened(campaign: str, stores: Stores) -> dict[str, float]:
    """Return the lowest E_hull of each candidate in other campaigns, in eV/atom."""
    found: dict[str, float] = {}
    for doc in stores.summary.query(
        {"campaign": {"$ne": campaign}},
        properties=["candidate_id", "energy_above_hull"],
    ):
        above = doc.get("energy_above_hull")
        if above is not None:
            name = doc["candidate_id"]
            found[name] = min(above, found.get(name, float("inf")))
    return found


def read_members(
    campaign: Campaign,
    progress: Progress,
    kept: Iterable[tuple[int, Candidate]] | None = None,
) -> list[Member]:
    """List the members of a campaign; ``kept`` checks them while they are listed."""
    if campaign.chosen is not None:
        return list(campaign.members())
    progress.total("members", _selected(campaign))
    found = []
    for index, candidate in campaign.kept() if kept is None else kept:
        found.append((index, CandidateDoc.from_candidate(candidate)))
        progress.advance("members", candidate.formula)
    return found


def _selected(campaign: Campaign) -> int:
    """Count the members that a campaign file selects, before its filters."""
    selection = campaign.spec.selection
    if campaign.space is None or selection is None:
        return 0
    if selection.method == "formulas":
        return len(campaign.listed.indices)
    if selection.count is not None:
        return selection.count
    if selection.stop is not None:
        return selection.stop - (selection.start or 0)
    return campaign.space.count


class _Unsent:
    """The members that no backlog holds; reads what was computed where it matters."""

    def __init__(
        self,
        campaign: Campaign,
        stores: Stores,
        members: Sequence[Member],
        *,
        retry_failed: bool,
    ) -> None:
        spec = campaign.spec
        self.backlog = Backlog.read(stores, spec.name)
        self.keys = {one.candidate_id: campaign.key(one) for _, one in members}
        self._gate = spec.gate
        self._stores = stores
        self._retry = retry_failed
        self._wanted = spec.orderings
        self._steps = spec.relaxation.steps
        self._elsewhere = keys_in_hand(
            stores, self._wanted, self._steps, besides=spec.name
        )
        self._released = released_ids(spec.name, stores)
        self._calculated: dict[str, Calculated] | None = None

    def has(self, candidate: CandidateDoc) -> bool:
        """Say whether a candidate is missing from every backlog and not computed."""
        key = self.keys[candidate.candidate_id]
        if key in self._elsewhere:
            return False
        if key in self.backlog:
            item = self.backlog[key]
            if item.ending is None:
                return False
            if (
                item.ending.kind is EndingKind.COMPUTED
                and item.covers(self._wanted, self._steps)
                and (item.ending.failure_class is None or not self._retry)
            ):
                return False
        if self._calculated is None:
            self._calculated = read_calculated(self._stores)
        stored = self._calculated.get(key, Calculated())
        known = stored.asked_for(self._wanted, self._steps)
        released = candidate.candidate_id in self._released
        return known.needs_work(self._gate, released=released, retry_failed=self._retry)

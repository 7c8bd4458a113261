"""What a campaign will cost, from its file and from what has finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar, cast

from hts_battery.campaign.cost import (
    LEAST_JOBS,
    assumed_share,
    cost_defaults,
    fitted_laws,
    gate_share,
    price,
    wall_seconds,
)
from hts_battery.campaign.registration import registered
from hts_battery.campaign.source import read_candidates, resolved
from hts_battery.campaign.spec_file import read_campaign
from hts_battery.campaign.status import campaign_status
from hts_battery.flows.recipes.registry import campaign_recipe
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.cost import CampaignWork, FinishedJob, Overhead
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.species import VACANCY
from hts_battery.schemas.state import NEEDS_NOTHING
from hts_battery.structures.prototypes import prototype_of_family
from hts_battery.structures.representation import represent
from hts_battery.thermo.estimates import passes_gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.cost import CampaignPlan, CostLaw, GateShare
    from hts_battery.schemas.rows import (
        BacklogItemRow,
        EndingRow,
        SubmissionRow,
        TaskRow,
        VerdictRow,
    )

T = TypeVar("T")

ENOUGH_JOBS = 300
"""Finished jobs after which no more are read."""
_AT_ONCE = 100
_MOST_READ = 20  # at a hundred candidates each, most of which may not be computed
_FIELDS = (
    "uuid",
    "index",
    "metadata.step",
    "metadata.calculation.engine",
    "metadata.calculation.prerelax.engine",
    "output.nsites",
    "output.run.step",
    "output.run.seconds",
    "output.output.energy",
    "output.output.elapsed_time",
)

_SAMPLE = 100
_MOST_VERDICTS = 2000
_SECONDS_PER_HOUR = 3600.0


def finished_jobs(
    stores: Stores, computed: Iterable[str], campaigns: Sequence[str]
) -> list[FinishedJob]:
    """
    Read a sample of the jobs that came to an energy.

    ``computed``: content keys that are known to be computed, to be looked at first.
    ``campaigns``: names of campaigns whose members are looked at next, in the order of
    their ids, which are digests: a random sample. Returns: about three hundred at most.
    """
    members = chain.from_iterable(_members(stores, name) for name in campaigns)
    keys = _each_once(chain(computed, members))
    found: list[FinishedJob] = []
    for _ in range(_MOST_READ):
        some = list(islice(keys, _AT_ONCE))
        if not some or len(found) >= ENOUGH_JOBS:
            break
        found += _jobs_of(stores, some)
    return found


def _members(stores: Stores, campaign: str) -> Iterator[str]:
    docs = stores.members.query(
        {"campaign": campaign}, properties=["content_key"], limit=_AT_ONCE * _MOST_READ
    )
    return (doc["content_key"] for doc in docs)


def _each_once(keys: Iterable[str]) -> Iterator[str]:
    seen = set()
    for key in keys:
        if key not in seen:
            seen.add(key)
            yield key


def _jobs_of(stores: Stores, keys: Sequence[str]) -> Iterator[FinishedJob]:
    """Read the jobs of some candidates, each in its last attempt."""
    last: dict[str, TaskRow] = {}
    criteria = {"metadata.content_key": {"$in": list(keys)}}
    found = stores.tasks.query(criteria, properties=list(_FIELDS))
    for task in cast("Iterator[TaskRow]", found):
        if not isinstance(task.get("output"), dict):
            continue  # cells, as ordered or strained: no engine has computed
        known = last.get(task["uuid"])
        if known is None or known["index"] < task["index"]:
            last[task["uuid"]] = task
    for task in last.values():
        job = _job(task)
        if job is not None:
            yield job


def _job(task: TaskRow) -> FinishedJob | None:
    """Say what one job cost; None where it failed or does not tell."""
    output = task.get("output") or {}
    result, run = output.get("output") or {}, output.get("run") or {}
    seconds = run.get("seconds") or result.get("elapsed_time")
    atoms = output.get("nsites")
    if not (seconds and atoms) or result.get("energy") is None:
        return None
    metadata = task["metadata"]
    step, calculation = metadata["step"], metadata["calculation"]
    if step == "prerelax":
        return FinishedJob(
            engine=calculation["prerelax"]["engine"],
            step=step,
            atoms=atoms,
            seconds=seconds,
        )
    return FinishedJob(
        engine=calculation["engine"],
        step=run.get("step") or step,
        atoms=atoms,
        seconds=seconds,
    )


@dataclass(frozen=True)
class Assumptions:
    """What a user says instead of what is known."""

    worker: str | None = None
    """Worker whose finished jobs are looked at; none looks at those of all."""
    nodes: int | None = None
    """Nodes of one queue job; none takes those of the submission, or one."""
    gated: float | None = None
    """Share of the candidates that the gate stops."""


@dataclass(frozen=True)
class _Evidence:
    """What the database knows of a campaign and of its like."""

    done: int = 0
    endings: list[EndingRow] = field(default_factory=list)
    submission: SubmissionRow | None = None
    jobs: list[FinishedJob] = field(default_factory=list)
    verdicts: list[VerdictRow] = field(default_factory=list)


def plan_campaign(
    path: Path,
    stores: Stores | None,
    assumptions: Assumptions,
    *,
    execution_folder: Path,
    skip_bad: bool = False,
) -> CampaignPlan:
    """
    Price a campaign; nothing is written.

    ``path``: the campaign file. ``stores``: open stores; none where there is no
    database yet. ``assumptions``: what the user says. ``execution_folder``: folder of
    the execution record. ``skip_bad``: whether formulas that are no members are left
    out. Raises SpecError if the file is wrong.
    """
    if stores is None:
        campaign = resolved(read_campaign(path, skip_bad=skip_bad), stores)
        spec = campaign.spec
        count, sample = _members_of(campaign)
        known = _Evidence()
    else:
        status = campaign_status(path, stores, execution_folder=execution_folder)
        spec, sample = _sample(path, stores, skip_bad=skip_bad)
        count = status.candidates
        done = sum(status.states.get(str(state), 0) for state in NEEDS_NOTHING)
        known = _evidence(spec, stores, assumptions, done)
    submission = known.submission
    work = CampaignWork(
        campaign=spec.name,
        candidates=count,
        left=count - known.done,
        steps=campaign_recipe(spec.recipe).cost(spec),
        atoms=tuple(cell_atoms(one, spec) for one in sample),
        nodes=assumptions.nodes or (submission["nodes"] if submission else 1),
    )
    laws = fitted_laws(((one.engine, one.step) for one in work.steps), known.jobs)
    gate = _gate(spec, known.verdicts, assumptions.gated)
    plan = price(
        work,
        laws,
        _overhead(known.endings, work, laws),
        gate,
        candidate_bytes=cost_defaults().candidate_bytes,
    )
    spent = sum(ending["node_hours"] for ending in known.endings)
    return plan.model_copy(
        update={
            "node_hours_spent": spent if submission else None,
            "budget": submission["budget"] if submission else None,
        }
    )


def cell_atoms(candidate: CandidateDoc, spec: CampaignSpec) -> int:
    """Count the atoms of the cell in which a candidate is computed."""
    if candidate.start is not None:
        return candidate.start.n_atoms
    found = represent(
        candidate.to_candidate().assignment,
        prototype_of_family(candidate.family),
        atoms=spec.structure.atoms,
        max_deviation=spec.structure.max_deviation,
    )
    return sum(
        number
        for sites in found.counts.values()
        for species, number in sites.items()
        if species != VACANCY
    )


def _members_of(campaign: Campaign) -> tuple[int, list[CandidateDoc]]:
    """Count the members of a campaign, and keep an even sample of them."""
    if campaign.chosen is not None:
        return _thinned(one for _, one in campaign.members())
    count, kept = _thinned(candidate for _, candidate in campaign.kept())
    return count, [CandidateDoc.from_candidate(one) for one in kept]


def _thinned(candidates: Iterable[T]) -> tuple[int, list[T]]:
    """Count candidates, and keep an even sample without keeping all."""
    kept: list[T] = []
    count, stride = 0, 1
    for count, candidate in enumerate(candidates, start=1):
        if (count - 1) % stride:
            continue
        kept.append(candidate)
        if len(kept) == 2 * _SAMPLE:
            kept, stride = kept[::2], 2 * stride
    return count, kept


def _sample(
    path: Path, stores: Stores, *, skip_bad: bool
) -> tuple[CampaignSpec, list[CandidateDoc]]:
    """Return a campaign with some of its candidates, from the database if they are."""
    known = registered(path, stores)
    if known is None:
        campaign = resolved(read_campaign(path, skip_bad=skip_bad), stores)
        return campaign.spec, _members_of(campaign)[1]
    # By id, which is a digest: a random sample.
    members = stores.members.query(
        {"campaign": known.spec.name}, properties=["candidate_id"], limit=_SAMPLE
    )
    ids = [doc["candidate_id"] for doc in members]
    start = None if known.spec.screens else known.spec.name
    return known.spec, list(read_candidates(ids, stores, start=start).values())


def _evidence(
    spec: CampaignSpec, stores: Stores, assumptions: Assumptions, done: int
) -> _Evidence:
    """Read what the database knows."""
    submission = cast(
        "SubmissionRow | None", stores.submissions.query_one({"campaign": spec.name})
    )
    alike = _similar(spec, stores, assumptions.worker)
    if assumptions.worker in {None, submission["worker"] if submission else None}:
        alike.insert(0, spec.name)
    endings: list[EndingRow] = []
    computed: list[str] = []
    for name in dict.fromkeys((*alike, spec.name)):
        items = list(_backlog(stores, name))
        if name in alike:
            computed += [
                item["content_key"]
                for item in items
                if item["ending"] and item["ending"]["kind"] == EndingKind.COMPUTED
            ]
        if name == spec.name:
            endings = [one for item in items for one in _endings(item)]
    return _Evidence(
        done=done,
        endings=endings,
        submission=submission,
        jobs=finished_jobs(stores, computed, alike),
        verdicts=_verdicts(spec, stores),
    )


def _similar(spec: CampaignSpec, stores: Stores, worker: str | None) -> list[str]:
    """Names of other campaigns with an engine of this one, sent to the worker."""
    engines = {spec.engine, spec.prerelax.engine if spec.prerelax else spec.engine}
    sent = None
    if worker is not None:
        sent = set(stores.submissions.distinct("campaign", {"worker": worker}))
    return [
        doc["name"]
        for doc in stores.campaigns.query({}, sort={"name": 1})
        if doc["name"] != spec.name
        and (sent is None or doc["name"] in sent)
        and engines
        & {doc["spec"]["engine"], (doc["spec"].get("prerelax") or {}).get("engine")}
    ]


def _backlog(stores: Stores, campaign: str) -> Iterator[BacklogItemRow]:
    for block in stores.backlog.query({"campaign": campaign}):
        yield from block["items"]


def _endings(item: BacklogItemRow) -> list[EndingRow]:
    last = [] if item["ending"] is None else [item["ending"]]
    return [*item["earlier"], *last]


def _verdicts(spec: CampaignSpec, stores: Stores) -> list[VerdictRow]:
    """Read verdicts of gates whose energies come from the same engine."""
    if spec.prerelax is None:
        return []
    docs = stores.tasks.query(
        {"metadata.step": "gate"},
        properties=[
            "metadata.content_key",
            "metadata.calculation.prerelax.engine",
            "output.energy_above_hull_0k",
            "output.entropy",
        ],
        limit=_MOST_VERDICTS,
    )
    last = {
        doc["metadata"]["content_key"]: doc["output"]
        for doc in docs
        if doc["metadata"]["calculation"]["prerelax"]["engine"] == spec.prerelax.engine
    }
    return [one for one in last.values() if one["energy_above_hull_0k"] is not None]


def _gate(
    spec: CampaignSpec, verdicts: Sequence[VerdictRow], assumed: float | None
) -> GateShare | None:
    if spec.gate is None:
        return None
    if assumed is not None:
        return assumed_share(assumed)
    stopped = sum(
        not passes_gate(one["energy_above_hull_0k"], one["entropy"], spec.gate)
        for one in verdicts
    )
    return gate_share(stopped, len(verdicts))


def _overhead(
    endings: Sequence[EndingRow],
    work: CampaignWork,
    laws: Mapping[tuple[str, str], CostLaw],
) -> Overhead:
    """Compare what dispatched candidates took with what their jobs alone take."""
    count = sum(one["kind"] == EndingKind.COMPUTED for one in endings)
    gated = sum(one["kind"] == EndingKind.GATED for one in endings)
    spent = sum(one["node_hours"] for one in endings)
    alone = 0.0
    for step in work.steps:
        law = laws[step.engine, step.step]
        times = count + (0 if step.behind_gate else gated)
        alone += times * step.for_each * step.length * wall_seconds(law, work.atoms)
    alone *= work.nodes / _SECONDS_PER_HOUR
    if count + gated < LEAST_JOBS or not (spent and alone):
        default = cost_defaults()
        return Overhead(
            factor=default.overhead, endings=0, source=default.overhead_source
        )
    return Overhead(
        factor=spent / alone,
        endings=len(endings),
        source=f"{len(endings)} endings of this campaign",
    )

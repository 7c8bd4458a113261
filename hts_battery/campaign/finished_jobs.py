"""Reading what finished jobs cost, from a sample that is quick to read."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.cost import FinishedJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.stores import Stores

ENOUGH_JOBS = 300
"""Finished jobs after which no more are read."""
_AT_ONCE = 100
_MOST_LOOKS = 20  # at a hundred candidates each, most of which may not be computed
_TIMED_STEPS = frozenset({"prerelax", "relax", "static"})
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


def finished_jobs(
    stores: Stores, computed: Iterable[str], campaigns: Sequence[str]
) -> list[FinishedJob]:
    """
    Read a sample of the jobs that came to an energy.

    Parameters
    ----------
    stores
        Open stores.
    computed
        Content keys that are known to be computed, to be looked at first.
    campaigns
        Names of campaigns whose members are looked at next, in the order of their
        ids, which are digests: a random sample.

    Returns
    -------
    list of FinishedJob
        About three hundred at most.
    """
    members = chain.from_iterable(_members(stores, name) for name in campaigns)
    keys = _each_once(chain(computed, members))
    found: list[FinishedJob] = []
    for _ in range(_MOST_LOOKS):
        some = list(islice(keys, _AT_ONCE))
        if not some or len(found) >= ENOUGH_JOBS:
            break
        found += _jobs_of(stores, some)
    return found


def _members(stores: Stores, campaign: str) -> Iterator[str]:
    docs = stores.members.query(
        {"campaign": campaign},
        properties=["content_key"],
        limit=_AT_ONCE * _MOST_LOOKS,
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
    last: dict[str, dict[str, Any]] = {}
    criteria = {"metadata.content_key": {"$in": list(keys)}}
    for task in stores.tasks.query(criteria, properties=list(_FIELDS)):
        if task["metadata"]["step"] not in _TIMED_STEPS:
            continue
        known = last.get(task["uuid"])
        if known is None or known["index"] < task["index"]:
            last[task["uuid"]] = task
    for task in last.values():
        job = _job(task)
        if job is not None:
            yield job


def _job(task: Mapping[str, Any]) -> FinishedJob | None:
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

"""What a queue is asked for: mode, size of chunks, time and memory, as data."""

from __future__ import annotations

import math
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, TypedDict

import yaml

from hts_battery.flows.execution.failures import (
    known_policy,
    largest_factors,
    remedies_of,
)
from hts_battery.schemas.dispatch import QueueRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.schemas.failure import FailureClass, FailurePolicy

QUEUE_LIMITS = "queue_limits"
"""Where a Firework says what its queue allows: max_hours, and max_memory in GB."""
_SHORTEST = 0.25  # h: starting Python, the imports and the first checkout
_LONGEST = 24.0  # h, where nobody says more
_NO_ENGINE = ""  # only the rule of every other engine matches it
_MEMORY_KEYS = ("mem", "mem_per_cpu", "pmem")
_PER_GB = {"K": 1024.0**2, "M": 1024.0, "G": 1.0, "T": 1 / 1024}
_TIME = re.compile(r"(?:(?P<days>\d+)-)?(?P<h>\d+):(?P<m>\d\d)(?::(?P<s>\d\d))?")
_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>(?:[KMGTkmgt][Ii]?[Bb]?)?)")


class QueueLimits(TypedDict, total=False):
    """What a queue allows."""

    max_hours: float
    max_memory: float | None
    """In GB."""


class ManagerConfig(TypedDict, total=False):
    """How FireWorks is told to run a job."""

    _fworker: str
    _priority: int
    _queueadapter: dict[str, object]
    queue_limits: QueueLimits


@lru_cache(maxsize=1)
def queue_rules() -> tuple[QueueRule, ...]:
    """Return the rules of the engines, in the order in which they are tried."""
    resource = files("hts_battery.flows") / "data" / "queue_requests.yaml"
    rows = yaml.safe_load(resource.read_text("utf-8"))
    return tuple(QueueRule.model_validate(row) for row in rows)


def queue_rule(engine: str) -> QueueRule:
    """
    Return the rule of an engine.

    Examples
    --------
    >>> queue_rule("vasp-mp-gga").mode, queue_rule("chgnet").chunk
    (<DispatchMode.STEPS: 'steps'>, 20)
    """
    return next(one for one in queue_rules() if fnmatchcase(engine, one.engine))


def queue_request(
    rule: QueueRule,
    *,
    atoms: int | None,
    calculations: int = 1,
    max_hours: float = 24.0,
    max_memory: float | None = None,
    factors: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """
    Write what one queue job asks for as FireWorks' queue adapter takes it.

    The job makes some calculations one after another, within the hours and the memory
    in GB that the worker allows; factors multiply ``wall_time`` and ``memory`` of the
    first request.

    Examples
    --------
    >>> queue_request(queue_rule("vasp-mp-gga"), atoms=40)
    {'walltime': '12:00:00', 'mem': '32G'}
    >>> queue_request(queue_rule("chgnet"), atoms=40, calculations=20)
    {'walltime': '02:15:00', 'mem': '4G'}
    """
    factors = factors or {}
    hours = rule.hours(atoms) * calculations
    if calculations > 1 or hours < _SHORTEST:
        hours += _SHORTEST
    hours = min(hours * factors.get("wall_time", 1.0), max_hours)
    memory = rule.memory_of(atoms) * factors.get("memory", 1.0)
    return {"walltime": _clock(hours), "mem": _gigabytes(memory, max_memory)}


def larger_request(
    request: Mapping[str, object],
    factors: Mapping[str, float],
    *,
    max_hours: float,
    max_memory: float | None = None,
) -> dict[str, object]:
    """
    Ask a queue for more than before: the request times ``wall_time`` and ``memory``.

    Where no memory was asked for, it is a multiple of what an engine without a rule of
    its own asks for: nothing times two is nothing.

    Examples
    --------
    >>> larger_request({"walltime": "12:00:00", "mem": "4G"},
    ...                {"wall_time": 3, "memory": 2}, max_hours=24)
    {'walltime': '24:00:00', 'mem': '8G'}
    """
    changed = dict(request)
    time = _TIME.fullmatch(str(request.get("walltime", "")))
    if time is not None and "wall_time" in factors:
        hours = int(time["days"] or 0) * 24 + int(time["h"]) + int(time["m"]) / 60
        changed["walltime"] = _clock(min(hours * factors["wall_time"], max_hours))
    if "memory" not in factors:
        return changed
    asked = {key: _MEMORY.fullmatch(str(request.get(key, ""))) for key in _MEMORY_KEYS}
    for key, memory in asked.items():
        if memory is not None:
            size = float(memory["number"]) * factors["memory"]
            unit = memory["unit"] or "M"
            changed[key] = f"{_limited(size, unit, max_memory)}{memory['unit']}"
    if not any(asked.values()):
        size = queue_rule(_NO_ENGINE).memory * factors["memory"]
        changed["mem"] = _gigabytes(size, max_memory)
    return changed


def repeated_config(
    config: ManagerConfig,
    failed: Sequence[FailureClass],
    policy: FailurePolicy | None = None,
    *,
    known: int | None = None,
) -> ManagerConfig:
    """
    Return how FireWorks is told to run a job again after some failures.

    ``config``: how it was told when ``known`` of them were. Where no queue was asked
    nothing changes.

    Examples
    --------
    >>> from hts_battery.schemas.failure import FailureClass
    >>> before = {"_queueadapter": {"walltime": "02:00:00", "mem": "16G"}}
    >>> repeated_config(before, [FailureClass.OUT_OF_MEMORY])
    {'_queueadapter': {'walltime': '02:00:00', 'mem': '32G'}}
    """
    factors, request = added_factors(failed, policy, known=known), None
    if factors:
        request = config.get("_queueadapter")
    if not request:
        return config.copy()
    limits = config.get("queue_limits") or {}
    larger = larger_request(
        request,
        factors,
        max_hours=limits.get("max_hours", _LONGEST),
        max_memory=limits.get("max_memory"),
    )
    return {**config, "_queueadapter": larger}


def _clock(hours: float) -> str:
    minutes = max(1, round(hours * 60))
    return f"{minutes // 60:02d}:{minutes % 60:02d}:00"


def _gigabytes(memory: float, most: float | None) -> str:
    return f"{_limited(memory, 'G', most)}G"


def _limited(size: float, unit: str, most: float | None) -> int:
    """Return a whole amount of memory in a unit, at most so many GB."""
    whole = math.ceil(size)
    if most is not None:
        whole = min(whole, math.floor(most * _PER_GB[unit[0].upper()]))
    return max(1, whole)


def policy_factors(
    failed: Iterable[FailureClass], policy: FailurePolicy | None = None
) -> dict[str, float]:
    """
    Return by how much more is asked after failures, in order, by the failure policy.

    Examples
    --------
    >>> from hts_battery.schemas.failure import FailureClass
    >>> policy_factors([FailureClass.WALLTIME] * 3)
    {'wall_time': 2.0}
    """
    return largest_factors(remedies_of(failed, policy or known_policy()))


def added_factors(
    failed: Sequence[FailureClass],
    policy: FailurePolicy | None = None,
    *,
    known: int | None = None,
) -> dict[str, float]:
    """
    Return by how much some failures multiply a request, in which ``known`` are counted.

    Without a number it is the last of them that is not counted yet.

    Examples
    --------
    >>> from hts_battery.schemas.failure import FailureClass
    >>> memory = FailureClass.OUT_OF_MEMORY
    >>> added_factors([memory]), added_factors([memory, memory])
    ({'memory': 2.0}, {'memory': 2.0})
    >>> added_factors([memory, FailureClass.NODE])
    {}
    """
    after = policy_factors(failed, policy)
    before = policy_factors(failed[: -1 if known is None else known], policy)
    return {
        name: factor / before.get(name, 1.0)
        for name, factor in after.items()
        if factor > before.get(name, 1.0)
    }


def largest_request(
    engine: str,
    *,
    atoms: int | None,
    max_hours: float,
    max_memory: float | None = None,
) -> dict[str, str]:
    """
    Return the most that an engine may ask for, all remedies of the policy taken.

    Examples
    --------
    >>> largest_request("vasp-mp-gga", atoms=20, max_hours=24)
    {'walltime': '08:00:00', 'mem': '64G'}
    """
    remedies = (one for rule in known_policy().rules for one in rule.remedies)
    return queue_request(
        queue_rule(engine),
        atoms=atoms,
        max_hours=max_hours,
        max_memory=max_memory,
        factors=largest_factors(remedies),
    )


def is_tried_again(failed: Iterable[FailureClass]) -> bool:
    """
    Say whether the policy has a remedy for the last of some failures of one job.

    Examples
    --------
    >>> from hts_battery.schemas.failure import FailureClass
    >>> is_tried_again([FailureClass.NODE]), is_tried_again([FailureClass.UNKNOWN])
    (True, False)
    """
    classes = list(failed)
    if not classes:
        return False
    policy = known_policy()
    if len(classes) >= policy.max_attempts:
        return False
    return classes.count(classes[-1]) <= len(policy.rule(classes[-1]).remedies)

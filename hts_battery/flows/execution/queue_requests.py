"""What a queue is asked for: mode, size of chunks, time and memory, as data."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from hts_battery.flows.execution.failures import (
    known_policy,
    largest_factors,
    remedies_of,
)
from hts_battery.schemas.dispatch import QueueRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.schemas.failure import FailureClass

_SHORTEST = 0.25  # h: starting Python, the imports and the first checkout


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
    factors: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """
    Write what one queue job asks for as FireWorks' queue adapter takes it.

    The job makes some calculations one after another, within the hours that the worker
    allows; factors multiply ``wall_time`` and ``memory`` of the first request.

    Examples
    --------
    >>> queue_request(queue_rule("vasp-mp-gga"), atoms=40)
    {'walltime': '12:00:00'}
    >>> queue_request(queue_rule("chgnet"), atoms=40, calculations=20)
    {'walltime': '02:15:00', 'mem': '4G'}
    """
    factors = factors or {}
    hours = rule.hours(atoms) * calculations
    if calculations > 1 or hours < _SHORTEST:
        hours += _SHORTEST
    hours = min(hours * factors.get("wall_time", 1.0), max_hours)
    minutes = max(1, round(hours * 60))
    request: dict[str, str] = {"walltime": f"{minutes // 60:02d}:{minutes % 60:02d}:00"}
    if rule.memory is not None:
        request["mem"] = f"{round(rule.memory * factors.get('memory', 1.0))}G"
    return request


def policy_factors(failed: Iterable[FailureClass]) -> dict[str, float]:
    """
    Return by how much more is asked after failures, in order, by the failure policy.

    Examples
    --------
    >>> from hts_battery.schemas.failure import FailureClass
    >>> policy_factors([FailureClass.WALLTIME] * 3)
    {'wall_time': 2.0}
    """
    return largest_factors(remedies_of(failed, known_policy()))


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

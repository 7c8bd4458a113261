"""What the job store and the failures say of each calculation of a campaign."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.campaign import GateSpec

_STEPS = ("order", "prerelax", "gate", "relax", "static")
_FIELDS = (
    "uuid",
    "metadata.content_key",
    "metadata.step",
    "metadata.ordering_id",
    "metadata.final",
    "output.ordering_id",
    "output.output.energy",
)
_VERDICT = (
    "metadata.content_key",
    "completed_at",
    "output.verdict",
    "output.energy_above_hull_0k",
    "output.entropy",
)


@dataclass
class Calculated:
    """What is known of the calculation of one candidate."""

    orderings: tuple[str, ...] | None = None
    """Ids of its ordered cells; none before it was ordered."""
    prerelaxed: dict[str, str] = field(default_factory=dict)
    """Ordering id → job that pre-relaxed it."""
    verdict: Mapping[str, Any] | None = None
    """The newest verdict of the gate, as stored."""
    finished: set[str] = field(default_factory=set)
    """Ids of the orderings that have an energy."""
    failures: tuple[Mapping[str, Any], ...] = ()
    """What went wrong: step, ordering_id, error_class, error_message."""

    @property
    def failed(self) -> set[str]:
        """Ids of the orderings that failed and have no energy."""
        return {
            one["ordering_id"] for one in self.failures if one.get("ordering_id")
        } - self.finished

    @property
    def failed_as_a_whole(self) -> bool:
        """Whether what failed belongs to no single ordering."""
        return any(not one.get("ordering_id") for one in self.failures)

    @property
    def is_complete(self) -> bool:
        """Whether every ordering has an energy or a recorded failure."""
        return self.failed_as_a_whole or (
            self.orderings is not None
            and set(self.orderings) <= self.finished | self.failed
        )

    def is_gated(self, gate: GateSpec | None) -> bool:
        """
        Say whether the stored verdict keeps the candidate behind a gate.

        The verdict holds energy and entropy apart, so that another threshold or
        temperature in the campaign file is compared with what was computed before.
        """
        if gate is None or self.verdict is None or self.finished:
            return False
        above = self.verdict.get("energy_above_hull_0k")
        if above is None:
            return False
        at_temperature = above - gate.temperature * self.verdict["entropy"]
        return bool(at_temperature > gate.energy_above_hull)

    def gate_reason(self, gate: GateSpec) -> str:
        """Say by how much a gated candidate missed the gate."""
        verdict = self.verdict or {}
        value = verdict["energy_above_hull_0k"] - gate.temperature * verdict["entropy"]
        return (
            f"pre-relaxed E_hull({gate.temperature:g} K) = {1000 * value:.1f} meV/atom "
            f"is above the gate of {1000 * gate.energy_above_hull:.1f}"
        )

    def needs_work(
        self, gate: GateSpec | None, *, released: bool, retry_failed: bool
    ) -> bool:
        """Say whether anything of the candidate is still to be computed."""
        if retry_failed and self.failures:
            return True
        if self.is_complete:
            return False
        return released or not self.is_gated(gate)

    def done(self, *, retry_failed: bool) -> set[str]:
        """Return the orderings that another run leaves alone."""
        return set(self.finished) if retry_failed else self.finished | self.failed


def read_calculated(
    stores: Stores, keys: Iterable[str] | None = None
) -> dict[str, Calculated]:
    """
    Read what is known of calculations.

    Parameters
    ----------
    stores
        Open stores.
    keys
        Content keys asked for; all of the database if none are given.

    Returns
    -------
    dict[str, Calculated]
        By content key; one that nothing is known of is absent.
    """
    wanted = None if keys is None else list(keys)
    only = {} if wanted is None else {"metadata.content_key": {"$in": wanted}}
    found: dict[str, Calculated] = {}
    tasks = stores.tasks.query(
        {"metadata.step": {"$in": list(_STEPS)}, **only}, properties=list(_FIELDS)
    )
    for task in tasks:
        known = found.setdefault(task["metadata"]["content_key"], Calculated())
        _take(task, known)
    for task in stores.tasks.query(
        {"metadata.step": "gate", **only}, properties=list(_VERDICT)
    ):
        known = found[task["metadata"]["content_key"]]
        if known.verdict is None or known.verdict["at"] < task["completed_at"]:
            known.verdict = {**task["output"], "at": task["completed_at"]}
    for doc in stores.failures.query(
        {} if wanted is None else {"content_key": {"$in": wanted}}
    ):
        known = found.setdefault(doc["content_key"], Calculated())
        known.failures = tuple(doc.get("failures") or (doc,))
    return found


def _take(task: Mapping[str, Any], known: Calculated) -> None:
    """Note what one task says of its candidate."""
    metadata = task["metadata"]
    ordering = metadata.get("ordering_id")
    if metadata["step"] == "order":
        known.orderings = tuple(cell["ordering_id"] for cell in task["output"])
    elif metadata["step"] == "prerelax":
        known.prerelaxed[ordering] = task["uuid"]
    elif metadata.get("final") and _has_energy(task):
        known.finished.add(ordering)


def _has_energy(task: Mapping[str, Any]) -> bool:
    """Say whether a calculation came to an energy; a failed attempt stores none."""
    result = (task.get("output") or {}).get("output") or {}
    return result.get("energy") is not None

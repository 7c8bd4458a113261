"""What a job store and the recorded failures say of each calculation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.ordering_series import chosen, covers, joined, series_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import GateSpec

_FIELDS = (
    "uuid",
    "metadata.content_key",
    "metadata.step",
    "metadata.ordering_id",
    "metadata.asked",
    "metadata.final",
    "completed_at",
    "output.ordering_id",
    "output.method",
    "output.series",
    "output.verdict",
    "output.energies_per_atom",
    "output.energy_above_hull_0k",
    "output.entropy",
    "output.output.energy",
)
# Steps whose tasks tell whether a candidate is done. On the embedded server each task
# that is looked at costs a millisecond or two, whatever is asked of it.
_TELLING_STEPS = ("order", "gate", "relax", "static")
_BATCH = 100  # the embedded server compares every document with every key


@dataclass(frozen=True)
class _Ordered:
    """What one job that ordered a candidate said."""

    at: str
    asked: Mapping[str, int]
    """Method → orderings that were asked for."""
    series: Mapping[str, list[str]]


@dataclass
class Calculated:
    """
    What is known of the calculation of one candidate.

    As it is read, of every ordering that anybody asked for; :meth:`asked_for` leaves
    what one campaign asks for.
    """

    n_orderings: int | None = None
    """Number of ordered cells that are asked for; none before they were made."""
    ordered: list[_Ordered] = field(default_factory=list)
    """What the jobs said that ordered it."""
    prerelaxed: dict[str, str] = field(default_factory=dict)
    """Ordering id → job that pre-relaxed it; read for a single key only."""
    verdict: Mapping[str, Any] | None = None
    """The newest verdict of the gate, as stored."""
    finished: set[str] = field(default_factory=set)
    """Ids of the orderings that have an energy."""
    failures: tuple[Mapping[str, Any], ...] = ()
    """What went wrong: step, ordering_id, error_class, error_message."""

    def asked_for(self, wanted: Mapping[Any, int]) -> Calculated:
        """
        Leave the orderings that a campaign asks for.

        Parameters
        ----------
        wanted
            Method → number of orderings.
        """
        runs = sorted(self.ordered, key=lambda one: one.at)
        series = joined(one.series for one in runs)
        known = {name for names in series.values() for name in names}
        mine = set(chosen(series, wanted))
        enough = any(covers(one.asked, wanted) for one in runs)
        failures = tuple(
            one for one in self.failures if one.get("ordering_id") not in known - mine
        )
        found = replace(
            self,
            n_orderings=len(mine) if enough else None,
            finished={name for name in self.finished if name not in known - mine},
            failures=failures,
        )
        found.verdict = found.verdict_on(mine) if enough else None
        return found

    def verdict_on(self, names: Collection[str]) -> Mapping[str, Any] | None:
        """
        Return the verdict of the gate as it would be on some orderings alone.

        Parameters
        ----------
        names
            The orderings; none that was not pre-relaxed may be missing without a
            failure, or nothing can be said.
        """
        if self.verdict is None:
            return None
        energies = self.verdict.get("energies_per_atom") or {}
        some = [energies[name] for name in names if name in energies]
        if not some or any(n not in energies and n not in self.failed for n in names):
            return None
        above = self.verdict.get("energy_above_hull_0k")
        if above is None:
            return self.verdict
        # All cells of a candidate are of one composition, so of one point of the hull.
        return {
            **self.verdict,
            "energy_above_hull_0k": above + min(some) - min(energies.values()),
        }

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
            self.n_orderings is not None
            and len(self.finished | self.failed) >= self.n_orderings
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


def read_calculated(stores: Stores) -> dict[str, Calculated]:
    """
    Read what is known of every calculation in the database.

    Returns
    -------
    dict[str, Calculated]
        By content key; one that nothing is known of is absent.
    """
    found: dict[str, Calculated] = {}
    steps = {"metadata.step": {"$in": list(_TELLING_STEPS)}}
    for task in stores.tasks.query(steps, properties=list(_FIELDS)):
        key = task["metadata"]["content_key"]
        _take(task, found.setdefault(key, Calculated()))
    for doc in stores.failures.query():
        known = found.setdefault(doc["content_key"], Calculated())
        _add_failures(doc["failures"], known)
    return found


def read_one(stores: Stores, key: str) -> Calculated:
    """Read everything that is known of the calculation with one content key."""
    found = read_outputs(stores.tasks, key)
    for doc in stores.failures.query({"content_key": key}):
        _add_failures(doc["failures"], found)
    return found


def read_some(stores: Stores, keys: Sequence[str]) -> dict[str, Calculated]:
    """
    Read everything that is known of some calculations.

    Parameters
    ----------
    stores
        Open stores.
    keys
        Their content keys.

    Returns
    -------
    dict[str, Calculated]
        By content key; one that nothing is known of is absent.
    """
    found: dict[str, Calculated] = {}
    for start in range(0, len(keys), _BATCH):
        wanted = {"$in": list(keys[start : start + _BATCH])}
        for task in stores.tasks.query(
            {"metadata.content_key": wanted}, properties=list(_FIELDS)
        ):
            key = task["metadata"]["content_key"]
            _take(task, found.setdefault(key, Calculated()))
        for doc in stores.failures.query({"content_key": wanted}):
            known = found.setdefault(doc["content_key"], Calculated())
            _add_failures(doc["failures"], known)
    return found


def read_outputs(
    tasks: Store, key: str, failures: Sequence[Mapping[str, Any]] = ()
) -> Calculated:
    """
    Read what a store of outputs says of the calculation with one content key.

    Parameters
    ----------
    tasks
        Any store of outputs, that of a node without a database too.
    key
        The content key.
    failures
        What is known to have failed.
    """
    known = Calculated()
    # The key alone: a second condition would send the embedded server to its index.
    for task in tasks.query({"metadata.content_key": key}, properties=list(_FIELDS)):
        _take(task, known)
    _add_failures(failures, known)
    return known


def _add_failures(failures: Sequence[Mapping[str, Any]], known: Calculated) -> None:
    known.failures = tuple(failures)


def _take(task: Mapping[str, Any], known: Calculated) -> None:
    """Note what one task says of its candidate."""
    metadata = task["metadata"]
    if metadata["step"] == "order":
        series = series_of(task["output"])
        known.ordered.append(
            _Ordered(str(task["completed_at"]), metadata.get("asked") or {}, series)
        )
    elif metadata["step"] == "prerelax":
        known.prerelaxed[metadata["ordering_id"]] = task["uuid"]
    elif metadata["step"] == "gate":
        known.verdict = _later(known.verdict, task)
    elif metadata.get("final") and _has_energy(task):
        known.finished.add(metadata["ordering_id"])


def _later(known: Mapping[str, Any] | None, task: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the verdict on the most orderings, of those the newest."""
    new = {**task["output"], "at": task["completed_at"]}
    if known is None or _weight(new) > _weight(known):
        return new
    return dict(known)


def _weight(verdict: Mapping[str, Any]) -> tuple[int, str]:
    return len(verdict.get("energies_per_atom") or {}), str(verdict["at"])


def _has_energy(task: Mapping[str, Any]) -> bool:
    """Say whether a calculation came to an energy; a failed attempt stores none."""
    result = (task.get("output") or {}).get("output") or {}
    return result.get("energy") is not None

"""What a job store and the recorded failures say of each calculation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from hts_battery.schemas.dispatch import EndingKind, Unconverged
from hts_battery.schemas.structure import chosen, covers, joined, series_of
from hts_battery.thermo.estimates import energy_at_gate, passes_gate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.rows import (
        FailuresRow,
        StoredVerdictRow,
        TaskRow,
        VerdictRow,
    )

_FIELDS = (
    "uuid",
    "metadata.content_key",
    "metadata.step",
    "metadata.ordering_id",
    "metadata.part",
    "metadata.asked",
    "metadata.final",
    "metadata.steps",
    "completed_at",
    "output.ordering_id",
    "output.method",
    "output.series",
    "output.verdict",
    "output.energies_per_atom",
    "output.energy_above_hull_0k",
    "output.entropy",
    "output.output.energy",
    "output.state",
    "output.is_force_converged",
)
# Steps whose tasks decide whether a candidate is done. On the embedded server each task
# that is read costs a millisecond or two, whatever is asked of it.
_STATE_STEPS = ("order", "gate", "relax", "static", "result")
_BATCH = 100  # the embedded server compares every document with every key


@dataclass(frozen=True)
class _Ordered:
    """What one job that ordered a candidate said."""

    uuid: str
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
    parts: dict[str, str] = field(default_factory=dict)
    """Part → job that computed it, and whose output another run takes: the ordering id
    of a pre-relaxation, or what a recipe names; read for a single key only."""
    verdict: StoredVerdictRow | None = None
    """The newest verdict of the gate, as stored."""
    finished: set[str] = field(default_factory=set)
    """Ids of the orderings that have an energy."""
    converged: set[str] = field(default_factory=set)
    """Ids of those whose relaxation ended before its steps did."""
    unconverged: dict[str, Unconverged] = field(default_factory=dict)
    """Ordering id → relaxation that used up its steps; of several the longest."""
    failures: tuple[Mapping[str, object], ...] = ()
    """What went wrong: step, ordering_id, error_class, error_message."""

    def asked_for(self, wanted: Mapping[Any, int], steps: int) -> Calculated:
        """
        Leave the orderings that a campaign asks for.

        ``wanted``: method → number; where none are asked for there is one cell, and all
        that is known is of it. ``steps``: ionic steps that it allows: a relaxation that
        was allowed fewer and did not converge is not finished, and goes on.
        """
        if not wanted:
            return replace(self, n_orderings=1, unconverged={})
        series = self._series
        known = {name for names in series.values() for name in names}
        mine = set(chosen(series, wanted))
        enough = any(covers(one.asked, wanted) for one in self.ordered)
        others = known - mine
        going_on = {
            name: one
            for name, one in self.unconverged.items()
            if name not in self.converged | others and one.steps < steps
        }
        return replace(
            self,
            n_orderings=len(mine) if enough else None,
            finished=self.finished - others - going_on.keys(),
            unconverged=going_on,
            failures=tuple(
                one for one in self.failures if one.get("ordering_id") not in others
            ),
            verdict=self._verdict_on(mine) if enough else None,
        )

    def reusable(
        self, asked: Mapping[str, int], *, besides: str | None = None
    ) -> dict[str, str]:
        """
        Return the parts, and the job whose output is just the orderings asked for.

        ``besides``: job whose output is not taken.
        """
        mine = chosen(self._series, asked).keys()
        same = [
            one.uuid
            for one in self.ordered
            if one.asked == asked
            and one.uuid != besides
            # Another release of the search may have found others since.
            and mine == {name for names in one.series.values() for name in names}
        ]
        order = {"order": same[-1]} if same else {}
        return self.parts | order

    @property
    def _series(self) -> dict[str, list[str]]:
        """Method → its orderings in order, as the latest jobs found them."""
        runs = sorted(self.ordered, key=lambda one: one.at)
        return joined(one.series for one in runs)

    def _verdict_on(self, names: Collection[str]) -> StoredVerdictRow | None:
        """Return the gate's verdict on some orderings alone; none if one is missing."""
        if self.verdict is None:
            return None
        energies = self.verdict["energies_per_atom"]
        some = [energies[name] for name in names if name in energies]
        if not some or any(n not in energies and n not in self.failed for n in names):
            return None
        above = self.verdict["energy_above_hull_0k"]
        if above is None:
            return self.verdict
        # All cells of a candidate are of one composition, so of one point of the hull.
        lowest = above + min(some) - min(energies.values())
        return {**self.verdict, "energy_above_hull_0k": lowest}

    def note_unconverged(self, name: str, one: Unconverged) -> None:
        """Note a relaxation that used up its steps: the longest goes on."""
        self.finished.add(name)
        known = self.unconverged.get(name, one)
        self.unconverged[name] = max(known, one, key=lambda each: each.steps)

    @property
    def failed(self) -> set[str]:
        """Ids of the orderings that failed and have no energy."""
        return {
            str(one["ordering_id"]) for one in self.failures if one.get("ordering_id")
        } - self.finished

    @property
    def is_complete(self) -> bool:
        """Whether every ordering, or the whole, has an energy or a recorded failure."""
        return any(not one.get("ordering_id") for one in self.failures) or (
            self.n_orderings is not None
            and len(self.finished | self.failed) >= self.n_orderings
        )

    def ending(self, gate: GateSpec | None) -> EndingKind | None:
        """Say what came of it; without a gate, or released, nothing is gated."""
        if self.finished:
            return EndingKind.COMPUTED
        if self.failures:
            return EndingKind.FAILED
        return EndingKind.GATED if self.is_gated(gate) else None

    def is_gated(self, gate: GateSpec | None) -> bool:
        """Say whether the stored verdict keeps the candidate behind a gate."""
        if gate is None or self.finished or self.verdict is None:
            return False
        above = self.verdict["energy_above_hull_0k"]
        return above is not None and not passes_gate(
            above, self.verdict["entropy"], gate
        )

    def gate_reason(self, gate: GateSpec) -> str:
        """Say by how much a gated candidate missed the gate."""
        verdict = cast("VerdictRow", self.verdict)
        value = energy_at_gate(
            verdict["energy_above_hull_0k"], verdict["entropy"], gate
        )
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
    """Read what is known of each calculation, by content key; the others are absent."""
    tasks = cast("Iterator[TaskRow]", stores.tasks.every(_FIELDS))
    failures = stores.failures.every(("content_key", "failures"))
    return _collected(
        (one for one in tasks if _step(one) in _STATE_STEPS),
        cast("Iterator[FailuresRow]", failures),
    )


def _step(task: TaskRow) -> str | None:
    """Return the step of a task; None where whoever stored it named none."""
    return (task.get("metadata") or {}).get("step")


def read_some(stores: Stores, keys: Sequence[str]) -> dict[str, Calculated]:
    """Read as :func:`read_calculated` of some content keys, pre-relaxations too."""
    found: dict[str, Calculated] = {}
    for start in range(0, len(keys), _BATCH):
        wanted = {"$in": list(keys[start : start + _BATCH])}
        found |= _collected(
            _tasks(stores.tasks, {"metadata.content_key": wanted}),
            _failures(stores, {"content_key": wanted}),
        )
    return found


def _tasks(store: Store, criteria: Mapping[str, object]) -> Iterator[TaskRow]:
    found = store.query(dict(criteria), properties=list(_FIELDS))
    return cast("Iterator[TaskRow]", found)


def _failures(stores: Stores, criteria: Mapping[str, object]) -> Iterator[FailuresRow]:
    return cast("Iterator[FailuresRow]", stores.failures.query(dict(criteria)))


def read_one(stores: Stores, key: str) -> Calculated:
    """Read everything that is known of the calculation with one content key."""
    failures = stores.failures.query_one({"content_key": key})
    return read_outputs(stores.tasks, key, failures["failures"] if failures else ())


def read_outputs(
    tasks: Store, key: str, failures: Sequence[Mapping[str, object]] = ()
) -> Calculated:
    """
    Read what a store of outputs says of the calculation with one content key.

    Any store of outputs will do, that of a node without a database too.
    """
    # The key alone: a second condition would send the embedded server to its index.
    found = _tasks(tasks, {"metadata.content_key": key})
    return _collected(found, [{"content_key": key, "failures": failures}])[key]


def add_geometries(
    stores: Stores, calculations: Iterable[Calculated], steps: int
) -> None:
    """Read where relaxations go on that were allowed fewer ionic steps than these."""
    open_ones = {
        one.uuid: (known, name)
        for known in calculations
        for name, one in known.unconverged.items()
        if name not in known.converged and one.steps < steps
    }
    uuids = sorted(open_ones)
    for start in range(0, len(uuids), _BATCH):
        wanted = {"uuid": {"$in": uuids[start : start + _BATCH]}}
        for doc in stores.tasks.query(wanted, properties=["uuid", "output.structure"]):
            known, name = open_ones[doc["uuid"]]
            found = {"structure": doc["output"]["structure"]}
            known.unconverged[name] = known.unconverged[name].model_copy(update=found)


def store_failures(
    stores: Stores,
    key: str,
    candidate_id: str,
    failures: Sequence[Mapping[str, object]],
) -> None:
    """Write down all that failed of one calculation, in place of what stood there."""
    if not failures:
        stores.failures.remove_docs({"content_key": key})
        return
    first = {
        name: failures[0].get(name)
        for name in ("error_class", "error_message", "traceback")
    }
    stores.failures.update(
        {
            "content_key": key,
            "candidate_id": candidate_id,
            **first,
            "failures": [dict(one) for one in failures],
        },
        key="content_key",
    )


def released_ids(campaign_name: str, stores: Stores) -> set[str]:
    """Ids of the candidates that the operator lets pass the gate of a campaign."""
    wanted = {"released": True, "campaign": campaign_name}
    return {
        doc["candidate_id"]
        for doc in stores.members.query(wanted, properties=["candidate_id"])
    }


def _collected(
    tasks: Iterable[TaskRow], failures: Iterable[FailuresRow]
) -> dict[str, Calculated]:
    """Put together by content key what tasks and recorded failures say."""
    found: dict[str, Calculated] = {}
    for task in tasks:
        _take(task, found.setdefault(task["metadata"]["content_key"], Calculated()))
    for doc in failures:
        known = found.setdefault(doc["content_key"], Calculated())
        known.failures = tuple(doc["failures"])
    return found


def _take(task: TaskRow, known: Calculated) -> None:
    """Note what one task says of its candidate."""
    metadata, output = task["metadata"], task.get("output") or {}
    step = metadata["step"]
    if step == "order":
        at, asked = str(task["completed_at"]), metadata.get("asked") or {}
        series = series_of(task["output"])
        known.ordered.append(_Ordered(task["uuid"], at, asked, series))
    elif step == "prerelax":
        known.parts[metadata["ordering_id"]] = task["uuid"]
    elif step == "gate":
        new = cast("StoredVerdictRow", {**output, "at": str(task["completed_at"])})
        known.verdict = max(known.verdict or new, new, key=_precedence)
    elif metadata.get("final") and _has_energy(output):
        name = metadata["ordering_id"]
        if "steps" in metadata and not _converged(output):
            one = Unconverged(uuid=task["uuid"], steps=metadata["steps"])
            known.note_unconverged(name, one)
        else:
            known.finished.add(name)
            known.converged.add(name)
    elif step == "result":
        known.finished.add(metadata["ordering_id"])
    elif "part" in metadata and _has_energy(output):
        known.parts[metadata["part"]] = task["uuid"]


def _converged(output: Mapping[str, object]) -> bool:
    """Say whether a relaxation ended as it should, as far as its output says."""
    failed = output.get("state") == "failed"
    return not failed and output.get("is_force_converged") is not False


def _has_energy(output: Mapping[str, Any]) -> bool:
    """Say whether an attempt came to an energy; one that failed stores none."""
    return (output.get("output") or {}).get("energy") is not None


def _precedence(verdict: StoredVerdictRow) -> tuple[int, str]:
    """Order verdicts: that on the most orderings counts, of those the newest."""
    return len(verdict.get("energies_per_atom", ())), verdict["at"]

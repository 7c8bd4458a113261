"""Which of the tasks that computed the same counts: one, whatever happened."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import SharedMongoStore

ENERGY_STEPS = ("relax", "static")
TASK_FIELDS = (
    *("metadata.step", "uuid", "index", "metadata.order_uuid", "metadata.final"),
    *("metadata.calculation.engine", "metadata.content_key", "metadata.ordering_id"),
    *("output.state", "completed_at", "metadata.steps"),
)
"""Of a task, in the order of :class:`EnergyTask`."""
_SUCCEEDED = "successful"


@dataclass(frozen=True)
class EnergyTask:
    """What decides whether the energy of a task counts."""

    step: str
    uuid: str
    index: int | None
    order_uuid: str
    final: bool
    engine: str | None
    key: str | None
    ordering_id: str | None
    state: str | None
    completed_at: str | None
    steps: int | None
    """Ionic steps that it was allowed, those of the jobs that it goes on from too."""
    digest: str

    @classmethod
    def of(cls, fields: Sequence[Any], digest: str = "") -> Self:
        """Make one of the values of :data:`TASK_FIELDS`."""
        names = list(cls.__dataclass_fields__)[:-1]
        return cls(**dict(zip(names, fields, strict=True)), digest=digest)

    @property
    def calculation(self) -> tuple[object, ...]:
        """What it computed; of equal ones all but one are copies."""
        if self.key is None:
            return (self.uuid,)
        return self.key, self.step, self.ordering_id or self.order_uuid

    @property
    def succeeded(self) -> bool:
        """Whether it ended well, as far as its output has a word for that."""
        return self.state in {None, _SUCCEEDED}

    @property
    def preference(self) -> tuple[object, ...]:
        """Sorts copies: what succeeded, what was allowed more steps, what was first."""
        steps = 0 if self.succeeded else -(self.steps or 0)
        return not self.succeeded, steps, str(self.completed_at), self.uuid


def counted_once(tasks: Iterable[EnergyTask]) -> list[EnergyTask]:
    """
    Return one task of every calculation, in a stable order.

    Of one job the last attempt counts; of jobs that did the same twice, in whatever way
    that came about, the first that succeeded: nobody's spread is made of copies.
    """
    return [copies[0] for copies in _copies(tasks)]


def doubles(tasks: Iterable[EnergyTask]) -> list[list[EnergyTask]]:
    """Return what several jobs computed to the end, the task that counts first."""
    done = ([one for one in every if one.succeeded] for every in _copies(tasks))
    return [copies for copies in done if len(copies) > 1]


def _copies(tasks: Iterable[EnergyTask]) -> list[list[EnergyTask]]:
    newest: dict[str, EnergyTask] = {}
    for task in tasks:
        known = newest.get(task.uuid)
        is_newest = known is None or (known.index or 0) <= (task.index or 0)
        if is_newest and task.step in ENERGY_STEPS and task.final:
            newest[task.uuid] = task
    found: dict[tuple[object, ...], list[EnergyTask]] = defaultdict(list)
    for task in sorted(newest.values(), key=lambda one: one.preference):
        found[task.calculation].append(task)
    return list(found.values())


def read_energy_tasks(tasks: SharedMongoStore) -> Iterator[EnergyTask]:
    """Yield what decides of every task that has an energy."""
    for doc in tasks.every(TASK_FIELDS):
        if _value(doc, "metadata.step") in ENERGY_STEPS:
            yield EnergyTask.of([_value(doc, name) for name in TASK_FIELDS])


def _value(doc: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any document
    found: Any = doc
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found

"""
FireWorks' launchpad, which outlives outages.

Every operation on FireWorks' collections is tried again while the server is away, so
FireWorks itself, which gives a workflow up in the middle of an update, never sees a
short outage. A launch that ended in a long one is left on disk and told later
(:mod:`hts_battery.connections.records.launch_files`). Locks of workflows say who took
them and when, so that one whose holder was killed can be told from one that is held.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fireworks import LaunchPad
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import may_pass, redact
from hts_battery.connections.database.retries import RetryPolicy, allocation_end
from hts_battery.connections.records.launch_files import leave_action, remove_action
from hts_battery.errors import DatabaseOutageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fireworks import FWAction, Workflow
    from pymongo.collection import Collection
    from pymongo.cursor import Cursor

    Document = dict[str, object]

# Each comes to the same when it is done twice: FireWorks writes by its own numbers.
_REPEATABLE = frozenset(
    (
        *("find_one", "find_one_and_update", "find_one_and_replace"),
        *("update_one", "update_many", "replace_one", "delete_one", "delete_many"),
        *("count_documents", "create_index", "distinct", "index_information"),
    )
)
OUTAGE_SECONDS = 300.0
"""How long one outage is waited for where nobody says otherwise."""
COUNTERS = {"next_fw_id": 1, "next_launch_id": 1}
"""The document from which FireWorks takes its numbers, as it is at the start."""
_LOCKED = "locked"
_TAKE, _GIVE_BACK = {"$set": {_LOCKED: True}}, {"$unset": {_LOCKED: True}}


class _RetryingCursor:
    """The answer to a query: read at once, and again if the server goes away."""

    def __init__(self, cursor: Cursor[Document], retries: RetryPolicy) -> None:
        self._cursor, self._retries = cursor, retries

    def __iter__(self) -> Iterator[Document]:
        return iter(self._retries.attempt(lambda: list(self._cursor.clone())))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a cursor has
        return getattr(self._cursor, name)


class RetryingCollection:
    """A collection of FireWorks whose operations wait for a server that is away."""

    def __init__(self, collection: Collection[Document], retries: RetryPolicy) -> None:
        self._collection, self._retries = collection, retries

    def find(self, *args: Any, **kwargs: Any) -> _RetryingCursor:  # noqa: ANN401 - pymongo's
        """Query as pymongo does."""
        return _RetryingCursor(self._collection.find(*args, **kwargs), self._retries)

    def insert_one(self, document: Document) -> None:
        """Insert a document, once however often it is tried."""
        self.insert_many([document])

    def insert_many(self, documents: Iterable[Document]) -> None:
        """Insert documents, each once however often it is tried."""
        todo = list(documents)
        tried = False

        def insert() -> None:
            nonlocal todo, tried
            if tried:  # the answer was lost, or what came before it
                ids = [one["_id"] for one in todo if "_id" in one]
                there = self._collection.find({"_id": {"$in": ids}}, {"_id": 1})
                known = {one["_id"] for one in there}
                todo = [one for one in todo if one.get("_id") not in known]
            tried = True
            if todo:
                self._collection.insert_many(todo)

        self._retries.attempt(insert)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else it has
        found = getattr(self._collection, name)
        if name not in _REPEATABLE:
            return found

        def retried(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - pymongo's
            return self._retries.attempt(lambda: found(*args, **kwargs))

        return retried


class _LockingWorkflows(RetryingCollection):
    """
    The workflows, whose locks say who took them and when.

    FireWorks only looks whether there is a lock, so its own commands heed these.
    """

    def __init__(self, collection: Collection[Document], retries: RetryPolicy) -> None:
        super().__init__(collection, retries)
        self._by = uuid.uuid4().hex

    def find_one_and_update(
        self,
        criteria: Document,
        update: Document,
        **kwargs: Any,  # noqa: ANN401 - pymongo's
    ) -> Document | None:
        """Take a lock, give it back, or update as pymongo does."""
        write = self._collection.find_one_and_update
        if update == _GIVE_BACK:
            # Somebody may have broken it and others taken it since: that stays theirs.
            criteria = {**criteria, f"{_LOCKED}.by": self._by}
        if update != _TAKE:
            return self._retries.attempt(lambda: write(criteria, update, **kwargs))
        lock = {"$set": {_LOCKED: self._lock()}}
        found = self._retries.attempt(lambda: write(criteria, lock, **kwargs))
        if found is None:  # it is somebody's, or ours and the answer was lost
            mine = {"nodes": criteria["nodes"], f"{_LOCKED}.by": self._by}
            found = self._retries.attempt(lambda: self._collection.find_one(mine))
        return found

    def find_one_and_replace(
        self,
        criteria: Document,
        document: Document,
        **kwargs: Any,  # noqa: ANN401 - pymongo's
    ) -> Document | None:
        """Replace a workflow; a lock in it stays this launchpad's."""
        if document.get(_LOCKED) is True:
            document = {**document, _LOCKED: self._lock()}
        write = self._collection.find_one_and_replace
        return self._retries.attempt(lambda: write(criteria, document, **kwargs))

    def _lock(self) -> Document:
        return {"by": self._by, "since": datetime.now(UTC)}


class _ExactCounters:
    """
    FireWorks' counters, where no number is given out twice.

    FireWorks increments a counter and takes the number from the document as it was
    *before*. The embedded server reads that document ahead of the atomic update, so two
    processes at once can see the same number (4 of 40 tries with four processes); the
    document *after* the update is right. A MongoDB server gives the same answer either
    way.
    """

    def __init__(self, collection: Collection[dict[str, int]]) -> None:
        self._collection = collection

    def find_one_and_update(
        self, criteria: Document, update: dict[str, dict[str, int]]
    ) -> dict[str, int] | None:
        """Increment, and return the counters as they were before."""
        after = self._collection.find_one_and_update(
            criteria, update, return_document=ReturnDocument.AFTER
        )
        if after is None:
            return None
        return {name: after[name] - update["$inc"].get(name, 0) for name in COUNTERS}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a collection has
        return getattr(self._collection, name)


class ExactLaunchPad(LaunchPad):
    """
    A launchpad that waits out an outage, and keeps on disk what a longer one left.

    Its ids are unique on the embedded server too: whatever launches rockets from
    several processes there must use it, because FireWorks' own would let two rockets
    share a launch. One outage is waited for ``outage_seconds``; the end of the queue
    job ends it earlier.
    """

    fireworks: Any
    launches: Any
    workflows: Any
    offline_runs: Any
    fw_id_assigner: Any

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - those of LaunchPad
        outage_seconds: float = OUTAGE_SECONDS,
        **kwargs: Any,  # noqa: ANN401 - likewise
    ) -> None:
        super().__init__(*args, **kwargs)
        self._retries = RetryPolicy(outage_seconds, end=allocation_end())
        self._untold: dict[int, tuple[FWAction | None, str]] = {}
        for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner"):
            collection = RetryingCollection(getattr(self, name), self._retries)
            setattr(self, name, collection)
        self.workflows = _LockingWorkflows(self.workflows, self._retries)
        self.fw_id_assigner = _ExactCounters(self.fw_id_assigner)

    def ping_launch(
        self,
        launch_id: int,
        ptime: datetime | None = None,
        checkpoint: Document | None = None,
    ) -> None:
        """Say that a launch is alive; one ping that does not get through is no harm."""
        with self._retries.suspended():
            try:
                super().ping_launch(launch_id, ptime=ptime, checkpoint=checkpoint)
            except PyMongoError as err:
                if not may_pass(err):
                    raise

    def complete_launch(
        self, launch_id: int, action: FWAction | None = None, state: str = "COMPLETED"
    ) -> Document:
        """
        Say how a launch ended; leave it on disk where the launchpad cannot be told.

        Raises
        ------
        DatabaseOutageError
            If it could not be told; says where it is kept.
        """
        # FireWorks takes an error here for the job's own and would call it failed.
        action, state = self._untold.get(launch_id, (action, state))
        folder = Path.cwd()
        try:
            told: Document = super().complete_launch(  # type: ignore[no-untyped-call]
                launch_id, action, state
            )
        except (PyMongoError, RuntimeError) as err:
            if not may_pass(err):
                raise
            self._untold[launch_id] = (action, state)
            path = leave_action(folder, launch_id, action, state)
            raise DatabaseOutageError(
                f"launchpad {redact(str(self.host))} is away: launch {launch_id} is "
                f"{state}, which is kept as {path} and told by `hts launchpad recover`"
            ) from None
        if self._untold.pop(launch_id, None) is not None:
            remove_action(folder)
        return told

    def restore_backup_data(self, launch_id: int, fw_id: int) -> None:
        """Put a launch back to its start, unless it has ended and cannot be told."""
        if launch_id not in self._untold:
            super().restore_backup_data(launch_id, fw_id)

    def bulk_add_wfs(self, wfs: Sequence[Workflow]) -> None:
        """Insert workflows at once; as FireWorks does, without its progress bar."""
        self.insert_numbered(wfs, self.reserve(sum(len(one) for one in wfs)))

    def reserve(self, count: int) -> range:
        """Take numbers for some Fireworks; nobody else gets them."""
        first: int = self.get_new_fw_id(quantity=count)  # type: ignore[no-untyped-call]
        return range(first, first + count)

    def insert_numbered(self, wfs: Sequence[Workflow], numbers: Iterable[int]) -> None:
        """Insert workflows at once, with numbers that were reserved for them."""
        left = iter(numbers)
        for workflow in wfs:
            new = {old: next(left) for old in workflow.id_fw}
            for firework in workflow:
                firework.fw_id = new[firework.fw_id]
            workflow._reassign_ids(new)  # noqa: SLF001 - FireWorks' own way to do it
            for root in workflow.root_fw_ids:
                workflow.id_fw[root].state = "READY"
                workflow.fw_states[root] = "READY"
        # Workflows first: a Firework that is there may be checked out at once. There is
        # no transaction, see launchpad.changes.remove_orphans.
        self.workflows.insert_many([workflow.to_db_dict() for workflow in wfs])
        self.fireworks.insert_many(
            [firework.to_db_dict() for workflow in wfs for firework in workflow]
        )

    @classmethod
    def from_dict(cls, d: Document) -> Self:  # type: ignore[override] # untyped there
        """Read what a my_launchpad.yaml holds."""
        return cls(**d)

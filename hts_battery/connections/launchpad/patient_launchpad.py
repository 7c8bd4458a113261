"""
FireWorks' launchpad, which outlives outages.

Every operation on FireWorks' collections is tried again while the server is away, so
FireWorks itself, which gives a workflow up in the middle of an update, never sees a
short outage. A launch that ended in a long one is left on disk and told later
(:mod:`hts_battery.connections.records.launch_ends`). Locks of workflows say who took
them and when, so that one whose holder was killed can be told from one that is held.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fireworks import LaunchPad
from pymongo.errors import PyMongoError

from hts_battery.connections.database.clients import may_pass, redact
from hts_battery.connections.database.retries import Patience, allocation_end
from hts_battery.connections.records.launch_ends import leave_action, remove_action
from hts_battery.errors import DatabaseOutageError
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fireworks import FWAction
    from pymongo.collection import Collection
    from pymongo.cursor import Cursor

    Document = dict[str, Any]

# Each comes to the same when it is done twice: FireWorks writes by its own numbers.
_REPEATABLE = frozenset(
    (
        *("find_one", "find_one_and_update", "find_one_and_replace"),
        *("update_one", "update_many", "replace_one", "delete_one", "delete_many"),
        *("count_documents", "create_index", "distinct", "index_information"),
    )
)
_LOCKED = "locked"
_TAKE, _GIVE_BACK = {"$set": {_LOCKED: True}}, {"$unset": {_LOCKED: True}}


class _PatientCursor:
    """The answer to a query: read at once, and again if the server goes away."""

    def __init__(self, cursor: Cursor[Document], patience: Patience) -> None:
        self._cursor, self._patience = cursor, patience

    def __iter__(self) -> Iterator[Document]:
        return iter(self._patience.attempt(lambda: list(self._cursor.clone())))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a cursor has
        return getattr(self._cursor, name)


class PatientCollection:
    """
    A collection of FireWorks whose operations wait for a server that is away.

    Parameters
    ----------
    collection
        The collection.
    patience
        How long they wait.
    """

    def __init__(self, collection: Collection[Document], patience: Patience) -> None:
        self._collection, self._patience = collection, patience

    def find(self, *args: Any, **kwargs: Any) -> _PatientCursor:  # noqa: ANN401 - pymongo's
        """Query as pymongo does."""
        return _PatientCursor(self._collection.find(*args, **kwargs), self._patience)

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

        self._patience.attempt(insert)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else it has
        found = getattr(self._collection, name)
        if name not in _REPEATABLE:
            return found

        def patient(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - pymongo's
            return self._patience.attempt(lambda: found(*args, **kwargs))

        return patient


class _LockingWorkflows(PatientCollection):
    """
    The workflows, whose locks say who took them and when.

    FireWorks only looks whether there is a lock, so its own commands heed these.
    """

    def __init__(self, collection: Collection[Document], patience: Patience) -> None:
        super().__init__(collection, patience)
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
            return self._patience.attempt(lambda: write(criteria, update, **kwargs))
        lock = {"$set": {_LOCKED: self._lock()}}
        found = self._patience.attempt(lambda: write(criteria, lock, **kwargs))
        if found is None:  # it is somebody's, or ours and the answer was lost
            mine = {"nodes": criteria["nodes"], f"{_LOCKED}.by": self._by}
            found = self._patience.attempt(lambda: self._collection.find_one(mine))
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
        return self._patience.attempt(lambda: write(criteria, document, **kwargs))

    def _lock(self) -> Document:
        return {"by": self._by, "since": datetime.now(UTC)}


class PatientLaunchPad(LaunchPad):
    """
    A launchpad that waits out an outage, and keeps on disk what a longer one left.

    How long is the setting ``outage_patience``; the end of the queue job ends it
    earlier.
    """

    fireworks: Any
    launches: Any
    workflows: Any
    offline_runs: Any
    fw_id_assigner: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of LaunchPad
        super().__init__(*args, **kwargs)
        self._patience = Patience(get_settings().outage_patience, end=allocation_end())
        self._untold: dict[int, tuple[FWAction | None, str]] = {}
        for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner"):
            collection = PatientCollection(getattr(self, name), self._patience)
            setattr(self, name, collection)
        self.workflows = _LockingWorkflows(self.workflows, self._patience)

    def ping_launch(
        self,
        launch_id: int,
        ptime: datetime | None = None,
        checkpoint: Document | None = None,
    ) -> None:
        """Say that a launch is alive; one ping that does not get through is no harm."""
        with self._patience.suspended():
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

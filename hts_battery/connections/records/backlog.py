"""The backlog of a campaign: read whole, changed in memory, written block by block."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from hts_battery.connections.database.clients import translated_errors
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.records.stored_documents import read_stored
from hts_battery.errors import BusyError, StoreError, UnreadableDocumentError
from hts_battery.schemas.dispatch import (
    BLOCK_SIZE,
    BacklogBlock,
    BacklogItem,
    EndingKind,
    Hold,
    Submission,
)
from hts_battery.schemas.structure import covers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.structure import OrderingMethod

logger = logging.getLogger(__name__)

LEASE = "dispatch"
"""The lock under which submissions, backlog and launchpad are written."""
LOCK_PATIENCE = 120.0
"""How long in s a command waits for the lock: longer than a look of a feeder takes."""
_POLL_SECONDS = 0.5


class Backlog:
    """The candidates of one submission in sending order, and what came of each."""

    def __init__(
        self, stores: Stores, campaign: str, blocks: Sequence[BacklogBlock]
    ) -> None:
        self._stores = stores
        self._campaign = campaign
        self._revisions = [block.revision for block in blocks]
        self._rows = [list(block.items) for block in blocks]
        self._places = {
            item.content_key: (row, column)
            for row, items in enumerate(self._rows)
            for column, item in enumerate(items)
        }
        self._changed: set[int] = set()

    @classmethod
    def read(cls, stores: Stores, campaign: str) -> Backlog:
        """Read every block of a campaign."""
        return cls(stores, campaign, read_blocks(stores, campaign))

    @property
    def items(self) -> Iterator[BacklogItem]:
        """Every candidate, in sending order."""
        for row in self._rows:
            yield from row

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> BacklogItem:
        row, column = self._places[key]
        return self._rows[row][column]

    def put(self, item: BacklogItem) -> None:
        """Put a candidate in its own place; written with the next :meth:`save`."""
        row, column = self._places[item.content_key]
        self._rows[row][column] = item
        self._changed.add(row)

    def change(self, key: str, **values: object) -> None:
        """Change fields of a candidate; written with the next :meth:`save`."""
        self.put(self[key].model_copy(update=values))

    def append(self, items: Iterable[BacklogItem]) -> None:
        """Add candidates that are sent after all others."""
        for item in items:
            if not self._rows or len(self._rows[-1]) == BLOCK_SIZE:
                self._rows.append([])
                self._revisions.append(0)
            row = len(self._rows) - 1
            self._places[item.content_key] = (row, len(self._rows[row]))
            self._rows[row].append(item)
            self._changed.add(row)

    def save(self, lease: Lease) -> None:
        """
        Write the blocks that changed.

        Raises
        ------
        StoreError
            If somebody else wrote one of them, or holds the lock by now.
        """
        collection = self._stores.backlog.collection
        for row in sorted(self._changed):
            lease.check()
            block = BacklogBlock(
                campaign=self._campaign,
                block=row,
                revision=self._revisions[row] + 1,
                items=tuple(self._rows[row]),
            )
            place = {"campaign": self._campaign, "block": row}
            with translated_errors(
                self._stores.database.uri, f"writing block {row} of {self._campaign}"
            ):
                if self._revisions[row] == 0:
                    # A second block of this number breaks the unique index.
                    collection.insert_one(block.model_dump(mode="json"))
                else:
                    done = collection.replace_one(
                        {**place, "revision": self._revisions[row]},
                        block.model_dump(mode="json"),
                    )
                    if not done.matched_count:
                        raise StoreError(
                            f"block {row} of {self._campaign} was changed by another "
                            "process meanwhile: nothing of it is overwritten; run the "
                            "same command again"
                        )
            self._revisions[row] += 1
            self._changed.discard(row)


def read_blocks(stores: Stores, campaign: str) -> list[BacklogBlock]:
    """
    Read the blocks of a campaign, in order.

    Raises
    ------
    UnreadableDocumentError
        If one of them is broken.
    """
    found = (
        read_stored(BacklogBlock, doc, f"block {doc.get('block')} of {campaign}")
        for doc in stores.backlog.query({"campaign": campaign})
    )
    return sorted(found, key=lambda block: block.block)


def _items(
    stores: Stores, criteria: Mapping[str, object]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """
    Yield campaign and candidates of other backlogs as they are stored.

    What another campaign cannot read of its own is its matter: here it is passed over.
    """
    for doc in stores.backlog.query(dict(criteria)):
        for item in doc.get("items") or ():
            if isinstance(item, dict) and item.get("content_key"):
                yield str(doc.get("campaign")), item


def keys_in_hand(
    stores: Stores, wanted: Mapping[OrderingMethod, int], steps: int, *, besides: str
) -> set[str]:
    """
    Return the content keys of which other campaigns are about to compute enough.

    A campaign that asks for fewer orderings of a method than are wanted, or for fewer
    ionic ``steps``, is left out.
    """
    enough = [
        doc["name"]
        for doc in stores.campaigns.query(
            properties=["name", "spec.structure.n_orderings", "spec.relaxation.steps"]
        )
        if covers(_orderings(doc), wanted) and _steps(doc) >= steps
    ]
    cancelled = set(
        stores.submissions.distinct("campaign", {"hold": Hold.CANCELLED.value})
    )
    return {
        item["content_key"]
        for campaign, item in _items(
            stores, {"campaign": {"$in": enough, "$ne": besides}}
        )
        if item.get("ending") is None
        and (
            item.get("dispatch_id") is None
            or (
                covers(item.get("asked") or {}, wanted)
                and (item.get("asked_steps") or 0) >= steps
            )
        )
        and (item.get("dispatch_id") is not None or campaign not in cancelled)
    }


def _orderings(doc: Mapping[str, Any]) -> Mapping[Any, int]:
    """Return how many orderings a stored campaign asks for; none if it is broken."""
    structure = (doc.get("spec") or {}).get("structure") or {}
    return structure.get("n_orderings") or {}


def _steps(doc: Mapping[str, Any]) -> int:
    """Return how many ionic steps a stored campaign allows; 0 if it is broken."""
    relaxation = (doc.get("spec") or {}).get("relaxation") or {}
    return relaxation.get("steps") or 0


def keys_sent(stores: Stores, *, besides: str | None = None) -> set[str]:
    """Return the content keys that are in the launchpad, or in a queue, now."""
    criteria = {} if besides is None else {"campaign": {"$ne": besides}}
    return {
        item["content_key"]
        for _, item in _items(stores, criteria)
        if item.get("dispatch_id") is not None and item.get("ending") is None
    }


def read_submissions(
    stores: Stores,
    campaigns: Iterable[str] | None = None,
    *,
    problem: Callable[[str, str], None] | None = None,
) -> list[Submission]:
    """
    Read the submissions of some campaigns, or all, in the order of their names.

    Parameters
    ----------
    stores, campaigns
        Open stores, and the names; all if none.
    problem
        Told campaign and reason of one that cannot be read, which is then left out.

    Raises
    ------
    UnreadableDocumentError
        If one cannot be read, and nobody is to be told.
    """
    wanted = None if campaigns is None else set(campaigns)
    found = []
    for doc in stores.submissions.query():
        name = str(doc.get("campaign"))
        if wanted is not None and name not in wanted:
            continue
        try:
            found.append(read_stored(Submission, doc, f"the submission of {name}"))
        except UnreadableDocumentError as err:
            if problem is None:
                raise
            problem(name, str(err))
    return sorted(found, key=lambda submission: submission.campaign)


def read_submission(stores: Stores, campaign: str) -> Submission | None:
    """Read the submission of a campaign, if it has one."""
    doc = stores.submissions.query_one({"campaign": campaign})
    if doc is None:
        return None
    return read_stored(Submission, doc, f"the submission of {campaign}")


def write_submission(stores: Stores, submission: Submission, lease: Lease) -> None:
    """Write how a campaign is sent, in place of what stood there."""
    lease.check()
    stores.submissions.update(submission.model_dump(mode="json"), key="campaign")


def reopened(item: BacklogItem, *, retry: bool) -> BacklogItem:
    """Return a candidate as it waits once more, with its last ending among earlier."""
    earlier = item.earlier
    ending = item.ending
    if ending is not None and (
        ending.kind is not EndingKind.CANCELLED or ending.launches
    ):
        earlier = (*earlier, ending)
    return item.model_copy(
        update={
            "dispatch_id": None,
            "fw_id": None,
            "retry": retry,
            "ending": None,
            "earlier": earlier,
        }
    )


@contextmanager
def dispatching(
    stores: Stores, holder: str, *, patience: float = LOCK_PATIENCE
) -> Iterator[Lease]:
    """
    Hold the lock of dispatch while a block runs; wait for it ``patience`` s at most.

    Nobody waits for a process that is stopped: it may stay so for days.

    Raises
    ------
    BusyError
        If another process holds the lock, and did for all that time.
    """
    with ExitStack() as stack:
        end: float | None = None
        while True:
            try:
                lease = stack.enter_context(exclusive(stores, LEASE, holder=holder))
                break
            except BusyError as err:
                now = time.monotonic()
                if err.is_stopped or patience <= 0:
                    raise
                if end is None:
                    end = now + patience
                    logger.warning("%s (at most %.0f s)", err, patience)
                elif now >= end:
                    raise BusyError(
                        f"{err}: waited {patience:.0f} s, nothing was done; try again"
                    ) from None
                time.sleep(min(_POLL_SECONDS, max(0.0, end - now)))
        yield lease

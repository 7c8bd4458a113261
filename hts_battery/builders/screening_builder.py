"""What the builders share: skipping what is unchanged, removing what is gone."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, NotRequired, TypedDict
from uuid import uuid4
from zlib import crc32

from maggma.core import Builder

from hts_battery.connections.database.content_digests import (
    query_values,
    write_documents,
)
from hts_battery.schemas.build import BuildReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.schemas.base import Document
    from hts_battery.schemas.summary_table import TableHead

BATCH_SIZE = 250
_BATCHES_IN_FLIGHT = 4


class Made(TypedDict):
    """What one batch became: stored documents of each target, and how many failed."""

    documents: list[dict[str, object]]
    failed: int
    number: NotRequired[str]
    changes: NotRequired[list[dict[str, object]]]
    head: NotRequired[TableHead]


class Options(TypedDict, total=False):
    """What a caller may ask of any builder, by name."""

    batch_size: int
    """Documents made and written together; one item of the builder."""
    shard: Sequence[int]
    """Number of this worker and how many there are; one for all by default."""
    retry_failed: bool
    """Whether failures are tried again though nothing changed."""
    run_id: str | None
    """Run to which changes are attributed; a new one if not given."""


def input_digest(*inputs: object, code_version: str = "") -> str:
    """
    Digest everything a document is made from.

    ``inputs``: documents, digests and options; anything JSON can hold, other values by
    their text. ``code_version``: of the builder that makes it. Returns: 24 hexadecimal
    digits; the same for the same content in any key order.

    Examples
    --------
    >>> input_digest({"a": 1, "b": 2}) == input_digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps([code_version, inputs], sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:24]


def shard_of(name: str, shards: int) -> int:
    """
    Say which of several workers makes a document; the same on every machine.

    Examples
    --------
    >>> {shard_of(name, 2) for name in ("a", "b", "c", "d")}
    {0, 1}
    """
    return crc32(name.encode()) % shards


def new_run_id() -> str:
    """Make the id of a run; later runs have greater ids."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3] + f"-{uuid4().hex[:5]}"


class ScreeningBuilder(Builder):
    """
    A builder that compares digests of contents instead of dates.

    A document is made again when, and only when, the digest stored in it differs from
    the digest of its inputs now: late, edited and repeated inputs are all seen.
    Documents whose inputs are gone are removed. One item is a batch of documents, so
    that a pool of processes is handed work that is worth its transport.

    ``targets``: the first of them holds the documents. ``key``: fields that identify a
    document of it within the ``scope``, the criteria of those that this builder is
    responsible for.
    """

    code_version: ClassVar[str]
    """Raised when this builder makes another document from the same input."""

    def __init__(
        self,
        sources: Sequence[Store],
        targets: Sequence[Store],
        *,
        key: Sequence[str],
        scope: Mapping[str, object] | None = None,
        options: Options,
    ) -> None:
        super().__init__(list(sources), list(targets), chunk_size=_BATCHES_IN_FLIGHT)
        self.target = targets[0]
        self.key = list(key)
        self.scope = dict(scope or {})
        self.kwargs = dict(options)  # by this name monty serialises them
        self.batch_size = options.get("batch_size", BATCH_SIZE)
        self.shard = tuple(options.get("shard", (0, 1)))
        self.retry_failed = options.get("retry_failed", False)
        self.run_id = options.get("run_id")
        self._run_id = self.run_id or new_run_id()
        self.read = self.written = self.failed = self.unchanged = self.removed = 0
        self.unmade = 0
        self.stored: set[tuple[Any, ...]] = set()
        self._digests: list[str] = []
        self.before_write: Callable[[], None] | None = None
        self.settled: Callable[[str], bool] | None = None

    def prechunk(self, number_splits: int) -> Iterator[dict[str, object]]:
        """Yield what differs between the workers of a distributed build."""
        for number in range(number_splits):
            yield {"shard": [number, number_splits], "run_id": self._run_id}

    def mine(self, name: str) -> bool:
        """Say whether a document is this worker's."""
        return shard_of(name, self.shard[1]) == self.shard[0]

    def stored_digests(self, store: Store) -> dict[str, str]:
        """Read the digest that each of this worker's candidates has in a store."""
        fields = ["candidate_id", "input_digest"]
        return {
            doc["candidate_id"]: doc["input_digest"]
            for doc in store.query(self.scope, properties=fields)
            if self.mine(doc["candidate_id"])
        }

    def knows(self, *values: object) -> None:
        """Remember that a document of the scope with these values of the key exists."""
        self.stored.add((*self.scope.values(), *values))

    def saw(self, digest: str) -> None:
        """Count an input, changed or not."""
        self.read += 1
        self._digests.append(digest)

    def digest(self, *inputs: object) -> str:
        """Digest what a document is made from, this builder's code included."""
        return input_digest(*inputs, code_version=self.code_version)

    @property
    def inputs_digest(self) -> str:
        """Digest of all inputs of this run, in any order."""
        return self.digest(sorted(self._digests))

    def batches(self, names: Iterable[str]) -> Iterator[list[str]]:
        """Cut names into sorted batches."""
        ordered = sorted(names)
        for start in range(0, len(ordered), self.batch_size):
            yield ordered[start : start + self.batch_size]

    def remove(self, field: str, names: Iterable[str], **others: object) -> None:
        """Remove documents of the scope by one field; equality of others beside it."""
        gone = sorted(names)
        criteria = {**self.scope, **others}
        for start in range(0, len(gone), self.batch_size):
            self._about_to_write()
            part = gone[start : start + self.batch_size]
            self.target.remove_docs({**criteria, field: {"$in": part}})
        self.removed += len(gone)

    def update_targets(self, items: list[Made]) -> None:
        """Write what :meth:`process_item` returned, the history first."""
        self._about_to_write()
        self.write_history(items)
        docs = [doc for item in items for doc in item["documents"]]
        if docs:
            # Without the scope, documents of another builder would be replaced.
            key = [*self.scope, *self.key]
            write_documents(self.target, docs, key, known=self.stored)
        self.written += len(docs)
        self.failed += sum(item["failed"] for item in items)

    def write_history(self, items: list[Made]) -> None:
        """Write what must be known before documents are overwritten: nothing here."""

    def _about_to_write(self) -> None:
        if self.before_write is not None:
            self.before_write()

    def report(self, seconds: float) -> BuildReport:
        """Return the counts of a run that took that many seconds."""
        names = BuildReport.model_fields.keys() - {"seconds", "skipped"}
        counts = {name: getattr(self, name) for name in names}
        return BuildReport(**counts, seconds=seconds)


def by_key(
    store: Store, names: Sequence[str], field: str, *, criteria: Mapping[str, object]
) -> dict[str, list[Any]]:
    """Read whole documents of a batch, grouped by one field; the caller types them."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for doc in query_values(store, field, names, criteria=criteria):
        doc.pop("_id", None)
        groups[doc[field]].append(doc)
    return groups


def dumped(documents: Iterable[Document]) -> list[dict[str, object]]:
    """Turn documents into what is stored."""
    return [document.model_dump(mode="json") for document in documents]


def run_builder(
    builder: ScreeningBuilder, *, before_write: Callable[[], None] | None = None
) -> BuildReport:
    """
    Run a builder in this process and count.

    maggma's own ``Builder.run`` closes the stores and configures logging behind the
    caller's back; everything else is the same three verbs. ``before_write`` is called
    before each write and raises where nothing may be written any more.
    """
    start = time.perf_counter()
    builder.before_write = before_write
    for store in (*builder.sources, *builder.targets):
        store.connect()
    for batch in builder.get_items():
        builder.update_targets([builder.process_item(batch)])
    return builder.report(time.perf_counter() - start)

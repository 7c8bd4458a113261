"""What the builders share: skipping what is unchanged, removing what is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from maggma.core import Builder
from maggma.utils import grouper

from hts_battery.schemas.build import BuildReport

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from maggma.core import Store


class ScreeningBuilder(Builder):
    """
    A builder that compares digests of inputs instead of dates.

    A document is made again when, and only when, the digest stored in it differs from
    the digest of its inputs now: late, edited and repeated inputs are all seen.
    Documents whose inputs are gone are removed.

    Parameters
    ----------
    sources
        Stores that are read.
    target
        Store that is written.
    key
        Fields that identify a document of the target within the scope.
    scope
        Criteria of the documents that this builder is responsible for.
    chunk_size
        Documents written at a time.
    """

    def __init__(
        self,
        sources: Sequence[Store],
        target: Store,
        *,
        key: Sequence[str],
        scope: Mapping[str, Any] | None = None,
        chunk_size: int = 500,
    ) -> None:
        super().__init__(list(sources), [target], chunk_size=chunk_size)
        self.target = target
        self.key = list(key)
        self.scope = dict(scope or {})
        self.read = self.written = self.failed = self.unchanged = self.removed = 0

    def changed(
        self, items: Iterable[dict[str, Any]], key_of: Callable[[Any], Hashable]
    ) -> list[dict[str, Any]]:
        """
        Keep the items whose document is missing or was made from other inputs.

        Parameters
        ----------
        items
            Each with its ``input_digest``; all there are, so that documents of others
            can be removed.
        key_of
            Function from an item to the value of :attr:`key`, a tuple where the key
            has several fields.
        """
        known = {
            self._key_of_document(doc): doc["input_digest"]
            for doc in self.target.query(
                self.scope, properties=[*self.key, "input_digest"]
            )
        }
        changed = []
        seen = set()
        for item in items:
            self.read += 1
            name = key_of(item)
            seen.add(name)
            if known.get(name) == item["input_digest"]:
                self.unchanged += 1
            else:
                changed.append(item)
        self._remove(sorted(set(known) - seen, key=str))
        return changed

    def _key_of_document(self, doc: Mapping[str, Any]) -> Hashable:
        values = tuple(doc[field] for field in self.key)
        return values if len(values) > 1 else values[0]

    def _remove(self, names: Iterable[Hashable]) -> None:
        for name in names:
            values = name if isinstance(name, tuple) else (name,)
            criteria = dict(zip(self.key, values, strict=True))
            self.target.remove_docs({**self.scope, **criteria})
            self.removed += 1

    def update_targets(self, items: list[list[dict[str, Any]]]) -> None:
        """Write the documents that :meth:`process_item` returned, as one list."""
        docs = [doc for group in items for doc in group]
        if docs:
            # Without the scope, documents of another builder would be replaced.
            self.target.update(docs, key=[*self.scope, *self.key])
        self.written += len(docs)

    def report(self, seconds: float) -> BuildReport:
        """Return the counts of a run that took that many seconds."""
        return BuildReport(
            read=self.read,
            written=self.written,
            failed=self.failed,
            unchanged=self.unchanged,
            removed=self.removed,
            seconds=seconds,
        )


def run_builder(
    builder: ScreeningBuilder, advance: Callable[[int], None] | None = None
) -> BuildReport:
    """
    Run a builder in this process and count.

    maggma's own ``Builder.run`` closes the stores and configures logging behind the
    caller's back; everything else is the same three verbs.

    Parameters
    ----------
    builder
        Connected stores are left connected.
    advance
        Called with the number of inputs done, for a progress bar.
    """
    start = time.perf_counter()
    for store in (*builder.sources, *builder.targets):
        store.connect()
    for chunk in grouper(builder.get_items(), builder.chunk_size):
        builder.update_targets([builder.process_item(item) for item in chunk])
        if advance is not None:
            advance(len(chunk))
    return builder.report(time.perf_counter() - start)

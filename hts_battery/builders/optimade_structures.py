"""Summaries become what an OPTIMADE filter may ask for: one document per summary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypedDict, Unpack

from hts_battery.builders.screening_builder import (
    Made,
    ScreeningBuilder,
    by_key,
    input_digest,
)
from hts_battery.schemas.optimade import structure_properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maggma.core import Store

    from hts_battery.builders.screening_builder import Options
    from hts_battery.schemas.rows import EnergyRow, SummaryRow


class _Part(TypedDict):
    summary: SummaryRow
    energy: EnergyRow
    input_digest: str


class _Batch(TypedDict):
    inputs: list[_Part]


class OptimadeStructuresBuilder(ScreeningBuilder):
    """
    Describe the lowest ordering of every summary in OPTIMADE's words.

    Entries say the size of the cell; ``optimade_structures`` is written, keyed by
    campaign and candidate.
    """

    def __init__(
        self,
        summary: Store,
        entries: Store,
        optimade_structures: Store,
        *,
        campaign: str,
        **options: Unpack[Options],
    ) -> None:
        self.summary = summary
        self.entries = entries
        self.optimade_structures = optimade_structures
        self.campaign = campaign
        super().__init__(
            [summary, entries],
            [optimade_structures],
            key=["candidate_id"],
            scope={"campaign": campaign},
            options=options,
        )

    def get_items(self) -> Iterator[_Batch]:
        """Yield batches of summaries whose document is missing or outdated."""
        known = self.stored_digests(self.optimade_structures)
        for name in known:
            self.knows(name)
        digests = {
            name: input_digest("optimade", digest)
            for name, digest in self.stored_digests(self.summary).items()
        }
        self.remove("candidate_id", set(known) - set(digests))
        outdated = []
        for name, digest in digests.items():
            self.saw(digest)
            if known.get(name) == digest:
                self.unchanged += 1
            else:
                outdated.append(name)
        for names in self.batches(outdated):
            docs = by_key(self.summary, names, "candidate_id", criteria=self.scope)
            summaries = [docs[name][0] for name in names if name in docs]
            ids = [doc["entry_id"] for doc in summaries]
            entries = by_key(self.entries, ids, "entry_id", criteria={})
            yield {
                "inputs": [
                    {
                        "summary": doc,
                        "energy": entries[doc["entry_id"]][0]["energy"],
                        "input_digest": digests[doc["candidate_id"]],
                    }
                    for doc in summaries
                    if doc["entry_id"] in entries
                ]
            }

    def process_item(self, item: _Batch) -> Made:
        """Return the documents of one batch, dated now: what they say has changed."""
        now = datetime.now(UTC)
        made: list[dict[str, object]] = [
            {
                **structure_properties(
                    part["summary"],
                    cell_formula=part["energy"]["formula"],
                    n_atoms=part["energy"]["n_atoms"],
                ),
                "last_modified": now,
                "input_digest": part["input_digest"],
            }
            for part in item["inputs"]
        ]
        return {"documents": made, "failed": 0}

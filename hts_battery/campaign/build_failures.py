"""What the builders could not make, and why: counted by reason, with an example."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pydantic import Field

from hts_battery.schemas.base import Document
from hts_battery.schemas.entry import EntryKind, EntryState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec

_NAMES = ("formula", "phase_id", "candidate_id", "entry_id")


class BuildFailure(Document):
    """Documents of one builder that say why they have no result, all for one reason."""

    builder: str = Field(description="Name of the builder.")
    subject: str = Field(
        description="What they are of: a campaign, or an engine and a kind of entry."
    )
    reason: str = Field(description="Why, as the documents say it.")
    count: int = Field(description="How many there are.")
    example: str = Field(description="Formula or id of the first of them.")


def build_failures(
    stores: Stores, campaigns: Sequence[CampaignSpec]
) -> list[BuildFailure]:
    """
    Say what stands in the database as rejected or failed, most frequent first.

    That is what every run of the builders leaves, not only what the last one made.
    """
    found = [*_rejected(stores, sorted({one.engine for one in campaigns}))]
    for campaign in campaigns:
        docs = stores.thermo.query(
            {"campaign": campaign.name, "state": "failed"},
            properties=["candidate_id", "error"],
        )
        # One record a temperature: a candidate counts once.
        once = {(doc["candidate_id"], doc["error"]): doc for doc in docs}
        found += _grouped("thermo", campaign.name, once.values(), "error")
    return sorted(found, key=lambda one: -one.count)


def _rejected(stores: Stores, engines: Iterable[str]) -> Iterator[BuildFailure]:
    for engine in engines:
        for kind in EntryKind:
            docs = stores.entries.query(
                {"kind": kind, "engine": engine, "state": EntryState.REJECTED},
                properties=["reason", *_NAMES],
            )
            yield from _grouped("entries", f"{engine} {kind}", docs, "reason")


def _grouped(
    builder: str, subject: str, docs: Iterable[Mapping[str, str | None]], field: str
) -> Iterator[BuildFailure]:
    groups: defaultdict[str, list[Mapping[str, str | None]]] = defaultdict(list)
    for doc in docs:
        groups[doc.get(field) or "no reason was written down"].append(doc)
    for reason, group in groups.items():
        named = (group[0].get(name) for name in _NAMES)
        yield BuildFailure(
            builder=builder,
            subject=subject,
            reason=reason,
            count=len(group),
            example=str(next(filter(None, named), "?")),
        )

"""What the builders said of the candidates of a campaign, in a few documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hts_battery.builders.own_orderings import PLACE_FIELDS, asked_for
from hts_battery.builders.summary import RECORD_FIELDS, grouped_records, why_unmade
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.thermo import OrderingScope
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores

_PER_BLOCK = 5000
_KEY = ["campaign", "block"]


@dataclass(frozen=True)
class BuiltStates:
    """What the builders said of candidates and calculations."""

    ranked: frozenset[str] = frozenset()
    """Ids of the candidates that have a summary."""
    unjudged: Mapping[str, str | None] = field(default_factory=dict)
    """Id of a candidate without a stability → why."""
    rejected: Mapping[str, str | None] = field(default_factory=dict)
    """Key of a calculation none of whose energies may be used → why."""
    usable: frozenset[str] | None = None
    """Keys with an energy that may be used; none where that was not read."""


def read_built_states(stores: Stores, campaign: str) -> BuiltStates:
    """Read what the builders wrote of a campaign, every document of it."""
    scope = {"campaign": campaign}
    doc = stores.campaigns.query_one({"name": campaign}, properties=["spec"])
    spec = None if doc is None else CampaignSpec.model_validate(doc["spec"])
    if spec is not None and spec.source is not None and not spec.screens:
        return _of_properties(stores, spec.recipe, spec.source.campaign)
    reasons = _reasons(stores, spec)
    pooled = spec is not None and spec.stability.orderings is OrderingScope.POOLED
    records = list(stores.thermo.query(scope, properties=[*RECORD_FIELDS, "error"]))
    temperatures = (spec and spec.temperatures) or get_settings().temperatures
    unmade = {
        name: f"no summary of all temperatures: {why}; run `hts build all`"
        for name, group in grouped_records(records).items()
        if (why := why_unmade(group, temperatures)) is not None
    }
    failed = {
        record["candidate_id"]: record["error"]
        for record in records
        if record["state"] == "failed"
    }
    return BuiltStates(
        ranked=frozenset(stores.summary.distinct("candidate_id", scope)),
        unjudged={**unmade, **failed},
        rejected={key: said[0] for key, said in reasons.items() if None not in said},
        usable=None
        if pooled
        else frozenset(key for key, said in reasons.items() if None in said),
    )


def _of_properties(stores: Stores, recipe: str, source: str) -> BuiltStates:
    """Read what builders made of a recipe's results, for the cells of a campaign."""
    found: dict[str, str | None] = {}
    for doc in stores.properties.query(
        {"campaign": source, "provenance.recipe": recipe},
        properties=["subject_id", "reason"],
    ):
        found[doc["subject_id"]] = found.get(doc["subject_id"]) or doc["reason"]
    return BuiltStates(
        ranked=frozenset(name for name, reason in found.items() if reason is None),
        unjudged={name: reason for name, reason in found.items() if reason is not None},
    )


def _reasons(stores: Stores, spec: CampaignSpec | None) -> dict[str, list[str | None]]:
    """Content key → why each ordering that counts is rejected; None where it is not."""
    groups: dict[str, list[Any]] = {}
    for entry in stores.entries.query(
        {"kind": "candidate"},
        properties=["entry_id", "content_key", "reason", "state", *PLACE_FIELDS],
    ):
        groups.setdefault(entry["content_key"], []).append(entry)
    if spec is not None:
        wanted = spec.structure.n_orderings
        groups = {key: asked_for(group, wanted) for key, group in groups.items()}
    return {
        key: [entry["reason"] for entry in group]
        for key, group in groups.items()
        if group
    }


def note_built_states(
    stores: Stores, campaign: str, *, run_id: str, digest: str | None
) -> None:
    """
    Write down, after a run of the builders, what stands there now.

    ``digest``: of all that the builders of the campaign read; none if unknown. Equal to
    that of the last note, nothing is read again.
    """
    scope = {"campaign": campaign}
    first = stores.built_states.query_one({**scope, "block": 0})
    if first is not None and digest is not None and first["digest"] == digest:
        first.pop("_id")
        stores.built_states.update(
            {**first, "run_id": run_id}, key=["campaign", "block"]
        )
        return
    # The mark goes last: a note that was cut off is no note.
    stores.built_states.remove_docs(scope)
    blocks = list(_blocks(read_built_states(stores, campaign), stores, campaign))
    for number, block in reversed(list(enumerate(blocks))):
        marked = {**scope, "block": number, "run_id": run_id, "digest": digest}
        stores.built_states.update({**marked, "blocks": len(blocks), **block}, key=_KEY)


def forget_built_states(stores: Stores, *, besides: Sequence[str]) -> None:
    """Forget what was noted of other campaigns: entries of theirs have changed."""
    stores.built_states.remove_docs({"campaign": {"$nin": list(besides)}})


def noted_built_states(stores: Stores, campaign: str) -> BuiltStates | None:
    """Read what the last run of the builders noted; none where it may be outdated."""
    docs = list(stores.built_states.query({"campaign": campaign}))
    marks = [doc for doc in docs if doc["block"] == 0]
    if not marks or len(docs) != marks[0]["blocks"]:
        return None
    # Builders that were run by mrun leave changes and no note.
    later = {"campaign": campaign, "run_id": {"$gt": marks[0]["run_id"]}}
    if stores.changes.query_one(later) is not None:
        return None
    return BuiltStates(
        ranked=frozenset(name for doc in docs for name in doc["ranked"]),
        unjudged=dict(pair for doc in docs for pair in doc["unjudged"]),
        rejected=dict(pair for doc in docs for pair in doc["rejected"]),
    )


def _blocks(
    built: BuiltStates, stores: Stores, campaign: str
) -> Iterator[dict[str, list[object]]]:
    """Cut what is said of a campaign into documents of a moderate size."""
    keys = set()
    if built.rejected:
        keys = set(stores.members.distinct("content_key", {"campaign": campaign}))
    rejected = [pair for pair in built.rejected.items() if pair[0] in keys]
    lists: dict[str, list[Any]] = {
        "ranked": sorted(built.ranked),
        "unjudged": [list(pair) for pair in built.unjudged.items()],
        "rejected": [list(pair) for pair in rejected],
    }
    longest = max(len(one) for one in lists.values())
    for start in range(0, max(1, longest), _PER_BLOCK):
        yield {name: one[start : start + _PER_BLOCK] for name, one in lists.items()}

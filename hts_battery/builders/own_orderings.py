"""Which orderings a campaign's numbers are made from: its own, each of them once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, cast

from hts_battery.connections.database.content_digests import query_values
from hts_battery.schemas.entry import EntryKind, EntryState
from hts_battery.schemas.structure import chosen, joined
from hts_battery.schemas.thermo import OrderingScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from maggma.core import Store

    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.rows import EntryRow, UsedEntryRow

NO_CAMPAIGN = "no campaign"
"""Source of an ordering that no campaign asks for any more."""
PLACE_FIELDS = ("ordering_id", "ordering_method", "ordering_series")
"""What says of an entry which of the candidate's orderings it is."""


def asked_for(entries: Iterable[EntryRow], wanted: Mapping[Any, int]) -> list[EntryRow]:
    """
    Keep the orderings of one calculation that a campaign asks for, one entry of each.

    ``entries``: every entry of one content key, used or rejected. ``wanted``: method →
    number of orderings. Returns: by entry id. Of several entries of one ordering one
    that is used is kept; its method is that by which the campaign gets it.

    Examples
    --------
    >>> series = {"sqs": ["a", "b"]}
    >>> entries = [
    ...     {"entry_id": n, "ordering_id": o, "state": "used",
    ...      "ordering_method": "sqs", "ordering_series": series}
    ...     for n, o in (("1", "a"), ("2", "b"), ("3", "a"))
    ... ]
    >>> [entry["entry_id"] for entry in asked_for(entries, {"sqs": 2})]
    ['1', '2']
    >>> [entry["entry_id"] for entry in asked_for(entries, {"sqs": 1})]
    ['1']
    """
    ranked = sorted(
        entries, key=lambda one: (one["state"] != EntryState.USED, one["entry_id"])
    )
    series = joined(one.get("ordering_series") or {} for one in ranked)
    known = {name for names in series.values() for name in names}
    for one in sorted(ranked, key=_name):
        if _name(one) not in known:  # the job that ordered it is lost
            known.add(_name(one))
            method = str(one["ordering_method"])
            series[method] = [*series.get(method, ()), _name(one)]
    mine = chosen(series, wanted)
    found: dict[str, EntryRow] = {}
    for one in ranked:
        name = _name(one)
        if name in mine and name not in found:
            found[name] = {**one, "ordering_method": mine[name]}
    return sorted(found.values(), key=lambda one: str(one["entry_id"]))


def _name(entry: EntryRow | UsedEntryRow) -> str:
    return str(entry["ordering_id"] or entry["entry_id"])


def campaign_entries(
    spec: CampaignSpec,
    stores: tuple[Store, Store],
    *,
    fields: Sequence[str],
    is_wanted: Callable[[str], bool],
) -> dict[str, list[UsedEntryRow]]:
    """
    Read the usable entries from which each member of a campaign is assessed.

    ``spec``: the campaign: its settings, numbers of orderings and whether it pools.
    ``stores``: members and entries. ``fields``: what is read of an entry;
    ``ordering_id`` is among it. ``is_wanted``: whether a candidate is wanted. Returns:
    candidate id → entries by their ids, each with its ``source``: the campaign whose
    ordering it is. Candidates without any are left out.
    """
    members, entries = stores
    keys = {
        doc["content_key"]: doc["candidate_id"]
        for doc in members.query(
            {"campaign": spec.name}, properties=["candidate_id", "content_key"]
        )
        if is_wanted(doc["candidate_id"])
    }
    pooled = spec.stability.orderings is OrderingScope.POOLED
    groups: dict[str, list[EntryRow]] = defaultdict(list)
    for entry in query_values(
        entries,
        "candidate_id" if pooled else "content_key",
        keys.values() if pooled else keys,
        criteria={"kind": EntryKind.CANDIDATE, "engine": spec.engine},
        properties=[*fields, *PLACE_FIELDS, "content_key", "state"],
    ):
        entry.pop("_id", None)
        groups[entry["content_key"]].append(cast("EntryRow", entry))
    found: dict[str, list[UsedEntryRow]] = defaultdict(list)
    wanted = spec.structure.n_orderings
    for key in keys.keys() & groups.keys():
        found[keys[key]] += _used(asked_for(groups[key], wanted), spec.name)
    if pooled:
        _pool(found, groups, spec, members)
    return {
        name: sorted(group, key=lambda entry: str(entry["entry_id"]))
        for name, group in found.items()
        if group
    }


def _used(entries: Iterable[EntryRow], source: str) -> list[UsedEntryRow]:
    """Keep what is used; how the rest of the series goes on is not its content."""
    left_out = {"state", "content_key", "ordering_series"}
    found = [
        {name: value for name, value in one.items() if name not in left_out}
        | {"source": source}
        for one in entries
        if one["state"] == EntryState.USED
    ]
    return cast("list[UsedEntryRow]", found)


def _pool(
    found: dict[str, list[UsedEntryRow]],
    groups: Mapping[str, Sequence[EntryRow]],
    spec: CampaignSpec,
    members: Store,
) -> None:
    """Add the orderings that were made with other structure settings, each once."""
    sources = _campaigns(groups, members, besides=spec.name)
    settings = _energy_settings(spec.calculation)
    # Those of a campaign before those of none, and then by name.
    for key in sorted(groups, key=lambda key: (key not in sources, sources.get(key))):
        source = sources.get(key, NO_CAMPAIGN)
        for one in _used(sorted(groups[key], key=lambda e: str(e["entry_id"])), source):
            group = found[one["candidate_id"]]
            if _energy_settings(one["calculation"]) == settings and _name(one) not in {
                _name(other) for other in group
            }:
                group.append(one)


def _energy_settings(calculation: Mapping[str, object]) -> list[object]:
    """Return what decides the energy of a given cell."""
    return [calculation.get(name) for name in ("engine", "relaxation", "prerelax")]


def _campaigns(keys: Iterable[str], members: Store, *, besides: str) -> dict[str, str]:
    """Content key → first other campaign that has it."""
    found: dict[str, str] = {}
    for doc in query_values(
        members, "content_key", keys, criteria={}, properties=["campaign"]
    ):
        name = doc["campaign"]
        if name != besides:
            found[doc["content_key"]] = min(name, found.get(doc["content_key"], name))
    return found

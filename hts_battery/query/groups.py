"""Summaries grouped by element, element set or number of metals."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.schemas.rows import SummaryRow

NEEDED = (
    "candidate_id",
    "formula",
    "elements",
    "chemical_system",
    "n_metals",
    "same_cell_as",
)
"""Fields of a summary that grouping reads, besides those of its temperature."""


class GroupBy(StrEnum):
    """What summaries can be grouped by."""

    ELEMENT = "element"
    """Each symbol; a candidate counts for every one it holds."""
    ELEMENT_SET = "element-set"
    """Chemical system."""
    N_METALS = "n-metals"
    """Number of different metals."""


class GroupCounts(NamedTuple):
    """Candidates that share something."""

    name: str
    n_candidates: int
    n_stable: int
    """Those with E_hull <= 0 at the temperature asked for."""
    n_certain: int
    """Those of them whose label is not open."""
    lowest: float
    """Lowest E_hull of any of them there, eV/atom."""
    best: str
    """Formula of that one."""


def grouped(
    summaries: Iterable[SummaryRow], by: GroupBy, *, key: str
) -> list[GroupCounts]:
    """
    Group summaries, the largest group first.

    ``summaries``: documents with the fields of :data:`NEEDED`, and
    ``energy_above_hull_at`` and ``open_at`` at the temperature. ``by``: what is shared.
    ``key``: temperature like ``1473K`` at which stability counts; summaries without it
    are left out, and those whose cell counts under another candidate.
    """
    members: dict[str, list[tuple[float, str, bool]]] = defaultdict(list)
    for doc in summaries:
        energy = doc.get("energy_above_hull_at", {}).get(key)
        if energy is None or doc.get("same_cell_as") is not None:
            continue
        is_open = bool(doc.get("open_at", {}).get(key))
        for name in _names(doc, by):
            members[name].append((energy, doc["formula"], is_open))
    groups = [_group(name, found) for name, found in members.items()]
    return sorted(groups, key=lambda group: (-group.n_candidates, group.name))


def _group(name: str, found: list[tuple[float, str, bool]]) -> GroupCounts:
    stable = [is_open for energy, _, is_open in found if energy <= 0]
    lowest, best, _ = min(found)
    return GroupCounts(name, len(found), len(stable), stable.count(False), lowest, best)


def _names(doc: SummaryRow, by: GroupBy) -> list[str]:
    if by is GroupBy.ELEMENT:
        return list(doc["elements"])
    if by is GroupBy.ELEMENT_SET:
        return [doc["chemical_system"]]
    return [str(doc["n_metals"])]

"""Summaries grouped by element, element set or number of metals."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class GroupBy(StrEnum):
    """What summaries can be grouped by."""

    ELEMENT = "element"
    """Each symbol; a candidate counts for every one it holds."""
    ELEMENT_SET = "element-set"
    """Chemical system."""
    N_METALS = "n-metals"
    """Number of different metals."""


NEEDED = (
    "candidate_id",
    "formula",
    "elements",
    "chemical_system",
    "n_metals",
    "energy_above_hull",
)
"""Fields of a summary that grouping reads, besides E_hull at its temperature."""


class Group(NamedTuple):
    """Candidates that share something."""

    name: str
    n_candidates: int
    n_stable: int
    """Those with E_hull <= 0 at the temperature asked for."""
    lowest: float
    """Lowest E_hull of any of them there, eV/atom."""
    best: str
    """Formula of that one."""


def grouped(
    summaries: Iterable[Mapping[str, Any]], by: GroupBy, *, key: str | None
) -> list[Group]:
    """
    Group summaries, the largest group first.

    Parameters
    ----------
    summaries
        Documents with the fields of :data:`NEEDED`.
    by
        What is shared.
    key
        Temperature like ``1473K`` at which stability counts; summaries without it
        are left out. E_hull without entropy if not given.
    """
    members: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for doc in summaries:
        energy = (
            doc["energy_above_hull"]
            if key is None
            else doc.get("energy_above_hull_at", {}).get(key)
        )
        if energy is None:
            continue
        for name in _names(doc, by):
            members[name].append((energy, doc["formula"]))
    groups = [
        Group(name, len(found), sum(energy <= 0 for energy, _ in found), *min(found))
        for name, found in members.items()
    ]
    return sorted(groups, key=lambda group: (-group.n_candidates, group.name))


def _names(doc: Mapping[str, Any], by: GroupBy) -> list[str]:
    if by is GroupBy.ELEMENT:
        return list(doc["elements"])
    if by is GroupBy.ELEMENT_SET:
        return [doc["chemical_system"]]
    return [str(doc["n_metals"])]

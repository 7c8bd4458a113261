"""Summaries grouped by element, element set or number of metals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from hts_battery.query.summary_table import in_order
from hts_battery.query.tables import GroupBy
from hts_battery.schemas.summary_table import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence


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


def exploded(names: pa.ChunkedArray, *, is_list: bool) -> tuple[pa.Array, pa.Array]:
    """
    Return the items of a column, and the row of each.

    ``is_list``: whether each value is a list; each is one item otherwise.
    """
    whole = names.combine_chunks()
    if not is_list:
        return whole, pa.array(range(len(whole)), pa.int64())
    lists = pc.split_pattern(pc.utf8_trim(whole, SEPARATOR), SEPARATOR)
    items, rows = pc.list_flatten(lists), pc.list_parent_indices(lists)
    some = pc.not_equal(items, "")
    return items.filter(some), rows.filter(some)


def grouped(rows: pa.Table, columns: Sequence[str], by: GroupBy) -> list[GroupCounts]:
    """
    Group rows, the largest group first.

    ``rows``: those that count. ``columns``: those of E_hull at a temperature, the
    formula, and whether the label there is open. ``by``: what is shared.
    """
    energy, formula, is_open = columns
    ordered = in_order(rows, {energy: 1, formula: 1, is_open: 1})
    items, places = exploded(ordered[by.column], is_list=by is GroupBy.ELEMENT)
    stable = pc.less_equal(ordered[energy], 0.0)
    certain = pc.and_(stable, pc.invert(pc.fill_null(ordered[is_open], False)))  # noqa: FBT003 - Arrow's own
    counted = pa.table({"energy": ordered[energy], "best": ordered[formula]})
    counted = counted.append_column("stable", stable.cast(pa.int64()))
    counted = counted.append_column("certain", certain.cast(pa.int64())).take(places)
    named = counted.append_column("name", items).group_by("name", use_threads=False)
    sums: list[tuple[str, str]] = [
        *(("energy", "count"), ("stable", "sum"), ("certain", "sum")),
        *(("energy", "first"), ("best", "first")),
    ]
    found = named.aggregate(sums).select(["name", *map("_".join, sums)])
    groups = [
        GroupCounts(str(name), *others)
        for name, *others in zip(*found.to_pydict().values(), strict=True)
    ]
    return sorted(groups, key=lambda group: (-group.n_candidates, group.name))

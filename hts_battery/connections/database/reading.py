"""Aggregations on a collection, with a limit of time, and what the server plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import ExecutionTimeout

from hts_battery.connections.database.clients import translated_errors
from hts_battery.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import SharedMongoStore


def aggregated(
    store: SharedMongoStore,
    stages: Sequence[Mapping[str, Any]],
    *,
    time_limit: float | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Yield what an aggregation finds, without object ids.

    Raises
    ------
    QueryError
        If the server took longer than the limit in s.
    StoreError
        If the server refuses or is gone.
    """
    options: dict[str, Any] = {}
    if time_limit is not None:
        options["maxTimeMS"] = round(1000 * time_limit)
    with translated_errors(str(store.uri), f"reading {store.collection_name}"):
        try:
            for doc in store.collection.aggregate(
                [dict(stage) for stage in stages], **options
            ):
                doc.pop("_id", None)
                yield doc
        except ExecutionTimeout as err:
            raise QueryError(
                f"the query took longer than {time_limit:g} s; ask for less: a bound "
                "of e_hull, two elements or a chemical system"
            ) from err


def planned_index(
    store: SharedMongoStore, criteria: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """
    Return the fields of the index with which the server would answer a filter.

    None where it would scan the collection.
    """
    with translated_errors(str(store.uri), "explaining a query"):
        plan = store.collection.find(dict(criteria)).explain()
    found = _index_scan(plan["queryPlanner"]["winningPlan"])
    return None if found is None else tuple(found["keyPattern"])


def _index_scan(stage: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Find the stage that walks an index below a stage of a plan."""
    if stage.get("stage") == "IXSCAN":
        return stage
    below = [stage.get("inputStage"), stage.get("queryPlan")]
    below += stage.get("inputStages", [])
    for inner in below:
        found = _index_scan(inner) if inner else None
        if found is not None:
            return found
    return None

"""
What was sent: each dispatch once, each calculation in one dispatch at a time.

Two unique indexes hold it, whatever a feeder believes that was stopped and woke: one on
the dispatch, one on what is computed over the dispatches that are in hand.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pymongo.errors import DuplicateKeyError

from hts_battery.connections.database.clients import translated_errors
from hts_battery.errors import StoreError
from hts_battery.schemas.dispatch import Dispatch, DispatchState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hts_battery.connections.database.locks import Lease
    from hts_battery.connections.database.stores import Stores


def claim(stores: Stores, wanted: Sequence[Dispatch], lease: Lease) -> set[str]:
    """
    Write down what is about to be sent; return the ids of those that may be.

    The others compute something that another dispatch has in hand.

    Raises
    ------
    StoreError
        If another process has sent one of them, or holds the lock by now.
    """
    lease.check()
    with translated_errors(stores.database.uri, "writing down what is sent"):
        known = stores.dispatches.insert_new(
            [one.model_dump(mode="json") for one in wanted]
        )
    refused = {doc["dispatch_id"] for doc in known}
    sent = refused and stores.dispatches.distinct(
        "dispatch_id", {"dispatch_id": {"$in": sorted(refused)}}
    )
    if sent:
        raise StoreError(
            f"{len(sent)} dispatches of {wanted[0].campaign} were sent by another "
            "process meanwhile: nothing is sent twice; run the same command again"
        )
    return {one.dispatch_id for one in wanted} - refused


def claim_again(stores: Stores, wanted: Sequence[Dispatch], lease: Lease) -> set[str]:
    """
    Take over dispatches that are not in the launchpad, under other Fireworks.

    Each is changed only if nobody else has changed it since it was read here. Returns
    as :func:`claim` does.

    Raises
    ------
    StoreError
        If somebody else took one over, or holds the lock by now.
    """
    collection = stores.dispatches.collection
    ids = [one.dispatch_id for one in wanted]
    with translated_errors(stores.database.uri, "taking dispatches over"):
        found = collection.find({"dispatch_id": {"$in": ids}})
        tokens = {str(doc["dispatch_id"]): str(doc["token"]) for doc in found}
        lease.check()
        return {one.dispatch_id for one in wanted if _replaced(stores, one, tokens)}


def _replaced(stores: Stores, one: Dispatch, tokens: Mapping[str, str]) -> bool:
    """Write a dispatch again; say no if somebody else computes the same by now."""
    here = {"dispatch_id": one.dispatch_id}
    # Older versions wrote no such documents: one that is not there is made.
    is_new = one.dispatch_id not in tokens
    if not is_new:
        here["token"] = tokens[one.dispatch_id]
    try:
        done = stores.dispatches.collection.replace_one(
            here, one.model_dump(mode="json"), upsert=is_new
        )
    except DuplicateKeyError:
        return False
    if not done.matched_count and not is_new:
        raise StoreError(
            f"dispatch {one.dispatch_id} of {one.campaign} was taken over by another "
            "process meanwhile: run the same command again"
        )
    return True


def in_the_way(stores: Stores, keys: Collection[str]) -> list[Dispatch]:
    """Return the dispatches in hand that compute some contents."""
    found = stores.dispatches.query(
        {"content_keys": {"$in": sorted(keys)}, "state": str(DispatchState.SENT)}
    )
    return [
        Dispatch.model_validate({k: doc[k] for k in Dispatch.model_fields})
        for doc in found
    ]


def end(stores: Stores, ids: Sequence[str]) -> None:
    """Write down that nobody has some dispatches in hand any more."""
    if not ids:
        return
    with translated_errors(stores.database.uri, "ending dispatches"):
        stores.dispatches.collection.update_many(
            {"dispatch_id": {"$in": list(ids)}},
            {
                "$set": {
                    "state": str(DispatchState.ENDED),
                    "time": datetime.now(UTC).isoformat(),
                }
            },
        )

"""Deleting a campaign: what is its own goes, what others share stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from hts_battery.builders.screening_builder import run_builder
from hts_battery.campaign.build import LOCK as BUILD_LOCK
from hts_battery.campaign.build import summary_table_builder
from hts_battery.campaign.ownership import owner_of, require_ownership
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.database.locks import exclusive
from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import read_workflows
from hts_battery.connections.records.backlog import dispatching
from hts_battery.errors import SubmissionError
from hts_battery.schemas.base import Document
from hts_battery.schemas.thermo import OrderingScope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hts_battery.connections.database.stores import Stores

_OF_CAMPAIGN = (
    "submissions",
    "backlog",
    "dispatches",
    "archived_workflows",
    "alerts",
    "built_states",
    "thermo",
    "properties",
    "summary",
    "summary_table",
    "dispatches",
    "changes",
    "members",
)
"""Collections whose documents name their campaign; what sends work goes first."""
_OF_KEYS = (
    ("tasks", "metadata.content_key"),
    ("failures", "content_key"),
    ("entries", "content_key"),
)
"""Collections whose documents belong to a calculation, and by which field."""
_BATCH = 100


class Removal(Document):
    """What deleting a campaign takes away, and what it leaves."""

    campaign: str = Field(description="Name of the campaign.")
    goes: dict[str, int] = Field(description="Collection → documents that go.")
    stays: dict[str, int] = Field(description="What stays → how many, and why.")
    written: bool = Field(description="Whether it was done.")


class _Shares:
    """Which calculations and candidates of a campaign nobody else uses."""

    def __init__(self, stores: Stores, campaign: str) -> None:
        fields = ["campaign", "candidate_id", "content_key"]
        own = list(stores.members.query({"campaign": campaign}, properties=fields))
        ids = {doc["candidate_id"] for doc in own}
        others = [
            doc
            for some in _batches(sorted(ids))
            for doc in stores.members.query(
                {"candidate_id": {"$in": some}, "campaign": {"$ne": campaign}},
                properties=fields,
            )
        ]
        pooling = _pooling(stores)
        theirs = {doc["content_key"] for doc in others}
        # Who pools uses every ordering of a candidate, whoever computed it.
        pooled = {doc["candidate_id"] for doc in others if doc["campaign"] in pooling}
        keys = {doc["content_key"] for doc in own}
        shared = {
            doc["content_key"] for doc in own if doc["candidate_id"] in pooled
        } | (keys & theirs)
        self.keys = sorted(keys - shared)
        self.shared_keys = len(shared)
        known = {doc["candidate_id"] for doc in others}
        self.candidates = sorted(ids - known)
        self.shared_candidates = len(ids & known)


def _pooling(stores: Stores) -> set[str]:
    """Return the campaigns that use orderings of others."""
    return {
        doc["name"]
        for doc in stores.campaigns.query(
            {}, properties=["name", "spec.stability.orderings"]
        )
        if ((doc.get("spec") or {}).get("stability") or {}).get("orderings")
        == OrderingScope.POOLED
    }


def delete_campaign(stores: Stores, name: str, *, dry_run: bool = False) -> Removal:
    """
    Delete a campaign with everything that only it uses.

    Candidates, calculations and entries that another campaign uses stay, and so do
    launch folders and the execution record. Killed in between, the same call goes on.

    Parameters
    ----------
    stores, name
        Open stores, and the campaign.
    dry_run
        Whether to say only what would go and what would stay.

    Raises
    ------
    SubmissionError
        If there is none, it is another user's, or something of it is still sent.
    BusyError
        If somebody builds or feeds now, and goes on doing so.
    """
    with translated_outages(stores.database.uri, f"deleting {name}"):
        if dry_run:
            owner_of(stores, name)
            _refuse_sent(stores, name)
            return _removal(stores, name, written=False)
        require_ownership(stores, name)
        holder = f"hts campaign delete {name}"
        with (
            exclusive(stores, BUILD_LOCK, holder=holder),
            dispatching(stores, holder) as lease,
        ):
            _refuse_sent(stores, name)
            found = _removal(stores, name, written=True)
            shares = _Shares(stores, name)
            for store, criteria in _parts(stores, name, shares):
                lease.check()
                store.remove_docs(criteria)
            # What the table holds of a campaign without summaries goes.
            table = summary_table_builder(stores, {name: ()})
            run_builder(table, before_write=lease.check)
            stores.campaigns.remove_docs({"name": name})
    return found


def _refuse_sent(stores: Stores, name: str) -> None:
    """Refuse while anything of a campaign stands in the launchpad."""
    sent = read_workflows(launchpad_beside(stores), name)
    if sent:
        raise SubmissionError(
            f"{len(sent)} workflows of {name} stand in the launchpad: `hts campaign "
            f"cancel {name}` ends them, and `hts launchpad feed` collects what ran"
        )


def _parts(
    stores: Stores, name: str, shares: _Shares
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield stores and criteria of what goes, in an order that can be gone on with."""
    # Outputs before members: what a kill leaves is still known to be the campaign's.
    for some in _batches(shares.keys):
        key = {"metadata.content_key": {"$in": some}}
        jobs = stores.tasks.distinct("uuid", key)
        for uuids in _batches(sorted(jobs)):
            yield stores.blobs, {"job_uuid": {"$in": uuids}}
        for collection, field in _OF_KEYS:
            yield getattr(stores, collection), {field: {"$in": some}}
    for some in _batches(shares.candidates):
        yield stores.candidates, {"candidate_id": {"$in": some}}
    for collection in _OF_CAMPAIGN:
        if collection != "summary_table":  # its head names what its readers look for
            yield getattr(stores, collection), {"campaign": name}


def _removal(stores: Stores, name: str, *, written: bool) -> Removal:
    """Count what goes and what stays."""
    shares = _Shares(stores, name)
    goes = {"campaigns": 1}
    for collection in _OF_CAMPAIGN:
        goes[collection] = _count(stores, collection, {"campaign": name})
    for collection, field in _OF_KEYS:
        goes[collection] = sum(
            _count(stores, collection, {field: {"$in": some}})
            for some in _batches(shares.keys)
        )
    goes["candidates"] = len(shares.candidates)
    stays = {
        "calculations that other campaigns use": shares.shared_keys,
        "candidates of other campaigns": shares.shared_candidates,
    }
    return Removal(
        campaign=name,
        goes={what: count for what, count in goes.items() if count},
        stays={what: count for what, count in stays.items() if count},
        written=written,
    )


def _count(stores: Stores, collection: str, criteria: Mapping[str, Any]) -> int:
    return int(getattr(stores, collection).count(dict(criteria)))


def _batches(names: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), _BATCH):
        yield list(names[start : start + _BATCH])

"""Every kind of query that the project sends, with values as it would send them."""

from __future__ import annotations

from typing import Any, NamedTuple


class Issued(NamedTuple):
    """A filter on a collection, and who sends it."""

    collection: str
    criteria: dict[str, Any]
    sender: str
    scans: str = ""
    """Why it may read the whole collection; empty where it must not."""


_IDS = {"$in": ["5d1f4536cc4e96334537", "9ce7a0fbebc1aaea912a"]}
_ID = "5d1f4536cc4e96334537"

ISSUED = (
    Issued("campaigns", {"name": "small"}, "campaign.registration"),
    Issued("campaigns", {}, "campaign.building", "a handful, all are wanted"),
    Issued("members", {"campaign": "small"}, "campaign.status, builders.thermo"),
    Issued("members", {"campaign": "small", "candidate_id": _IDS}, "campaign"),
    Issued("members", {"campaign": "small", "released": True}, "campaign.local_run"),
    Issued(
        "members",
        {"campaign": "small", "candidate_id": _IDS, "released": {"$ne": True}},
        "campaign.registration.release",
        "an operator's command, seconds at most",
    ),
    Issued(
        "members",
        {"campaign": "small", "candidate_id": {"$nin": [_ID]}},
        "campaign.registration",
        "registers a whole campaign, which is all members",
    ),
    Issued("candidates", {"candidate_id": _IDS}, "campaign, builders"),
    Issued("tasks", {"metadata.content_key": "k"}, "flows.recipes, flows"),
    Issued(
        "tasks",
        {"metadata.content_key": "k", "metadata.step": "reference"},
        "campaign.references",
    ),
    Issued("tasks", {"metadata.step": {"$in": ["order", "relax"]}}, "campaign"),
    Issued("tasks", {"uuid": "u", "index": 1}, "flows.launch_folders, jobflow"),
    Issued("tasks", {"uuid": "u", "index": {"$gt": 1}}, "flows.launch_folders"),
    Issued("tasks", {"uuid": _IDS}, "query.structures, builders.entries"),
    Issued(
        "tasks",
        {"output.run": {"$ne": None}},
        "campaign.rehearsal",
        "the throw-away database of a rehearsal",
    ),
    Issued("blobs", {"blob_uuid": "b"}, "jobflow"),
    Issued("failures", {"content_key": "k"}, "flows.recipes"),
    Issued("failures", {}, "flows.recipes", "every failure is wanted"),
    Issued("references", {"engine": "chgnet"}, "campaign.run_campaign"),
    Issued("references", {"engine": "chgnet", "rejected": None}, "campaign"),
    Issued("references", {}, "campaign.references", "every reference is wanted"),
    Issued("entries", {"kind": "candidate"}, "campaign.status"),
    Issued("entries", {"kind": "reference", "engine": "chgnet"}, "campaign"),
    Issued(
        "entries",
        {"kind": "reference", "engine": "chgnet", "state": "used"},
        "builders.thermo",
    ),
    Issued("entries", {"entry_id": "e"}, "query.structures, query.explanation"),
    Issued("entries", {"entry_id": _IDS}, "builders.entries"),
    Issued("entries", {}, "builders.entries", "every digest is wanted"),
    Issued("properties", {"campaign": "small", "builder": "b"}, "builders"),
    Issued(
        "properties",
        {"campaign": "small", "builder": "b", "subject_id": _IDS},
        "builders.property_builder",
    ),
    Issued("properties", {"campaign": "small"}, "builders.summary_table"),
    Issued("properties", {"campaign": "small", "subject_id": _IDS}, "builders"),
    Issued("properties", {"subject_id": _ID}, "dashboard.candidate_data"),
    Issued("thermo", {"campaign": "small"}, "builders.thermo, builders.summary"),
    Issued("thermo", {"campaign": "small", "candidate_id": _IDS}, "builders"),
    Issued("thermo", {"campaign": "small", "state": "failed"}, "campaign.status"),
    Issued("thermo", {"candidate_id": _ID}, "query.explanation"),
    Issued("summary", {"campaign": "small"}, "builders, campaign.status"),
    Issued("summary", {"campaign": "small", "candidate_id": _IDS}, "query.reading"),
    Issued("summary", {"candidate_id": _ID}, "query.screening_database"),
    Issued("summary_table", {"campaign": "small"}, "builders.summary_table"),
    Issued("summary_table", {"part_id": "head"}, "query.summary_table, builders"),
    Issued("summary_table", {"campaign": "small", "version": "v"}, "the same"),
    Issued(
        "summary_table",
        {"campaign": "small", "version": {"$in": ["v"]}},
        "builders.summary_table",
    ),
    Issued("hulls", {"hull_version": "h"}, "builders.reference_hulls"),
    Issued("changes", {"run_id": {"$gt": "2026"}}, "campaign.unchanged, query.builds"),
    Issued("builds", {"state": "running"}, "campaign.building"),
    Issued("builds", {"run_id": {"$gt": "2026"}}, "query.summary_table"),
    Issued("builds", {"run_id": {"$lt": "2026"}}, "campaign.unchanged"),
    Issued("builds", {"run_id": "r"}, "query.builds"),
    Issued("locks", {"name": "build"}, "connections.locks"),
)
"""One of each kind; ids and keys are examples."""

"""Writing a campaign and its candidates into the database, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.campaign.registered import gate_since, key_sum, registration_digest
from hts_battery.connections.stores import insert_new

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

_BATCH = 100
_MEMBER = ["candidate_id", "content_key", "space_index", "released"]


def register(campaign: Campaign, stores: Stores) -> int:
    """
    Write the campaign and its candidates into the database; known ones are kept.

    Parameters
    ----------
    campaign
        The campaign.
    stores
        Open stores.

    Returns
    -------
    int
        Number of candidates that were new to the database.
    """
    return register_members(campaign, stores, list(campaign.members()))


def register_members(
    campaign: Campaign, stores: Stores, chosen: Sequence[tuple[int, CandidateDoc]]
) -> int:
    """
    As :func:`register`, with the members of the campaign listed already.

    Parameters
    ----------
    campaign
        The campaign.
    stores
        Open stores.
    chosen
        Its members, all of them, with their index in the space.
    """
    spec = campaign.spec
    known = {
        doc["candidate_id"]: doc
        for doc in stores.members.query({"campaign": spec.name}, properties=_MEMBER)
    }
    # A member's candidate is there; one of another campaign is left as it is.
    new = insert_new(
        stores.candidates,
        (
            candidate.model_dump(mode="json")
            for _, candidate in chosen
            if candidate.candidate_id not in known
        ),
    )
    # An index may exceed the 64 bits of a BSON integer, so it is stored as text.
    members: list[dict[str, Any]] = [
        {
            "campaign": spec.name,
            "candidate_id": candidate.candidate_id,
            "content_key": campaign.key(candidate),
            "space_index": str(index),
            "released": bool(
                known.get(candidate.candidate_id, {}).get("released", False)
            ),
        }
        for index, candidate in chosen
    ]
    insert_new(
        stores.members,
        (one for one in members if one["candidate_id"] not in known),
    )
    changed = [
        one
        for one in members
        if one["candidate_id"] in known
        and any(known[one["candidate_id"]].get(name) != one[name] for name in _MEMBER)
    ]
    for start in range(0, len(changed), _BATCH):
        stores.members.update(
            changed[start : start + _BATCH], key=["campaign", "candidate_id"]
        )
    gone = sorted(set(known) - {one["candidate_id"] for one in members})
    for start in range(0, len(gone), _BATCH):
        ids = {"$in": gone[start : start + _BATCH]}
        stores.members.remove_docs({"campaign": spec.name, "candidate_id": ids})
    stores.campaigns.update(
        {
            "name": spec.name,
            "spec": spec.model_dump(mode="json"),
            "members": len(members),
            "digest": registration_digest(spec, campaign.path, limit=campaign.limit),
            "key_sum": key_sum(str(member["content_key"]) for member in members),
            "gate_since": gate_since(
                stores.campaigns.query_one({"name": spec.name}), spec
            ),
        },
        key="name",
    )
    return new


def release(campaign: Campaign, stores: Stores, candidate_ids: Sequence[str]) -> int:
    """
    Let gated candidates of a campaign pass; the next run computes them.

    Parameters
    ----------
    campaign
        The campaign, registered.
    stores
        Open stores.
    candidate_ids
        Candidates to release.

    Returns
    -------
    int
        Number of candidates that were not released before.
    """
    docs = list(
        stores.members.query(
            {
                "campaign": campaign.spec.name,
                "candidate_id": {"$in": list(candidate_ids)},
                "released": {"$ne": True},
            }
        )
    )
    for doc in docs:
        doc.pop("_id", None)
        doc["released"] = True
    if docs:
        stores.members.update(docs, key=["campaign", "candidate_id"])
    return len(docs)

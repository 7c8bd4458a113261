"""Writing a campaign and its candidates into the database, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hts_battery.campaign.local_run import released_ids
from hts_battery.campaign.registered import registration_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.campaign.campaign_file import Campaign
    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.candidate import CandidateDoc

_BATCH = 1000


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
    spec = campaign.spec
    chosen = list(campaign.members())
    new = _add_candidates([candidate for _, candidate in chosen], stores)
    released = released_ids(spec.name, stores)
    # An index may exceed the 64 bits of a BSON integer, so it is stored as text.
    members = [
        {
            "campaign": spec.name,
            "candidate_id": candidate.candidate_id,
            "content_key": campaign.key(candidate),
            "space_index": str(index),
            "released": candidate.candidate_id in released,
        }
        for index, candidate in chosen
    ]
    for start in range(0, len(members), _BATCH):
        stores.members.update(
            members[start : start + _BATCH], key=["campaign", "candidate_id"]
        )
    kept = [member["candidate_id"] for member in members]
    stores.members.remove_docs({"campaign": spec.name, "candidate_id": {"$nin": kept}})
    stores.campaigns.update(
        {
            "name": spec.name,
            "spec": spec.model_dump(mode="json"),
            "members": len(members),
            "digest": registration_digest(spec, campaign.path, limit=campaign.limit),
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


def _add_candidates(candidates: Sequence[CandidateDoc], stores: Stores) -> int:
    ids = [candidate.candidate_id for candidate in candidates]
    known = set(
        stores.candidates.distinct("candidate_id", {"candidate_id": {"$in": ids}})
    )
    docs = [
        candidate.model_dump(mode="json")
        for candidate in candidates
        if candidate.candidate_id not in known
    ]
    for start in range(0, len(docs), _BATCH):
        stores.candidates.update(docs[start : start + _BATCH], key="candidate_id")
    return len(docs)

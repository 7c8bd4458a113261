"""Writing a campaign and its candidates into the database, each exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    # An index may exceed the 64 bits of a BSON integer, so it is stored as text.
    members = [
        {
            "campaign": spec.name,
            "candidate_id": candidate.candidate_id,
            "content_key": campaign.key(candidate),
            "space_index": str(index),
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
        {"name": spec.name, "spec": spec.model_dump(mode="json")}, key="name"
    )
    return new


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

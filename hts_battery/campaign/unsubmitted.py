"""Members of a submitted campaign that nobody submitted: outside --range or --shard."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pydantic import Field

from hts_battery.connections.records.stored_documents import read_stored
from hts_battery.flows.recipes.calculated import Calculated, read_some, released_ids
from hts_battery.schemas.base import Document
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hts_battery.connections.database.stores import Stores


class Unsubmitted(Document):
    """How many members wait that no submission named, and what sends them."""

    campaign: str = Field(description="Name of the campaign.")
    members: int = Field(gt=0, description="Members that need work, in no backlog.")
    command: str = Field(description="Command that submits them.")


def unsubmitted(stores: Stores, campaign: str) -> Unsubmitted | None:
    """
    Count the members that still need work and stand in no backlog; none if none do.

    A member whose calculation is in the backlog of another campaign is sent there.
    """
    doc = stores.campaigns.query_one({"name": campaign})
    submission = stores.submissions.query_one({"campaign": campaign})
    if doc is None or submission is None:
        return None
    members = {
        one["content_key"]: one["candidate_id"]
        for one in stores.members.query(
            {"campaign": campaign}, properties=["content_key", "candidate_id"]
        )
    }
    # A cheap answer for the many campaigns that were submitted whole.
    own = _keys(stores, {"campaign": campaign})
    left = members.keys() - own
    if left:
        left -= _keys(stores, {"campaign": {"$ne": campaign}})
    if not left:
        return None
    spec = read_stored(CampaignSpec, doc.get("spec"), f"the campaign {campaign}")
    released = released_ids(campaign, stores)
    known = read_some(stores, sorted(left))
    waiting = sum(
        known.get(key, Calculated())
        .asked_for(spec.orderings, spec.relaxation.steps)
        .needs_work(spec.gate, released=members[key] in released, retry_failed=False)
        for key in left
    )
    if not waiting:
        return None
    return Unsubmitted(
        campaign=campaign, members=waiting, command=_command(doc, submission)
    )


def _keys(stores: Stores, criteria: Mapping[str, Any]) -> set[str]:
    """Return the content keys of backlogs."""
    blocks = stores.backlog.query(dict(criteria), properties=["items.content_key"])
    return {item["content_key"] for block in blocks for item in block["items"]}


def _command(doc: Mapping[str, Any], submission: Mapping[str, Any]) -> str:
    file = doc.get("file") or f"{doc['name']}.yaml"
    words = ["hts", "campaign", "submit", file, "--worker", str(submission["worker"])]
    return shlex.join(words)

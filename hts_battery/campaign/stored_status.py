"""Where every campaign of a database stands, without the files they came from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hts_battery.campaign.dispatched import Dispatched
from hts_battery.campaign.registration import Registered
from hts_battery.campaign.status import answer, count_dispatched, last_build
from hts_battery.connections.database.clients import translated_outages
from hts_battery.schemas.campaign import CampaignSpec

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.status import CampaignStatus


def stored_statuses(
    stores: Stores, *, execution_folder: Path, now: datetime | None = None
) -> list[CampaignStatus]:
    """
    Say where every registered campaign stands; nothing is written.

    The states are those of :func:`hts_battery.campaign.status.campaign_status`, except
    that candidates which a changed file would add are not known here.

    Parameters
    ----------
    stores
        Open stores.
    execution_folder
        Folder of the execution record: what runs on this machine.
    now
        The time of the answer.
    """
    now = now or datetime.now(UTC)
    found = []
    with translated_outages(stores.database.uri, "looking where campaigns stand"):
        build = last_build(stores)
        for doc in stores.campaigns.query({}, sort={"name": 1}):
            if "key_sum" not in doc:
                continue  # not registered as campaigns are today: nothing to count
            known = Registered(
                CampaignSpec.model_validate(doc["spec"]),
                doc["members"],
                doc["key_sum"],
                datetime.fromisoformat(doc["gate_since"]),
            )
            dispatched = Dispatched.read(stores, known.spec.name)
            counted = count_dispatched(known, dispatched, stores, execution_folder)
            found.append(answer(known.spec.name, counted, dispatched, build, now=now))
    return found

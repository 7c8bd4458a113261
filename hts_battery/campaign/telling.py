"""Telling the operator what the feeder saw, each thing once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.alerts import alert_facts, alerts
from hts_battery.campaign.dispatched import Dispatched
from hts_battery.connections.clients import translated_outages
from hts_battery.connections.notifications import notify
from hts_battery.schemas.alert import AlertMemory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import SecretStr

    from hts_battery.connections.stores import Stores
    from hts_battery.schemas.alert import Alert
    from hts_battery.schemas.dispatch import FeedReport

logger = logging.getLogger(__name__)


def tell(
    stores: Stores, reports: Iterable[FeedReport], urls: Sequence[SecretStr]
) -> list[Alert]:
    """
    Send and log what is new about campaigns, after the feeder looked at them.

    What was told is remembered in the database, after it was sent: a feeder that is
    killed in between tells it twice, never not at all. An address that cannot be
    reached is logged and not tried again for the same message.

    Parameters
    ----------
    stores
        Open stores.
    reports
        What the feeder saw.
    urls
        Addresses; without any, messages are only logged.

    Returns
    -------
    list of Alert
        What was told.
    """
    told: list[Alert] = []
    with translated_outages(stores.database.uri, "telling what happened"):
        last_build = next(
            iter(stores.builds.query({}, sort={"run_id": -1}, limit=1)), None
        )
        for report in reports:
            told += _tell(stores, report, last_build, urls)
    return told


def _tell(
    stores: Stores,
    report: FeedReport,
    last_build: Mapping[str, Any] | None,
    urls: Sequence[SecretStr],
) -> tuple[Alert, ...]:
    facts = alert_facts(
        Dispatched.read(stores, report.campaign),
        node_hours=report.node_hours,
        last_build=last_build,
    )
    if facts is None:
        return ()
    memory = _remembered(stores, report.campaign)
    found, changed = alerts(memory, facts)
    for alert in found:
        logger.warning("%s. %s", alert.title, alert.body)
    notify(found, urls)
    if changed != memory:
        stores.alerts.update(changed.model_dump(mode="json"), key="campaign")
    return found


def _remembered(stores: Stores, campaign: str) -> AlertMemory:
    doc: dict[str, Any] | None = stores.alerts.query_one({"campaign": campaign})
    if doc is None:
        return AlertMemory(campaign=campaign)
    return AlertMemory.model_validate(
        {name: doc[name] for name in AlertMemory.model_fields if name in doc}
    )

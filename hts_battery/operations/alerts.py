"""When the operator is told something, and that it is told once."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from hts_battery.campaign.dispatched import Dispatched
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.notifications import notify
from hts_battery.connections.records.stored_documents import readable
from hts_battery.errors import UnreadableDocumentError
from hts_battery.schemas.alert import Alert, AlertFacts, AlertKind, AlertMemory
from hts_battery.schemas.build import BuildState
from hts_battery.schemas.dispatch import EndingKind, Hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import SecretStr

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.dispatch import FeedReport
    from hts_battery.schemas.rows import EndingRow

logger = logging.getLogger(__name__)

LAST = 20
"""Dispatches that ended last, whose failures are compared with those before."""
LEAST_FAILED = 5
"""Failures among them below which nobody is woken."""
_JUMP = 0.25  # share above that of before
_OVER = 0.10  # share above that of before at which a jump is over
_NEAR = 0.8
Told = tuple[Alert | None, dict[str, object]]


def tell(
    stores: Stores, reports: Iterable[FeedReport], urls: Sequence[SecretStr]
) -> list[Alert]:
    """
    Send and log what is new about campaigns, after the feeder looked at them.

    What was told is remembered in the database, after it was sent: a feeder that is
    killed in between tells it twice, never not at all. An address that cannot be
    reached is logged and not tried again for the same message.

    ``reports``: what the feeder saw. ``urls``: addresses; without any, messages are
    only logged. Returns: what was told.
    """
    told: list[Alert] = []
    with translated_outages(stores.database.uri, "sending alerts"):
        last_build = next(
            iter(stores.builds.query({}, sort={"run_id": -1}, limit=1)), None
        )
        for report in reports:
            try:
                with readable(f"a document of {report.campaign}"):
                    told += _tell(stores, report, last_build, urls)
            except UnreadableDocumentError as err:
                # The feeder says so, too; the others are told what is new of them.
                logger.warning("no alerts about %s: %s", report.campaign, err)
    return told


def _tell(
    stores: Stores,
    report: FeedReport,
    last_build: Mapping[str, object] | None,
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
    doc = stores.alerts.query_one({"campaign": campaign})
    if doc is None:
        return AlertMemory(campaign=campaign)
    return AlertMemory.model_validate(
        {name: doc[name] for name in AlertMemory.model_fields if name in doc}
    )


def alerts(
    memory: AlertMemory, facts: AlertFacts
) -> tuple[tuple[Alert, ...], AlertMemory]:
    """
    Say what the operator is to be told now.

    A jump of failures is told once: told again only after the share has come down to
    what it was before. Each of the two marks of a budget is told once for each
    budget, an end once for each number of candidates, a failed build once for each
    run.

    ``memory``: what was told. ``facts``: how the campaign stands. Returns: the
    messages, and what to remember once they were sent.
    """
    found: list[Alert] = []
    changed: dict[str, object] = {}
    for rule in (_failures, _budget, _end, _build):
        message, update = rule(memory, facts)
        changed |= update
        if message is not None:
            found.append(message)
    return tuple(found), memory.model_copy(update=changed)


def _failures(memory: AlertMemory, facts: AlertFacts) -> Told:
    last, before = facts.failed[-LAST:], facts.failed[:-LAST]
    now, usual = _share(last), _share(before)
    if memory.is_failing:
        return None, {"is_failing": now > usual + _OVER}
    if len(last) < LAST or sum(last) < LEAST_FAILED or now < usual + _JUMP:
        return None, {}
    kind = f", most of them {facts.failure_class}" if facts.failure_class else ""
    return (
        Alert(
            kind=AlertKind.FAILURES,
            title=f"{facts.campaign}: {sum(last)} of the last {LAST} failed",
            body=f"{now:.0%} of the last {LAST} candidates failed{kind}; before it was "
            f"{usual:.0%}. `hts launchpad triage` groups them, `hts campaign pause` "
            "keeps more from being sent.",
        ),
        {"is_failing": True},
    )


def _budget(memory: AlertMemory, facts: AlertFacts) -> Told:
    budget = facts.budget
    if budget is None:
        return None, {}
    told = memory.told_share if memory.told_budget == budget else 0.0
    share = facts.node_hours / budget if budget else 1.0
    spent = f"{facts.node_hours:.3g} of {budget:.3g} node-hours are spent"
    if share >= 1.0 > told:
        return (
            Alert(
                kind=AlertKind.BUDGET_REACHED,
                title=f"{facts.campaign}: the budget is spent",
                body=f"{spent}; nothing more is sent. {facts.unfinished} candidates "
                "are not done: submit the campaign again with a larger --budget.",
            ),
            {"told_budget": budget, "told_share": 1.0},
        )
    if share >= _NEAR > told:
        return (
            Alert(
                kind=AlertKind.BUDGET_NEAR,
                title=f"{facts.campaign}: {share:.0%} of the budget is spent",
                body=f"{spent}, {facts.unfinished} candidates are not done. "
                "`hts campaign plan` says what they will cost.",
            ),
            {"told_budget": budget, "told_share": _NEAR},
        )
    return None, {}


def _end(memory: AlertMemory, facts: AlertFacts) -> Told:
    if facts.unfinished or not facts.ended:
        return None, {"told_ended": None}
    if memory.told_ended == facts.ended:
        return None, {}
    failed = sum(facts.failed)
    return (
        Alert(
            kind=AlertKind.ENDED,
            title=f"{facts.campaign}: ended",
            body=f"{facts.ended} candidates have ended, {failed} dispatches failed, "
            f"{facts.node_hours:.3g} node-hours were spent. `hts build all` assesses "
            "what was computed.",
        ),
        {"told_ended": facts.ended},
    )


def _build(memory: AlertMemory, facts: AlertFacts) -> Told:
    run = facts.failed_build
    if run is None or run == memory.told_build:
        return None, {}
    return (
        Alert(
            kind=AlertKind.BUILD_FAILED,
            title=f"{facts.campaign}: a build failed",
            body=f"run {run} of the builders: {facts.build_error or 'interrupted'}. "
            "What stood there still stands; `hts build all` tries again.",
        ),
        {"told_build": run},
    )


def _share(failed: Sequence[bool]) -> float:
    return sum(failed) / len(failed) if failed else 0.0


def alert_facts(
    dispatched: Dispatched,
    *,
    node_hours: float,
    last_build: Mapping[str, object] | None,
) -> AlertFacts | None:
    """
    Gather what the rules look at; None where the campaign was not submitted.

    ``dispatched``: backlog of the campaign. ``node_hours``: node-hours spent, those of
    running launches included. ``last_build``: manifest of the last run of the builders.
    """
    submission = dispatched.submission
    if submission is None:
        return None
    endings = sorted(
        (
            ending
            for item in dispatched.own
            for ending in (*item["earlier"], item["ending"])
            if ending is not None and ending["kind"] != EndingKind.CANCELLED
        ),
        key=lambda ending: datetime.fromisoformat(ending["time"]),
    )
    build = last_build or {}
    broken = build.get("state") in {BuildState.FAILED, BuildState.INTERRUPTED}
    return AlertFacts(
        campaign=dispatched.campaign,
        failed=tuple(one["kind"] == EndingKind.FAILED for one in endings),
        failure_class=_commonest(endings[-LAST:]),
        node_hours=node_hours,
        budget=submission["budget"],
        unfinished=sum(item["ending"] is None for item in dispatched.own),
        ended=sum(item["ending"] is not None for item in dispatched.own),
        is_held=submission["hold"] in {Hold.PAUSED, Hold.BUDGET},
        failed_build=build["run_id"] if broken else None,
        build_error=build.get("error") if broken else None,
    )


def _commonest(endings: Iterable[EndingRow]) -> str | None:
    classes = Counter(
        one["failure_class"] for one in endings if one["failure_class"] is not None
    )
    return classes.most_common(1)[0][0] if classes else None

"""When the operator is told something, and that it is told once."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hts_battery.campaign.dispatched import Dispatched, single_failures
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.reservations import worker_loads
from hts_battery.connections.notifications import notify
from hts_battery.connections.records.stored_documents import readable
from hts_battery.errors import UnreadableDocumentError
from hts_battery.operations.brake import BrakeLimits, brake
from hts_battery.schemas.alert import Alert, AlertFacts, AlertKind, AlertMemory
from hts_battery.schemas.build import BuildState
from hts_battery.schemas.dispatch import EndingKind, Hold
from hts_battery.schemas.worker_control import PausedBy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import SecretStr

    from hts_battery.connections.database.stores import Stores
    from hts_battery.connections.launchpad.reservations import WorkerLoad
    from hts_battery.schemas.dispatch import FeedReport
    from hts_battery.schemas.rows import EndingRow
    from hts_battery.schemas.worker_control import WorkerControl

logger = logging.getLogger(__name__)

LAST = 20
"""Dispatches that ended last, whose failures are compared with those before."""
LEAST_FAILED = 5
"""Failures among them below which nobody is woken."""
_JUMP = 0.25  # share above that of before
_OVER = 0.10  # share above that of before at which a jump is over
_NEAR = 0.8
_READY_HOURS = 1.0
_LAUNCHER_SILENCE = timedelta(minutes=15)
"""Longer than a launcher waits between two looks at a queue that refuses."""
_SECONDS_PER_HOUR = 3600
Told = tuple[Alert | None, dict[str, object]]


def tell(
    stores: Stores,
    reports: Iterable[FeedReport],
    urls: Sequence[SecretStr],
    *,
    limits: BrakeLimits | None = None,
) -> list[Alert]:
    """
    Send and log what is new about campaigns, after the feeder looked at them.

    What was told is remembered in the database, after it was sent: a feeder that is
    killed in between tells it twice, never not at all. An address that cannot be
    reached is logged and not tried again for the same message.

    ``reports``: what the feeder saw. ``urls``: addresses; without any, messages are
    only logged. ``limits``: when the brake holds a campaign or a worker; without any it
    holds none. Returns: what was told.
    """
    told: list[Alert] = []
    with translated_outages(stores.database.uri, "sending alerts"):
        last_build = next(
            iter(stores.builds.query({}, sort={"run_id": -1}, limit=1)), None
        )
        loads = worker_loads(launchpad_beside(stores))
        for report in reports:
            try:
                with readable(f"a document of {report.campaign}"):
                    dispatched = Dispatched.read(stores, report.campaign)
                    if limits is not None and brake(stores, dispatched, limits):
                        dispatched = Dispatched.read(stores, report.campaign)
                    facts = alert_facts(
                        dispatched,
                        node_hours=report.node_hours,
                        last_build=last_build,
                        loads=loads,
                    )
                    told += _tell(stores, facts, urls)
            except UnreadableDocumentError as err:
                # The feeder says so, too; the others are told what is new of them.
                logger.warning("no alerts about %s: %s", report.campaign, err)
    return told


def _tell(
    stores: Stores, facts: AlertFacts | None, urls: Sequence[SecretStr]
) -> tuple[Alert, ...]:
    if facts is None:
        return ()
    memory = _remembered(stores, facts.campaign)
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
    found += _holds(memory, facts) + _unlaunched(memory, facts)
    changed["told_holds"] = tuple(facts.holds)
    changed["told_unlaunched"] = tuple(facts.unlaunched)
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


def _holds(memory: AlertMemory, facts: AlertFacts) -> list[Alert]:
    """Say once of each campaign and worker that it is held, until it is released."""
    return [
        Alert(
            kind=AlertKind.HELD,
            title=f"{name} is held",
            body=f"{why}. Put that right, then "
            + (
                f"`hts campaign resume {name}` goes on."
                if name == facts.campaign
                else f"`hts worker resume {name}` goes on."
            ),
        )
        for name, why in facts.holds.items()
        if name not in memory.told_holds
    ]


def _unlaunched(memory: AlertMemory, facts: AlertFacts) -> list[Alert]:
    """Say once of each worker that nobody launches for it, until somebody does."""
    return [
        Alert(
            kind=AlertKind.NO_LAUNCHER,
            title=f"{facts.campaign}: no launcher of {worker}",
            body=f"work is ready for {worker} for {hours:.1f} h and nothing submits "
            f"it. `hts runner status` says what runs; `hts runner start {worker}`, or "
            f"`hts launchpad launch {worker}`, submits it.",
        )
        for worker, hours in facts.unlaunched.items()
        if worker not in memory.told_unlaunched
    ]


def unlaunched(
    loads: Mapping[str, WorkerLoad],
    controls: Mapping[str, WorkerControl],
    workers: Iterable[str],
    now: datetime,
) -> dict[str, float]:
    """
    Return the workers for which work is ready for an hour and that no launcher sees.

    A launcher of ours says when it looks. FireWorks' own says nothing: where something
    is in the queue it is taken to be there, and the queue to be full. A worker that is
    paused has no launcher on purpose.

    ``loads``: what the launchpad holds for each worker. ``controls``: how each may be
    used. ``workers``: those that are looked at. Returns: worker → hours.
    """
    found = {}
    for worker in workers:
        load, control = loads.get(worker), controls.get(worker)
        if load is None or load.waiting_since is None or (control and control.paused):
            continue
        hours = (now - load.waiting_since).total_seconds() / _SECONDS_PER_HOUR
        if hours < _READY_HOURS:
            continue
        launcher = control.launcher if control else None
        if launcher is not None and now - launcher.looked_at < _LAUNCHER_SILENCE:
            continue
        if launcher is None and load.in_queue:
            continue
        found[worker] = hours
    return found


def _share(failed: Sequence[bool]) -> float:
    return sum(failed) / len(failed) if failed else 0.0


def alert_facts(
    dispatched: Dispatched,
    *,
    node_hours: float,
    last_build: Mapping[str, object] | None,
    loads: Mapping[str, WorkerLoad] | None = None,
    now: datetime | None = None,
) -> AlertFacts | None:
    """
    Gather what the rules look at; None where the campaign was not submitted.

    ``dispatched``: backlog of the campaign. ``node_hours``: node-hours spent, those of
    running launches included. ``last_build``: manifest of the last run of the builders.
    ``loads``: what the launchpad holds for each worker.
    """
    submission = dispatched.submission
    if submission is None:
        return None
    told = sorted(
        (
            ending
            for item in dispatched.own
            for ending in (*item["earlier"], item["ending"])
            if ending is not None and ending["kind"] != EndingKind.CANCELLED
        ),
        key=lambda ending: datetime.fromisoformat(ending["time"]),
    )
    endings = single_failures(told)
    build = last_build or {}
    holds = {
        name: one.reason
        for name, one in dispatched.paused.items()
        if one.paused_by in {PausedBy.BRAKE, PausedBy.LAUNCHER}
    }
    if submission["hold"] == Hold.BRAKE:
        holds[dispatched.campaign] = submission["hold_reason"]
    broken = build.get("state") in {BuildState.FAILED, BuildState.INTERRUPTED}
    return AlertFacts(
        campaign=dispatched.campaign,
        failed=tuple(one["kind"] == EndingKind.FAILED for one in endings),
        failure_class=_commonest(endings[-LAST:]),
        node_hours=node_hours,
        budget=submission["budget"],
        unfinished=sum(item["ending"] is None for item in dispatched.own),
        ended=sum(item["ending"] is not None for item in dispatched.own),
        is_held=submission["hold"] in {Hold.PAUSED, Hold.BUDGET, Hold.BRAKE},
        failed_build=build["run_id"] if broken else None,
        build_error=build.get("error") if broken else None,
        holds=holds,
        unlaunched=unlaunched(
            loads or {},
            dispatched.controls,
            dispatched.workers,
            now or datetime.now(UTC),
        ),
    )


def _commonest(endings: Iterable[EndingRow]) -> str | None:
    classes = Counter(
        one["failure_class"] for one in endings if one["failure_class"] is not None
    )
    return classes.most_common(1)[0][0] if classes else None

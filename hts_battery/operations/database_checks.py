"""What `hts doctor` asks of the database."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hts_battery.builders.energy_tasks import doubles, read_energy_tasks
from hts_battery.builders.summary import RECORD_FIELDS, grouped_records, why_unmade
from hts_battery.campaign.build import stored_campaigns
from hts_battery.connections.database.health import (
    clock_skew,
    dead_locks,
    drop_lock,
    durability,
    large_documents,
    unknown_indexes,
    uri_options,
)
from hts_battery.connections.database.indexes import ensure_indexes, missing_indexes
from hts_battery.connections.database.layout import check_layout
from hts_battery.connections.launchpad.launchpad import launchpad_beside
from hts_battery.connections.launchpad.workflows import read_workflows
from hts_battery.connections.records.backlog import read_blocks, read_submissions
from hts_battery.connections.records.worker_controls import read_worker_controls
from hts_battery.errors import StoreError
from hts_battery.schemas.alert import Finding, Level
from hts_battery.schemas.dispatch import Hold
from hts_battery.schemas.worker_control import PausedBy
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.dispatch import BacklogItem

LIMIT_BYTES = 16 * 1024**2
_LARGE_BYTES = 12 * 1024**2
_SKEW_SECONDS, _SKEW_PROBLEM_SECONDS = 5.0, 60.0
_SHOWN = 5


def layout(stores: Stores) -> Iterable[Finding]:
    """Find a layout that is not this version's, or a restoration that was killed."""
    try:
        check_layout(stores.database)
    except StoreError as err:
        yield Finding(
            check="layout",
            level=Level.PROBLEM,
            what=str(err),
            action="until then every other command refuses the database",
        )


def indexes(stores: Stores, *, fix: bool) -> Iterable[Finding]:
    """Indexes that queries need, and those that cost writes for nothing."""
    missing = missing_indexes(stores)
    if missing and fix:
        ensure_indexes(stores)
    if missing:
        yield Finding(
            check="indexes",
            level=Level.PROBLEM,
            what=f"{len(missing)} missing: {some(missing)}",
            where=stores.database.location,
            action="hts doctor --fix makes them",
            fixed=fix,
        )
    if extra := unknown_indexes(stores):
        yield Finding(
            check="indexes",
            level=Level.WARNING,
            what=f"{len(extra)} that no query of this version needs: {some(extra)}",
            where=stores.database.location,
            action="drop by hand what nobody made on purpose",
        )


def locks(stores: Stores, *, fix: bool) -> Iterable[Finding]:
    """Locks whose holders are dead."""
    for lock, why in list(dead_locks(stores)):
        yield Finding(
            check="locks",
            level=Level.WARNING,
            what=f"the lock {lock['name']!r} of {lock['holder']} (process "
            f"{lock['pid']}) is left over: {why}",
            where=lock["host"],
            action="the next holder takes it over; hts doctor --fix drops it",
            fixed=fix and drop_lock(stores, lock),
        )


def document_sizes(stores: Stores) -> Iterable[Finding]:
    """Documents near the 16 MB that a server takes."""
    for large in large_documents(stores.database, above=_LARGE_BYTES):
        yield Finding(
            check="document sizes",
            level=Level.WARNING,
            what=f"document {large.key} has {large.bytes / 1e6:.1f} MB; the server "
            f"refuses {LIMIT_BYTES / 1e6:.1f} MB",
            where=f"{stores.database.location}, {large.name}",
            action="keep large outputs in GridFS or a bucket: HTS_BATTERY_BLOB_STORE",
        )


def clock(stores: Stores) -> Iterable[Finding]:
    """Skew between this host and the server: locks of other hosts expire by it."""
    seconds = clock_skew(stores.database).total_seconds()
    if abs(seconds) > _SKEW_SECONDS:
        bad = abs(seconds) > _SKEW_PROBLEM_SECONDS
        yield Finding(
            check="clock",
            level=Level.PROBLEM if bad else Level.WARNING,
            what=f"the database server's clock is {seconds:+.0f} s from this host's",
            where=stores.database.location,
            action="set both by NTP (timedatectl, chronyc): a lock of another host "
            "counts as dead after 120 s without a heartbeat",
        )


def durable_writes(stores: Stores) -> Iterable[Finding]:
    """Find settings with which a write that was acknowledged can be lost."""
    where = stores.database.location
    if stores.database.server is not None:
        return  # started by us with --sync-on-commit, see decision 0002
    found = durability(stores.database)
    options = uri_options(stores.database.uri)
    concern = options.get("w", found.write_concern.get("w"))
    if concern in {0, "0"}:
        yield _undurable(Level.PROBLEM, "w=0: no write is acknowledged", where, "w=")
    elif found.replicas and found.replicas > 1 and concern in {1, "1"}:
        what = "w=1 on a replica set: a write is lost when the primary fails before"
        yield _undurable(Level.PROBLEM, f"{what} it was copied", where, "w=majority")
    journal = options.get("journal", found.write_concern.get("j"))
    if journal is False:
        what = "journal=false: acknowledged writes of the last 0.1 s can be lost"
        yield _undurable(Level.PROBLEM, what, where, "journal=true")
    elif not found.replicas and journal is None:
        what = (
            "a single server acknowledges before its journal is on the disk: the last "
            "0.1 s can be lost"
        )
        yield _undurable(Level.WARNING, what, where, "journal=true")
    if options.get("retrywrites") is False:
        what = "retryWrites=false: an election ends a running command"
        yield _undurable(Level.WARNING, what, where, "retryWrites=true")


def _undurable(level: Level, what: str, where: str, option: str) -> Finding:
    return Finding(
        check="durability",
        level=level,
        what=what,
        where=where,
        action=f"write {option} into HTS_BATTERY_MONGO_URI",
    )


def backlog(stores: Stores) -> Iterable[Finding]:
    """Candidates that were sent to a launchpad that does not know them."""
    for submission in read_submissions(stores):
        name = submission.campaign
        sent = _sent(stores, name)
        if not sent:
            continue
        whole = {
            one.dispatch_id
            for one in read_workflows(launchpad_beside(stores), name).values()
            if not one.is_broken
        }
        # What a feeder took in since is neither sent any more nor in the launchpad.
        after = _sent(stores, name)
        lost = [
            item
            for key, item in sent.items()
            if item.dispatch_id not in whole and after.get(key) == item
        ]
        if lost:
            fireworks = sorted({str(item.fw_id) for item in lost}, key=int)
            yield Finding(
                check="backlog",
                level=Level.PROBLEM,
                what=f"{len(lost)} candidates of {name} have no Firework: "
                f"{some(fireworks)} of the launchpad is not there or not whole",
                where=stores.database.location,
                action="hts launchpad feed puts them back",
            )


def copies(stores: Stores) -> Iterable[Finding]:
    """Find calculations that were done more than once; one entry is made of each."""
    found = doubles(read_energy_tasks(stores.tasks))
    if found:
        names = (
            f"{one[0].key} {one[0].step} of ordering {one[0].ordering_id} "
            f"({len(one)} jobs)"
            for one in found
        )
        yield Finding(
            check="copies",
            level=Level.WARNING,
            what=f"{len(found)} calculations were done more than once, "
            f"{sum(map(len, found)) - len(found)} for nothing: {some(names)}",
            where=stores.database.location,
            action="each counts once, the first that succeeded; see that one launcher "
            "serves each worker and that no other database does",
        )


def holds(stores: Stores) -> Iterable[Finding]:
    """Find workers and campaigns to which nothing is sent, and who wanted that."""
    for control in read_worker_controls(stores):
        if control.paused:
            by = control.paused_by or PausedBy.OPERATOR
            yield Finding(
                check="holds",
                level=Level.OK if by is PausedBy.OPERATOR else Level.PROBLEM,
                what=f"worker {control.worker} is paused by the {by}: "
                f"{control.reason or 'no reason was given'}",
                where=stores.database.location,
                action=f"put that right, then hts worker resume {control.worker}",
            )
    for submission in read_submissions(stores):
        if submission.hold is Hold.BRAKE:
            yield Finding(
                check="holds",
                level=Level.PROBLEM,
                what=f"campaign {submission.campaign} is held by the brake: "
                f"{submission.hold_reason}",
                where=stores.database.location,
                action="put that right, then hts campaign resume "
                f"{submission.campaign}",
            )


def summaries(stores: Stores) -> Iterable[Finding]:
    """Find stabilities of one candidate that cannot be put side by side."""
    for spec in stored_campaigns(stores):
        records = stores.thermo.query(
            {"campaign": spec.name}, properties=list(RECORD_FIELDS)
        )
        temperatures = spec.temperatures or get_settings().temperatures
        unmade = Counter(
            why
            for group in grouped_records(records).values()
            if (why := why_unmade(group, temperatures)) is not None
        )
        for why, number in unmade.most_common(_SHOWN):
            yield Finding(
                check="summaries",
                level=Level.PROBLEM,
                what=f"{number} candidates of {spec.name} have no summary of all "
                f"temperatures: {why}",
                where=stores.database.location,
                action="hts build all assesses them again",
            )


def _sent(stores: Stores, campaign: str) -> dict[str, BacklogItem]:
    """Candidates that stand in the launchpad by the backlog, by content key."""
    return {
        item.content_key: item
        for block in read_blocks(stores, campaign)
        for item in block.items
        if item.fw_id is not None and item.ending is None
    }


def some(names: Iterable[str]) -> str:
    """Name the first few, and how many more there are."""
    listed = list(names)
    rest = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + rest

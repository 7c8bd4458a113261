"""Where whole campaigns stand: what decides it is read, and its states are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.built_states import noted_built_states, read_built_states
from hts_battery.campaign.dispatched import Dispatched
from hts_battery.campaign.registration import Registered, key_sum, registered
from hts_battery.campaign.source import resolved
from hts_battery.campaign.spec_file import (
    load_campaign,
    read_campaign,
    read_spec,
)
from hts_battery.campaign.states import CandidateRecords, candidate_state
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.records.executions import running_keys
from hts_battery.connections.records.stored_documents import read_stored, readable
from hts_battery.errors import UnreadableDocumentError
from hts_battery.flows.recipes.calculated import (
    Calculated,
    read_calculated,
    read_some,
    released_ids,
)
from hts_battery.schemas.alert import AlertMemory
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.state import CandidateState
from hts_battery.schemas.status import BuildStatus, CampaignStatus, DispatchStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.dispatched import DispatchRecord
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.campaign.states import StateAndReason
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.alert import AlertKind
    from hts_battery.schemas.candidate import CandidateDoc
    from hts_battery.schemas.rows import EndingRow

REASONS_SHOWN = 10
_SECONDS_PER_HOUR = 3600.0
_RATE_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class CandidateStatus:
    """Where one candidate of a campaign stands, and why."""

    candidate: CandidateDoc
    state: CandidateState
    reason: str | None
    failed_orderings: int = 0
    """Orderings that failed, where others of the candidate did not."""


def candidate_statuses(
    campaign: Campaign, stores: Stores, *, execution_folder: Path
) -> list[CandidateStatus]:
    """
    Derive the state of every candidate of a campaign from every output there is.

    :func:`campaign_status` answers sooner for a campaign that was submitted.
    """
    campaign = resolved(campaign, stores)
    spec = campaign.spec
    members = set(stores.members.distinct("candidate_id", {"campaign": spec.name}))
    released = released_ids(spec.name, stores)
    built = read_built_states(stores, spec.name)
    # Before the outputs: what ends in between is then seen to have ended.
    running = running_keys(execution_folder)
    dispatched = Dispatched.read(stores, spec.name, everywhere=True)
    calculated, nothing = read_calculated(stores), Calculated()
    found = []
    for _, candidate in campaign.members():
        name, key = candidate.candidate_id, campaign.key(candidate)
        known = calculated.get(key, nothing).asked_for(
            spec.orderings, spec.relaxation.steps
        )
        state, reason = candidate_state(
            CandidateRecords(
                name,
                key,
                is_member=name in members,
                runs_here=key in running,
                dispatch=dispatched.record(key),
                calculated=known,
                gate=None if name in released else spec.gate,
                built=built,
            )
        )
        failed = 0 if state is CandidateState.FAILED else len(known.failed)
        found.append(CandidateStatus(candidate, state, reason, failed))
    return found


def campaign_status(
    path: Path,
    stores: Stores,
    *,
    execution_folder: Path,
    exact: bool = False,
    now: datetime | None = None,
) -> CampaignStatus:
    """
    Say where the campaign of a file stands.

    Where it was submitted its backlog is read and not its outputs, unless an exact
    answer is asked for. The folder is that of the execution record.
    """
    now = now or datetime.now(UTC)
    with translated_outages(stores.database.uri, "looking where a campaign stands"):
        known = registered(path, stores)
        # What was left out is no candidate of the campaign.
        campaign = load_campaign(path, skip_bad=True) if known is None else None
        spec = read_spec(path) if known is None else known.spec
        dispatched = Dispatched.read(stores, spec.name)
        states: Iterable[StateAndReason]
        if exact or known is None or dispatched.submission is None:
            exact = True
            found = candidate_statuses(
                campaign or read_campaign(path, skip_bad=True),
                stores,
                execution_folder=execution_folder,
            )
            states = ((one.state, one.reason) for one in found)
        else:
            states = _registered_states(known, dispatched, stores, execution_folder)
        return _counted(states, dispatched, last_build(stores), exact=exact, now=now)


def stored_statuses(
    stores: Stores, *, execution_folder: Path, now: datetime | None = None
) -> list[CampaignStatus]:
    """
    Say where every registered campaign stands, without the files they came from.

    The states are those of :func:`campaign_status`, except that candidates which a
    changed file would add are not known here. A campaign whose documents cannot be read
    says so and stops no other. Nothing is written.
    """
    found = []
    now = now or datetime.now(UTC)
    with translated_outages(stores.database.uri, "looking where campaigns stand"):
        build = last_build(stores)
        for doc in stores.campaigns.query({}, sort={"name": 1}):
            name = str(doc.get("name"))
            try:
                with readable(f"a document of {name}"):
                    known = _registered(doc)
                    dispatched = Dispatched.read(stores, name)
                    states = _registered_states(
                        known, dispatched, stores, execution_folder
                    )
                    status = _counted(states, dispatched, build, exact=False, now=now)
                    alerts = _alerts(stores, name, build)
                    found.append(status.model_copy(update={"alerts": alerts}))
            except UnreadableDocumentError as err:
                found.append(_unreadable(name, str(err), build, now))
    return found


def _registered(doc: Mapping[str, Any]) -> Registered:
    return Registered(
        read_stored(CampaignSpec, doc["spec"], f"the campaign {doc['name']}"),
        doc["members"],
        doc["key_sum"],
        datetime.fromisoformat(doc["gate_since"]),
    )


def _alerts(
    stores: Stores, campaign: str, build: BuildStatus | None
) -> tuple[AlertKind, ...]:
    """Return what was told about a campaign and still lasts."""
    doc = stores.alerts.query_one({"campaign": campaign})
    if doc is None:
        return ()
    broken = build is not None and build.state in {"failed", "interrupted"}
    memory = read_stored(AlertMemory, doc, f"the alerts of {campaign}")
    return memory.lasting(failed_build=build.run_id if build and broken else None)


def _unreadable(
    name: str, why: str, build: BuildStatus | None, now: datetime
) -> CampaignStatus:
    return CampaignStatus(
        campaign=name,
        candidates=0,
        states={},
        reasons={},
        exact=False,
        time=now,
        dispatch=None,
        last_build=build,
        problem=why,
    )


def _counted(
    states: Iterable[StateAndReason],
    dispatched: Dispatched,
    build: BuildStatus | None,
    *,
    exact: bool,
    now: datetime,
) -> CampaignStatus:
    """Put together what is known of a campaign."""
    pairs = Counter(states)
    counts: Counter[str] = Counter()
    for (state, _), n in pairs.items():
        counts[state] += n
    reasons = Counter({f"{s}: {why}": n for (s, why), n in pairs.items() if why})
    return CampaignStatus(
        campaign=dispatched.campaign,
        candidates=counts.total(),
        states={str(state): n for state, n in sorted(counts.items())},
        reasons=dict(reasons.most_common(REASONS_SHOWN)),
        exact=exact,
        time=now,
        dispatch=dispatch_status(dispatched, now=now),
        last_build=build,
    )


def _registered_states(
    known: Registered, dispatched: Dispatched, stores: Stores, execution_folder: Path
) -> Iterator[StateAndReason]:
    """
    Yield the states of the candidates of a registered campaign.

    The same as :func:`candidate_statuses` finds, except that outputs which nobody sent
    for, those of `hts campaign run` on a submitted campaign, are seen only once they
    were built: where the backlog says how a candidate ended, no output is read.
    """
    spec, gate = known.spec, known.spec.gate
    running = running_keys(execution_folder)
    built = noted_built_states(stores, spec.name) or read_built_states(
        stores, spec.name
    )
    members = {item["content_key"]: item["candidate_id"] for item in dispatched.own}
    if key_sum(members) != known.key_sum:
        # Some of its calculations stand in the backlogs of other campaigns, or were
        # computed before it was submitted.
        dispatched = Dispatched.read(stores, spec.name, everywhere=True)
        members = {
            doc["content_key"]: doc["candidate_id"]
            for doc in stores.members.query(
                {"campaign": spec.name}, properties=["content_key", "candidate_id"]
            )
        }
    released = set() if gate is None else released_ids(spec.name, stores)
    records = {key: dispatched.record(key) for key in members}
    unsaid = [key for key, record in records.items() if not _says_all(record, known)]
    outputs = read_some(stores, unsaid)
    calculated = {
        key: outputs.get(key, Calculated()).asked_for(
            spec.orderings, spec.relaxation.steps
        )
        for key in unsaid
    }
    for key, name in members.items():
        yield candidate_state(
            CandidateRecords(
                name,
                key,
                runs_here=key in running,
                dispatch=records[key],
                calculated=calculated.get(key),
                gate=None if name in released else gate,
                built=built,
            )
        )


def _says_all(record: DispatchRecord | None, known: Registered) -> bool:
    """Say whether the backlog tells what came of a calculation."""
    if record is None:
        return False
    if record.item["ending"] is None:
        return True  # what has come of it will change
    result = record.last_result
    if result is None:
        return True
    if result is not record.item["ending"] and result["kind"] != EndingKind.COMPUTED:
        # What failed before a cancellation may have been about to be tried again.
        return False
    fewer_steps = record.item.get("asked_steps", 0) < known.spec.relaxation.steps
    if fewer_steps or record.item["asked"] != known.spec.orderings:
        return False  # sent when the file asked for other orderings, or fewer steps
    return result["kind"] != EndingKind.GATED or known.gate_stood(
        record.campaign, datetime.fromisoformat(result["time"])
    )


def dispatch_status(dispatched: Dispatched, *, now: datetime) -> DispatchStatus | None:
    """Add up what was sent of a campaign and what it cost; none where nothing was."""
    submission = dispatched.submission
    if submission is None:
        return None
    items = dispatched.own
    last = [item["ending"] for item in items if item["ending"] is not None]
    earlier = [ending for item in items for ending in item["earlier"]]
    waiting = sum(
        item["ending"] is None and item["dispatch_id"] is None for item in items
    )
    ids = {item["dispatch_id"] for item in items if item["ending"] is None}
    in_hand = [one for name, one in dispatched.workflows.items() if name in ids]
    running = sum(one.seconds for one in in_hand) * submission["nodes"]
    rate = candidates_per_hour(
        [datetime.fromisoformat(one["time"]) for one in last],
        since=datetime.fromisoformat(submission["time"]),
        now=now,
    )
    left = len(items) - len(last)
    return DispatchStatus(
        worker=submission["worker"],
        hold=submission["hold"],
        hold_reason=submission.get("hold_reason", ""),
        paused_workers={
            name: one.reason or "an operator asked for it"
            for name, one in dispatched.paused.items()
        },
        waiting=waiting,
        in_hand=left - waiting,
        ended=len(last),
        fireworks=dict(Counter(s for one in in_hand for s in one.states.values())),
        failed=_classes(last),
        repeated=_classes(earlier),
        node_hours=sum(one["node_hours"] for one in (*last, *earlier)),
        node_hours_running=running / _SECONDS_PER_HOUR,
        budget=submission["budget"],
        candidates_per_hour=rate,
        hours_left=left / rate if rate else None,
    )


def _classes(endings: Iterable[EndingRow]) -> dict[str, int]:
    found = Counter(one["failure_class"] for one in endings if one["failure_class"])
    return dict(found.most_common())


def candidates_per_hour(
    times: Sequence[datetime], *, since: datetime, now: datetime
) -> float | None:
    """
    Return the rate at which candidates ended in the last hour.

    Where the campaign was submitted ``since`` then, the rate counts from there.

    Examples
    --------
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> minutes = [now - timedelta(minutes=n) for n in (1, 2, 3, 200)]
    >>> candidates_per_hour(minutes, since=now - timedelta(minutes=30), now=now)
    6.0
    """
    start = max(since, now - _RATE_WINDOW)
    recent = sum(time >= start for time in times)
    hours = (now - start).total_seconds() / _SECONDS_PER_HOUR
    return recent / hours if recent and hours > 0 else None


def last_build(stores: Stores) -> BuildStatus | None:
    """Return how far the last run of the builders came."""
    doc = next(iter(stores.builds.query({}, sort={"run_id": -1}, limit=1)), None)
    if doc is None:
        return None
    ended = doc["finished_at"]  # a BSON date: UTC, without saying so
    return BuildStatus(
        run_id=doc["run_id"],
        state=doc["state"],
        finished=ended and ended.replace(tzinfo=UTC),
        error=doc["error"],
    )

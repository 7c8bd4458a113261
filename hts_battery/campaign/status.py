"""Where a whole campaign stands, counted from a few hundred documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hts_battery.campaign.built_states import noted_judged, read_judged
from hts_battery.campaign.dispatched import Dispatched
from hts_battery.campaign.local_run import released_ids
from hts_battery.campaign.registration import key_sum, registered
from hts_battery.campaign.spec_file import (
    load_campaign,
    read_campaign,
    read_spec,
)
from hts_battery.campaign.states import (
    Facts,
    Outcome,
    outcome_of,
    sent_of,
    standings,
    state_of,
)
from hts_battery.connections.database.clients import translated_outages
from hts_battery.connections.records.executions import running_keys
from hts_battery.flows.recipes.calculated import Calculated, read_some
from hts_battery.schemas.dispatch import EndingKind
from hts_battery.schemas.status import BuildStatus, CampaignStatus, DispatchStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hts_battery.campaign.dispatched import Place
    from hts_battery.campaign.registration import Registered
    from hts_battery.campaign.spec_file import Campaign
    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.state import CandidateState

REASONS_SHOWN = 10
_SECONDS_PER_HOUR = 3600.0
_RATE_WINDOW = timedelta(hours=1)
_OUTCOMES = {
    EndingKind.COMPUTED: Outcome.COMPUTED,
    EndingKind.FAILED: Outcome.FAILED,
    EndingKind.GATED: Outcome.GATED,
}


@dataclass
class Counted:
    """Candidates by state."""

    states: Counter[CandidateState] = field(default_factory=Counter)
    reasons: Counter[tuple[CandidateState, str]] = field(default_factory=Counter)
    exact: bool = False


def campaign_status(
    path: Path,
    stores: Stores,
    *,
    execution_folder: Path,
    exact: bool = False,
    now: datetime | None = None,
) -> CampaignStatus:
    """
    Say where a campaign stands.

    Parameters
    ----------
    path
        The campaign file.
    stores
        Open stores.
    execution_folder
        Folder of the execution record.
    exact
        Whether every output is read though the campaign was submitted.
    now
        The time of the answer.

    Raises
    ------
    SpecError
        If the file is wrong.
    """
    now = now or datetime.now(UTC)
    with translated_outages(stores.database.uri, "looking where a campaign stands"):
        known = registered(path, stores)
        campaign = load_campaign(path) if known is None else None
        spec = read_spec(path) if known is None else known.spec
        dispatched = Dispatched.read(stores, spec.name)
        if known is not None and dispatched.submission is not None and not exact:
            counted = count_dispatched(known, dispatched, stores, execution_folder)
        else:
            counted = _count_exactly(
                campaign or read_campaign(path), stores, execution_folder
            )
        build = last_build(stores)
    return answer(spec.name, counted, dispatched, build, now=now)


def answer(
    campaign: str,
    counted: Counted,
    dispatched: Dispatched,
    build: BuildStatus | None,
    *,
    now: datetime,
) -> CampaignStatus:
    """
    Put together what was counted of a campaign.

    Parameters
    ----------
    campaign
        Its name.
    counted
        Its candidates by state.
    dispatched
        Its backlog and what the launchpad holds of it.
    build
        The last run of the builders.
    now
        The time of the answer.
    """
    return CampaignStatus(
        campaign=campaign,
        candidates=counted.states.total(),
        states={str(state): n for state, n in sorted(counted.states.items())},
        reasons={
            f"{state}: {reason}": n
            for (state, reason), n in counted.reasons.most_common(REASONS_SHOWN)
        },
        exact=counted.exact,
        time=now,
        dispatch=dispatch_status(dispatched, now=now),
        last_build=build,
    )


def _count_exactly(
    campaign: Campaign, stores: Stores, execution_folder: Path
) -> Counted:
    counted = Counted(exact=True)
    for one in standings(campaign, stores, execution_folder=execution_folder):
        counted.states[one.state] += 1
        if one.reason:
            counted.reasons[one.state, one.reason] += 1
    return counted


def count_dispatched(
    known: Registered, dispatched: Dispatched, stores: Stores, execution_folder: Path
) -> Counted:
    """
    Count the candidates of a submitted campaign by state.

    The same states as :func:`hts_battery.campaign.states.standings` finds, except
    that outputs which nobody sent for, those of `hts campaign run` on a submitted
    campaign, are seen only once they were built.

    Parameters
    ----------
    known
        The campaign as it is registered.
    dispatched
        Its backlog.
    stores
        Open stores.
    execution_folder
        Folder of the execution record.
    """
    name = known.spec.name
    running = running_keys(execution_folder)
    judged = noted_judged(stores, name) or read_judged(stores, name)
    if key_sum(item["content_key"] for item in dispatched.own) == known.key_sum:
        members = {item["content_key"]: item["candidate_id"] for item in dispatched.own}
    else:
        # Some of its calculations stand in the backlogs of other campaigns, or were
        # computed before it was submitted.
        dispatched = Dispatched.read(stores, name, everywhere=True)
        members = {
            doc["content_key"]: doc["candidate_id"]
            for doc in stores.members.query(
                {"campaign": name}, properties=["content_key", "candidate_id"]
            )
        }
    places = {key: dispatched.place(key) for key in members}
    outcomes = _Outcomes.read_all(known, members, places, stores)
    counted = Counted()
    kinds: Counter[tuple[Any, ...]] = Counter()
    for key, candidate_id in members.items():
        sent, sent_why = sent_of(places[key])
        outcome, why = outcomes.of(key)
        said, said_why = judged.state(candidate_id, key)
        runs = key in running
        kinds[runs, sent, outcome, said, sent_why, why, said_why] += 1
    for (runs, sent, outcome, said, sent_why, why, said_why), n in kinds.items():
        state, reason = state_of(
            Facts(
                runs_here=runs,
                sent=sent,
                sent_reason=sent_why,
                outcome=outcome,
                outcome_reason=why,
                judged=said,
                judged_reason=said_why,
            )
        )
        counted.states[state] += n
        if reason:
            counted.reasons[state, reason] += n
    return counted


@dataclass(frozen=True)
class _Outcomes:
    """What came of calculations: what the backlog says, and where it must be asked."""

    known: Registered
    members: Mapping[str, str]
    places: Mapping[str, Place | None]
    released: set[str]
    read: Mapping[str, tuple[Outcome, str | None]]

    @classmethod
    def read_all(
        cls,
        known: Registered,
        members: Mapping[str, str],
        places: Mapping[str, Place | None],
        stores: Stores,
    ) -> _Outcomes:
        """Read what the backlog does not tell."""
        gate = known.spec.gate
        released = set() if gate is None else released_ids(known.spec.name, stores)
        asked = [key for key, place in places.items() if _must_be_asked(place, known)]
        found = read_some(stores, asked) if asked else {}
        read = {
            key: outcome_of(
                found.get(key, Calculated()).asked_for(
                    known.spec.structure.n_orderings
                ),
                None if members[key] in released else gate,
            )
            for key in asked
        }
        return cls(known, members, places, released, read)

    def of(self, key: str) -> tuple[Outcome, str | None]:
        """Return what came of a calculation, and why."""
        if key in self.read:
            return self.read[key]
        place = self.places[key]
        ending = None if place is None else place.outcome
        if ending is None:
            return Outcome.NOTHING, None
        outcome = _OUTCOMES[ending["kind"]]
        if outcome is Outcome.GATED and self.members[key] in self.released:
            return Outcome.NOTHING, None
        return outcome, ending["reason"]


def _must_be_asked(place: Place | None, known: Registered) -> bool:
    """Say whether the backlog does not tell what came of a calculation."""
    if place is None:
        return True
    last, outcome = place.item["ending"], place.outcome
    if last is None or outcome is None:
        return False
    if outcome is not last and outcome["kind"] != EndingKind.COMPUTED:
        # What failed before a cancellation may have been about to be tried again.
        return True
    if place.item.get("asked") != known.spec.structure.n_orderings:
        return True  # sent when the file asked for other numbers of orderings
    return outcome["kind"] == EndingKind.GATED and not known.gate_stood(
        place.campaign, datetime.fromisoformat(outcome["time"])
    )


def dispatch_status(dispatched: Dispatched, *, now: datetime) -> DispatchStatus | None:
    """
    Add up what was sent of a campaign and what it cost.

    Parameters
    ----------
    dispatched
        Its backlog and what the launchpad holds of it.
    now
        The time of the answer.
    """
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


def _classes(endings: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found = Counter(one["failure_class"] for one in endings if one["failure_class"])
    return dict(found.most_common())


def candidates_per_hour(
    times: Sequence[datetime], *, since: datetime, now: datetime
) -> float | None:
    """
    Rate at which candidates end, over the last hour.

    Parameters
    ----------
    times
        When each of them ended.
    since
        When the campaign was submitted: a rate counts from then if that is later.
    now
        The time of the answer.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
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
    ended = doc["finished_at"]
    if isinstance(ended, str):
        ended = datetime.fromisoformat(ended)
    if ended is not None and ended.tzinfo is None:
        ended = ended.replace(tzinfo=UTC)
    return BuildStatus(
        run_id=doc["run_id"], state=doc["state"], finished=ended, error=doc["error"]
    )

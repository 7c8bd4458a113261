"""What a monitoring system asks: campaigns, backlog, builds, alerts, as Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.build import BuildState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from hts_battery.schemas.status import CampaignStatus
    from hts_battery.schemas.worker_control import WorkerControl

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the text format of Prometheus."""

_ESCAPED = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One number with its labels."""

    labels: Labels
    value: float


class Metric(NamedTuple):
    """A name, what it means, and its numbers now; all are gauges."""

    name: str
    meaning: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """Yield the lines of the text format."""
        yield f"# HELP {self.name} {self.meaning}"
        yield f"# TYPE {self.name} gauge"
        for labels, value in self.samples:
            shown = ",".join(
                f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels
            )
            yield (
                f"{self.name}{{{shown}}} {value:.10g}"
                if shown
                else (f"{self.name} {value:.10g}")
            )


def exposition(
    statuses: Sequence[CampaignStatus],
    workers: Iterable[WorkerControl],
    *,
    now: datetime,
) -> str:
    """
    Write where campaigns and workers stand as Prometheus reads it.

    ``statuses``: of every campaign. ``workers``: control documents. ``now``: when it is
    asked, UTC. What was never seen has no line, and is not 0.
    """
    metrics = [*_campaigns(statuses), *_workers(workers), *_build(statuses, now)]
    return "\n".join(line for one in metrics for line in one.lines()) + "\n"


def _campaigns(statuses: Sequence[CampaignStatus]) -> Iterator[Metric]:
    """Yield what is counted of campaigns."""
    read = [one for one in statuses if one.problem is None]
    sent = [(one.campaign, one.dispatch) for one in read if one.dispatch is not None]
    yield Metric(
        "hts_campaign_unreadable",
        "Whether the documents of a campaign cannot be read.",
        tuple(_of(one.campaign, one.problem is not None) for one in statuses),
    )
    yield Metric(
        "hts_campaign_candidates",
        "Candidates of a campaign by state.",
        tuple(_each("state", {one.campaign: one.states for one in read})),
    )
    yield Metric(
        "hts_campaign_backlog",
        "Candidates that are still to be sent.",
        tuple(_of(name, one.waiting) for name, one in sent),
    )
    yield Metric(
        "hts_campaign_in_hand",
        "Candidates that were sent and have not ended.",
        tuple(_of(name, one.in_hand) for name, one in sent),
    )
    yield Metric(
        "hts_campaign_fireworks",
        "Fireworks of what has not ended by state: READY waits for a launcher, "
        "RESERVED in the queue.",
        tuple(_each("state", {name: one.fireworks for name, one in sent})),
    )
    yield from _ended(read)


def _ended(read: Sequence[CampaignStatus]) -> Iterator[Metric]:
    """Yield what campaigns that were sent have come to, and what is told of them."""
    sent = [(one.campaign, one.dispatch) for one in read if one.dispatch is not None]
    yield Metric(
        "hts_campaign_failed",
        "Candidates that ended with a failure by class.",
        tuple(_each("class", {name: one.failed for name, one in sent})),
    )
    yield Metric(
        "hts_campaign_node_hours",
        "Node-hours spent, those of running jobs until now included.",
        tuple(_of(name, one.node_hours + one.node_hours_running) for name, one in sent),
    )
    yield Metric(
        "hts_campaign_budget_node_hours",
        "Node-hours that may be spent, where there is a limit.",
        tuple(_of(name, one.budget) for name, one in sent if one.budget is not None),
    )
    yield Metric(
        "hts_campaign_held",
        "1 where nothing more of a campaign is sent, with the reason.",
        tuple(
            Sample((("campaign", name), ("reason", one.hold)), 1)
            for name, one in sent
            if one.hold is not None
        ),
    )
    yield Metric(
        "hts_alert",
        "1 for each alert about a campaign that was told and still lasts.",
        tuple(
            Sample((("campaign", one.campaign), ("kind", str(kind))), 1)
            for one in read
            for kind in one.alerts
        ),
    )


def _workers(workers: Iterable[WorkerControl]) -> Iterator[Metric]:
    """Yield what is known of workers."""
    known = list(workers)
    launched = [(one.worker, one.launcher) for one in known if one.launcher]
    yield Metric(
        "hts_worker_paused",
        "Whether nothing more is submitted to the queue of a worker.",
        tuple(Sample((("worker", one.worker),), one.paused) for one in known),
    )
    yield Metric(
        "hts_worker_drained",
        "Whether nothing more is sent to a worker.",
        tuple(Sample((("worker", one.worker),), one.drain) for one in known),
    )
    yield Metric(
        "hts_worker_queued",
        "Jobs of a worker in its queue when its launcher last looked.",
        tuple(Sample((("worker", name),), one.queued) for name, one in launched),
    )
    yield Metric(
        "hts_worker_launcher_timestamp_seconds",
        "When the launcher of a worker last looked, s since 1970.",
        tuple(
            Sample((("worker", name),), one.looked_at.timestamp())
            for name, one in launched
        ),
    )


def _build(statuses: Sequence[CampaignStatus], now: datetime) -> Iterator[Metric]:
    """Yield how the last run of the builders ended; the same for all campaigns."""
    last = next((one.last_build for one in statuses if one.last_build), None)
    if last is None:
        return
    yield Metric(
        "hts_last_build_failed",
        "Whether the last run of the builders failed or was interrupted.",
        (Sample((), last.state in {BuildState.FAILED, BuildState.INTERRUPTED}),),
    )
    if last.finished is not None:
        yield Metric(
            "hts_last_build_age_seconds",
            "Time since the last run of the builders ended.",
            (Sample((), max(0.0, (now - last.finished).total_seconds())),),
        )


def _of(campaign: str, value: float) -> Sample:
    return Sample((("campaign", campaign),), value)


def _each(label: str, counts: Mapping[str, Mapping[str, int]]) -> Iterator[Sample]:
    for campaign, values in counts.items():
        for name, count in values.items():
            yield Sample((("campaign", campaign), (label, str(name))), count)

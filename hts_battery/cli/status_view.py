"""How the status of a campaign looks in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hts_battery.cli.formatting import amount
from hts_battery.schemas.dispatch import Hold
from hts_battery.schemas.state import CandidateState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.schemas.cost import CampaignPlan
    from hts_battery.schemas.status import CampaignStatus, DispatchStatus

_SHOWN = {
    CandidateState.DECLARED: ("white", "run or submit the campaign"),
    CandidateState.WAITING: ("white", "run it, or `hts launchpad feed`"),
    CandidateState.QUEUED: ("blue", "wait; is there a launcher?"),
    CandidateState.RUNNING: ("cyan", "wait"),
    CandidateState.RETURNED: ("magenta", "`hts launchpad feed`"),
    CandidateState.HELD: ("yellow", "resume, or submit with a larger budget"),
    CandidateState.CANCELLED: ("yellow", "submit again to go on"),
    CandidateState.FAILED: ("red", "`hts launchpad triage`, then --retry-failed"),
    CandidateState.GATED: ("white", "nothing, or `hts campaign release`"),
    CandidateState.COMPUTED: ("green", "`hts build all`"),
    CandidateState.REJECTED: ("red", "read why, change the settings"),
    CandidateState.UNJUDGED: ("yellow", "add references"),
    CandidateState.RANKED: ("bright_green", "nothing"),
}
"""State → colour, and what an operator does about it."""
_HOLDS = {
    Hold.PAUSED: "paused: `hts campaign resume` goes on",
    Hold.BUDGET: "the budget is spent: submit again with a larger one",
    Hold.CANCELLED: "cancelled: submit again to go on",
    Hold.BRAKE: "by the brake: `hts campaign resume` goes on",
}
_CLASSES_SHOWN = 4
_HOURS_PER_DAY = 24.0


def advice(state: str) -> str:
    """Say what an operator does about a state."""
    return _SHOWN[CandidateState(state)][1]


def lines(
    status: CampaignStatus, plan: CampaignPlan | None
) -> Iterator[tuple[str, str]]:
    """Describe what is beside the counts, one name and text each."""
    dispatch = status.dispatch
    if dispatch is not None:
        yield from _of_dispatch(dispatch, plan)
    build = status.last_build
    if build is not None:
        when = f" {build.finished:%Y-%m-%d %H:%M} UTC" if build.finished else ""
        error = f": {build.error}" if build.error else ""
        yield "last build", f"{build.state}{when}{error}"


def _of_dispatch(
    dispatch: DispatchStatus, plan: CampaignPlan | None
) -> Iterator[tuple[str, str]]:
    if dispatch.hold is not None:
        reason = f" ({dispatch.hold_reason})" if dispatch.hold_reason else ""
        yield "held", _HOLDS[Hold(dispatch.hold)] + reason
    for worker, why in dispatch.paused_workers.items():
        yield "paused", f"{worker}: {why}; `hts worker resume {worker}` goes on"
    fireworks = ", ".join(
        f"{count:,} {state}" for state, count in sorted(dispatch.fireworks.items())
    )
    yield "fireworks", f"{fireworks or 'none'} on {dispatch.worker}"
    if dispatch.candidates_per_hour is not None:
        rate, left = dispatch.candidates_per_hour, dispatch.hours_left
        rest = f", {_duration(left)} left" if left and not dispatch.hold else ""
        yield "rate", f"{amount(rate)} candidates/h{rest}"
    spent = dispatch.node_hours + dispatch.node_hours_running
    text = f"{amount(spent)} spent"
    if plan is not None:
        text += f", {amount(spent + plan.node_hours_left)} expected"
    if dispatch.budget is not None:
        text += f", budget {amount(dispatch.budget)}"
    yield "node-hours", text
    for name, classes in (("failed", dispatch.failed), ("repeated", dispatch.repeated)):
        if classes:
            yield name, _classes(classes)


def _classes(classes: dict[str, int]) -> str:
    shown = list(classes.items())[:_CLASSES_SHOWN]
    rest = sum(classes.values()) - sum(count for _, count in shown)
    text = ", ".join(f"{count:,} {name}" for name, count in shown)
    return f"{text}, {rest:,} others" if rest else text


def _duration(hours: float) -> str:
    """Write a time for people."""
    if hours >= 2 * _HOURS_PER_DAY:
        return f"{hours / _HOURS_PER_DAY:.1f} days"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{max(1, round(60 * hours))} min"


def panel(status: CampaignStatus, plan: CampaignPlan | None) -> Panel:
    """Draw the status of a campaign: bars by state, then what it costs and lacks."""
    bars = Table.grid(padding=(0, 1), expand=True)
    bars.add_column(no_wrap=True)
    bars.add_column(ratio=1)
    bars.add_column(justify="right", no_wrap=True)
    bars.add_column(justify="right", no_wrap=True)
    total = max(1, status.candidates)
    for state, (colour, _) in _SHOWN.items():
        if count := status.states.get(state):
            bars.add_row(
                Text(state, style=colour),
                _bar(count, total, colour),
                f"{count:,}",
                f"{count / total:.1%}",
            )
    notes = Table.grid(padding=(0, 1), expand=True)
    notes.add_column(no_wrap=True, style="dim", min_width=10)
    notes.add_column(ratio=1, overflow="fold")
    for name, text in lines(status, plan):
        style = "bold red" if name in {"held", "failed"} else ""
        notes.add_row(name, Text(text, style=style))
    dispatch = status.dispatch
    if dispatch is not None and dispatch.budget:
        spent = dispatch.node_hours + dispatch.node_hours_running
        colour = "red" if spent >= dispatch.budget else "green"
        notes.add_row("budget", _bar(spent, dispatch.budget, colour))
    return Panel(
        Group(bars, Text(), notes),
        title=f"{status.campaign}: {status.candidates:,} candidates",
        subtitle=f"{status.time:%Y-%m-%d %H:%M:%S} UTC, Ctrl-C leaves",
    )


def _bar(part: float, whole: float, colour: str) -> ProgressBar:
    return ProgressBar(
        total=whole,
        completed=min(part, whole),
        complete_style=colour,
        finished_style=colour,
    )

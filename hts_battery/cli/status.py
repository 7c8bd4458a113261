"""hts campaign status: where every candidate stands, once or as it changes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hts_battery.cli import formatting
from hts_battery.cli.opening import (
    database_exists,
    get_settings,
    load_campaign,
    opened_stores,
    read_campaign,
)
from hts_battery.cli.options import AsJson, SpecFile
from hts_battery.errors import StoreError
from hts_battery.schemas.state import NEEDS_NOTHING, CandidateState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.status import CampaignStatus

_UNDER_WAY = frozenset(
    {CandidateState.QUEUED, CandidateState.RUNNING, CandidateState.RETURNED}
)


def status(
    spec: SpecFile,
    watch: Annotated[
        bool, typer.Option(help="Show it until everything that was sent has ended.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 5.0,
    exact: Annotated[
        bool,
        typer.Option(
            help="Read every output of a submitted campaign, and list every reason."
        ),
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(help="With --watch: SVG file of what is shown last."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say where every candidate of a campaign stands."""
    if not database_exists():
        # Refuses a wrong file before a database is made.
        load_campaign(spec, skip_bad=True)
    with opened_stores(make_indexes=False) as stores:
        if watch:
            _watch(spec, stores, every, picture, as_json=as_json)
            return
        found = _status(spec, stores, exact=exact)
        if as_json:
            formatting.json_line(
                {"candidates": found.candidates, "states": found.states}
            )
            return
        _show(found)
        if exact or found.dispatch is None:
            _list(spec, stores)


def _status(spec: Path, stores: Stores, *, exact: bool = False) -> CampaignStatus:
    from hts_battery.campaign.status import campaign_status

    return campaign_status(
        spec, stores, execution_folder=get_settings().execution_folder, exact=exact
    )


def _show(found: CampaignStatus) -> None:
    from hts_battery.cli.status_view import advice, lines

    formatting.table(
        ("state", "candidates", "what to do"),
        ((state, f"{count:,}", advice(state)) for state, count in found.states.items()),
        right=("candidates",),
    )
    for name, text in lines(found, None):
        formatting.line(f"{name:<12} {text}")
    if found.dispatch is not None:
        for reason, count in found.reasons.items():
            formatting.line(f"{count:>7,} {reason}")


def _list(spec: Path, stores: Stores) -> None:
    """Print every candidate that has a reason."""
    from hts_battery.campaign.status import candidate_statuses

    folder = get_settings().execution_folder
    for item in candidate_statuses(
        read_campaign(spec, skip_bad=True), stores, execution_folder=folder
    ):
        if item.reason:
            formatting.line(f"{item.candidate.formula}: {item.state}: {item.reason}")


def _watch(
    spec: Path, stores: Stores, every: float, picture: Path | None, *, as_json: bool
) -> None:
    """Show it until everything that was sent ended; as JSON one status a line."""
    if as_json:
        for found in _statuses(spec, stores, every):
            formatting.json_line(found.model_dump(mode="json"))
        return
    from hts_battery.campaign.plan import Assumptions, plan_campaign
    from hts_battery.cli.status_view import panel

    folder = get_settings().execution_folder
    plan = plan_campaign(spec, stores, Assumptions(), execution_folder=folder)
    with formatting.live(picture) as show:
        for found in _statuses(spec, stores, every):
            show(panel(found, plan))


def has_ended(found: CampaignStatus) -> bool:
    """Say whether nothing is left to wait for: all ended, or all that was sent."""
    states = set(found.states)
    if states <= NEEDS_NOTHING:
        return True
    sent = found.dispatch
    return (
        sent is not None
        and not sent.waiting + sent.in_hand
        and states.isdisjoint(_UNDER_WAY)
    )


def _statuses(spec: Path, stores: Stores, every: float) -> Iterator[CampaignStatus]:
    """Yield the status again and again, until nothing is left to wait for."""
    while True:
        try:
            found = _status(spec, stores)
        except StoreError as err:
            formatting.note(f"{err}; looking again in {every:g} s")
        else:
            yield found
            if has_ended(found):
                return
        time.sleep(every)

"""What changed since a build: flipped labels first, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from dash import Input, Output, dcc, html
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Page,
    Sources,
    aria,
    candidate_link,
    chosen,
    compares,
    heading,
    labelled,
    millis,
    table,
)
from hts_battery.query.builds import read_builds, read_changes

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import LatestBuild
    from hts_battery.query.builds import Difference
    from hts_battery.schemas.rows import BuildRow

_SHOWN = 100
_BUILDS = 20
RunId = Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9-]*$")]


def _layout(sources: Sources, _rest: str) -> Component:
    builds = read_builds(sources.reader, limit=_BUILDS)
    options = [
        {
            "label": f"{doc['started_at']:%Y-%m-%d %H:%M} ({doc['state']})",
            "value": doc["run_id"],
        }
        for doc in builds
    ]
    before = options[1]["value"] if len(options) > 1 else ""
    return html.Div(
        [
            *heading(
                "Changes",
                "Which candidates have another stability since a build, by how much, "
                "and why.",
            ),
            labelled(
                "Since the build of",
                dcc.Dropdown(
                    id="since",
                    options=[*options, {"label": "the beginning", "value": ""}],
                    value=before,
                    clearable=False,
                    searchable=False,
                ),
            ),
            html.Div(id="changes", **aria(live="polite")),
            table(
                ("started", "state", "seconds", "written", "removed", "failed", "run"),
                [_build_row(doc) for doc in builds],
                caption="Builds, the latest first",
                numbers=("seconds", "written", "removed", "failed"),
            ),
        ]
    )


def _build_row(doc: BuildRow) -> tuple[object, ...]:
    reports = list(doc["reports"].values())
    started, ended = doc["started_at"], doc["finished_at"]
    seconds = "" if ended is None else f"{(ended - started).total_seconds():.1f}"
    return (
        f"{started:%Y-%m-%d %H:%M:%S}",
        str(doc["state"]),
        seconds,
        *(
            f"{sum(report[name] for report in reports):,}"
            for name in ("written", "removed", "failed")
        ),
        str(doc["run_id"]),
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("changes", "children"),
        Input("since", "value"),
        Input("campaign", "value"),
    )
    @in_thread
    def show(since: RunId, campaign: CampaignChoice) -> Component:
        latest = sources.cache.get()
        if compares(latest, campaign):
            return _compared(sources, latest, since)
        name = chosen(latest, campaign)
        found = read_changes(sources.reader, since=since, campaign=name)
        if found is None:
            return html.P("The builders have not run yet.", className="headline")
        headings = ("candidate", "T (K)", "label", "E_hull", "change", "why")
        return html.Div(
            [
                html.P(f"{found.headline}.", className="headline"),
                table(
                    headings,
                    [_change_row(row) for row in found.rows[:_SHOWN]],
                    caption=f"The {min(_SHOWN, len(found.rows))} largest of "
                    f"{len(found.rows):,} changes of {latest.whose(name)} (E_hull in "
                    "meV/atom)",
                    numbers=("T (K)", "E_hull", "change"),
                ),
            ]
        )


def _compared(sources: Sources, latest: LatestBuild, since: str) -> Component:
    """Count the changes of each campaign, a row each."""
    found = {
        name: read_changes(sources.reader, since=since, campaign=name)
        for name in latest.campaigns
    }
    return table(
        ("campaign", "engine", "changes"),
        [
            (name, latest.engine(name) or "", one.headline if one else "-")
            for name, one in found.items()
        ],
        caption="Changes of each campaign; choose one to see them",
        row_headings=True,
    )


def _change_row(row: Difference) -> tuple[object, ...]:
    return (
        candidate_link(
            row.candidate_id, row.formula or row.candidate_id, campaign=row.campaign
        ),
        f"{row.temperature:g}",
        row.labels,
        millis(row.after),
        millis(row.change, sign=True),
        "; ".join(row.reasons),
    )


PAGE = Page("/changes", "Changes", _layout, _register)

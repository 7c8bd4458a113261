"""The dashboard: the frame around every page, and which page an address is."""

from __future__ import annotations

import asyncio
import gzip
import mimetypes
import pkgutil
import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qs

from dash import Dash, Input, Output, dcc, html
from dash.exceptions import PreventUpdate
from dash.fingerprint import check_fingerprint
from pydantic import Field
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response

from hts_battery.dashboard import (
    page_candidate,
    page_changes,
    page_compositions,
    page_descriptors,
    page_disorder,
    page_elements,
    page_fields,
    page_overview,
    page_rules,
    page_stability,
    page_table,
)
from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.page_overview import side_by_side
from hts_battery.dashboard.parts import (
    EVERY_CAMPAIGN,
    HIGHEST_TEMPERATURE,
    CampaignChoice,
    Kelvin,
    Sources,
    aria,
    compares,
    labelled,
)
from hts_battery.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dash.development.base_component import Component
    from starlette.types import ASGIApp, Receive, Scope, Send

    from hts_battery.compositions.reported import ReportedCompound
    from hts_battery.connections.database.bounded_reader import BoundedReader
    from hts_battery.dashboard.campaign_states import CampaignStates
    from hts_battery.dashboard.latest_build import LatestBuildCache
    from hts_battery.dashboard.parts import Page

SUITES = "/_dash-component-suites/"
_LEVEL = 6
_YEAR = 31_536_000

PAGES = (
    page_overview.PAGE,
    page_stability.PAGE,
    page_elements.PAGE,
    page_rules.PAGE,
    page_descriptors.PAGE,
    page_compositions.PAGE,
    page_disorder.PAGE,
    page_fields.PAGE,
    page_table.PAGE,
    page_changes.PAGE,
    page_candidate.PAGE,
)
_ASSETS = Path(__file__).parent / "assets"
_STEP = 1
_DEFAULT_TEMPERATURE = 1473.0
_INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{%title%}</title>
{%favicon%}
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>
"""
_REST = re.compile(r"[A-Za-z0-9]+(/[a-z0-9][a-z0-9_-]*)?")
"""A candidate, and the campaign whose numbers are shown."""
_GRID_SCRIPT = re.compile(r"<script [^>]*/dash_ag_grid/[^>]*></script>\s*")


@dataclass(frozen=True)
class ScriptFiles:
    """
    Answers for the files of components, and hands everything else on.

    ``app``: Dash's own server. ``registered``: package → files that pages may ask for.
    """

    app: ASGIApp
    registered: Mapping[str, Collection[str]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path", "")
        if not path.startswith(SUITES):
            await self.app(scope, receive, send)
            return
        package, _, rest = path.removeprefix(SUITES).partition("/")
        file, is_named_by_content = check_fingerprint(rest)
        if file not in self.registered.get(package, ()):
            # Dash takes such an address for an error of its own.
            await JSONResponse({"error": "Not Found"}, 404)(scope, receive, send)
            return
        accepted = Headers(scope=scope).get("accept-encoding", "")
        if not is_named_by_content or "gzip" not in accepted:
            await self.app(scope, receive, send)
            return
        # Beside the other requests of the same page, of which there are a dozen.
        content = await asyncio.to_thread(compressed, package, file)
        answer = Response(
            content,
            media_type=mimetypes.guess_type(file)[0],
            headers={
                "Content-Encoding": "gzip",
                "Cache-Control": f"public, max-age={_YEAR}, immutable",
                "Vary": "Accept-Encoding",
            },
        )
        await answer(scope, receive, send)


@cache
def compressed(package: str, file: str) -> bytes:
    """Read a file of an installed package, compressed."""
    return gzip.compress(pkgutil.get_data(package, file) or b"", _LEVEL)


Address = Annotated[str, Field(max_length=200, pattern=r"^/[A-Za-z0-9/_-]*$")]
Search = Annotated[str, Field(max_length=500)] | None
"""What stands behind the question mark; ``campaign=NAME`` chooses a campaign."""


_shows_table: ContextVar[bool] = ContextVar("shows_table", default=True)
"""Whether the page that is asked for holds the grid."""


class _Dash(Dash):
    """Dash without the grid's script, half of all, on pages that have no grid."""

    def interpolate_index(self, *args: Any, **parts: Any) -> str:  # noqa: ANN401 - Dash's own
        """Write the document that all pages begin with."""
        if not _shows_table.get():
            parts["scripts"] = _GRID_SCRIPT.sub("", parts["scripts"])
        return str(super().interpolate_index(*args, **parts))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Dashboard:
    """Dash's application, and the one that answers for every page's address."""

    dash: Dash
    asgi: ASGIApp


@dataclass(frozen=True)
class _PagesAtTheirAddresses:
    """Answers the address of every page with the one document that Dash has."""

    dash: Dash

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = find_page(scope.get("path", ""))
        if found is not None:
            _shows_table.set(found[0] is page_table.PAGE)
            scope = {**scope, "path": "/", "raw_path": b"/"}
        files = ScriptFiles(self.dash.server, self.dash.registered_paths)
        await files(scope, receive, send)


def dashboard_app(
    reader: BoundedReader,
    cache: LatestBuildCache,
    states: CampaignStates,
    reported: tuple[ReportedCompound, ...] | None = None,
) -> Dashboard:
    """
    Make the dashboard.

    ``reader``: where pages read what is not in memory. ``states``: where campaigns
    stand. ``reported``: compounds that were made; the package's own table if none.
    """
    sources = Sources(reader, cache, states)
    if reported is not None:
        sources = replace(sources, reported=reported)
    app = _Dash(
        "hts_battery",
        title="hts_battery",
        update_title="",
        assets_folder=str(_ASSETS),
        backend="fastapi",
        serve_locally=True,
        suppress_callback_exceptions=True,
        index_string=_INDEX,
        enable_mcp=False,
    )
    # Else every page tries to open a web socket, which this server refuses.
    app.backend.websocket_capability = False
    app.layout = lambda: _frame(sources)
    for page in PAGES:
        page.register(app, sources)
    _register_frame(app, sources)
    return Dashboard(app, _PagesAtTheirAddresses(app))


def find_page(address: str) -> tuple[Page, str] | None:
    """Return the page of an address, and the rest of it."""
    path = address.rstrip("/") or "/"
    for page in PAGES:
        if page.listed and path == page.path:
            return page, ""
        if not page.listed and path.startswith(f"{page.path}/"):
            rest = path.removeprefix(f"{page.path}/")
            return (page, rest) if _REST.fullmatch(rest) else None
    return None


def _frame(sources: Sources) -> Component:
    latest = sources.cache.get()
    hottest = max(latest.table.temperatures, default=_DEFAULT_TEMPERATURE)
    return html.Div(
        [
            dcc.Location(id="address", refresh=False),
            html.A("Skip to the content", href="#main", className="skip"),
            html.Header([_navigation(), _controls(latest.campaigns, hottest)]),
            html.Main(
                [html.Div(id="page"), html.Div(id="side-by-side")],
                id="main",
                tabIndex=-1,
            ),
        ]
    )


def _navigation() -> Component:
    return html.Div(
        [
            dcc.Link("hts_battery", href="/", className="brand"),
            html.Nav(
                [
                    dcc.Link(
                        page.name,
                        href=page.path,
                        id=f"to-{page.name.lower()}",
                        className="to-page",
                        # Its script stands on no other page.
                        refresh=page is page_table.PAGE,
                    )
                    for page in PAGES
                    if page.listed
                ],
                **aria(label="Pages"),
            ),
            html.Button(
                "Light or dark",
                id="theme",
                type="button",
                className="theme",
                **aria(pressed="false"),
            ),
        ],
        className="bar",
    )


def _controls(campaigns: Sequence[str], hottest: float) -> Component:
    every = {"label": "all campaigns", "value": EVERY_CAMPAIGN}
    return html.Div(
        [
            labelled(
                "Campaign",
                dcc.Dropdown(
                    id="campaign",
                    options=[
                        *({"label": name, "value": name} for name in campaigns),
                        every,
                    ],
                    # The newest build's.
                    value=next(iter(campaigns), EVERY_CAMPAIGN),
                    clearable=False,
                    searchable=False,
                    persistence=True,
                    persistence_type="session",
                ),
            ),
            labelled(
                "Temperature (K)",
                dcc.Slider(
                    id="temperature",
                    min=0,
                    max=HIGHEST_TEMPERATURE,
                    step=_STEP,
                    value=min(hottest, HIGHEST_TEMPERATURE),
                    marks={
                        kelvin: str(kelvin)
                        for kelvin in range(0, HIGHEST_TEMPERATURE + 1, 500)
                    },
                    persistence=True,
                    persistence_type="session",
                ),
            ),
        ],
        className="controls",
        role="region",
        **aria(label="What is shown"),
    )


def _register_frame(app: Dash, sources: Sources) -> None:
    @app.callback(Output("campaign", "value"), Input("address", "search"))
    @in_thread
    def choose_campaign(search: Search) -> str:
        names = parse_qs((search or "").removeprefix("?")).get("campaign", [""])
        if names[0] not in sources.cache.get().campaigns:
            raise PreventUpdate
        return names[0]

    @app.callback(
        Output("side-by-side", "children"),
        Output("main", "className"),
        Input("address", "pathname"),
        Input("campaign", "value"),
        Input("temperature", "value"),
    )
    @in_thread
    def compare(
        address: Address, campaign: CampaignChoice, temperature: Kelvin
    ) -> tuple[Component | None, str]:
        latest, found = sources.cache.get(), find_page(address)
        if found is None or not found[0].compared or not compares(latest, campaign):
            return None, ""
        states = sources.states.get(patience=0)
        shown = side_by_side(latest, temperature, states, path=found[0].path)
        return shown, "compares"

    @app.callback(Output("page", "children"), Input("address", "pathname"))
    @in_thread
    def show_page(address: Address) -> Component:
        found = find_page(address)
        if found is None:
            return html.Div([html.H1("No such page", tabIndex=-1), html.P(address)])
        page, rest = found
        try:
            return page.layout(sources, rest)
        except StoreError:
            return html.Div(
                [
                    html.H1(page.name, tabIndex=-1),
                    html.P("The database does not answer; try again in a moment."),
                ]
            )

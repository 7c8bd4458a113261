"""Every candidate in a table that is sorted, filtered and paged by the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate
from dash_ag_grid import AgGrid
from pydantic import BaseModel, Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import read_numbers
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    aria,
    chosen,
    compares,
    heading,
    labelled,
)
from hts_battery.dashboard.summaries import (
    ROW_COLUMNS,
    checked_filter,
    table_rows,
)
from hts_battery.errors import HTSBatteryError
from hts_battery.query.tables import count_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from dash import Dash
    from dash.development.base_component import Component
    from numpy.typing import NDArray

    from hts_battery.dashboard.campaign_numbers import CampaignNumbers

PAGE_SIZE = 50
_LARGEST_PAGE = 200

FilterText = Annotated[str, Field(max_length=2000)] | None
SortColumn = Literal[
    "formula",
    "campaign",
    "family",
    "cold",
    "hot",
    "upper",
    "unsure",
    "chance",
    "other",
    "fall",
    "mixing",
    "entropy",
]


class _Sort(BaseModel):
    """One column by which the grid wants rows sorted."""

    colId: SortColumn  # noqa: N815 - the grid's name
    sort: Literal["asc", "desc"]


class RowsRequest(BaseModel):
    """Which rows the grid wants."""

    startRow: int = Field(ge=0, le=10_000_000)  # noqa: N815 - the grid's name
    endRow: int = Field(ge=0, le=10_000_000)  # noqa: N815 - likewise
    sortModel: list[_Sort] = Field([], max_length=4)  # noqa: N815 - likewise


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Candidates",
                "All candidates of a campaign, the most stable at the chosen "
                "temperature first. Energies in meV/atom: the lowest ordering, the "
                "mean of the random ones, the standard uncertainty ±, had the other "
                "mixing been counted, and how much E_hull may fall by known "
                "compositions that the competing phases lack. An open label may turn; "
                "≈ names what was calculated instead. Sort by a column heading; filter "
                "in OPTIMADE's language.",
            ),
            labelled(
                "Filter",
                dcc.Input(
                    id="table-filter",
                    type="text",
                    debounce=True,
                    maxLength=1000,
                    placeholder='elements HAS ALL "Mn","Ti" AND e_hull <= 0.05',
                    className="wide",
                ),
                "Press Enter to apply.",
            ),
            html.P(id="table-count", className="headline", **aria(live="polite")),
            AgGrid(
                id="table",
                rowModelType="infinite",
                columnDefs=_columns(),
                defaultColDef={"sortable": True, "resizable": True, "minWidth": 90},
                getRowId="params.data.key",
                dashGridOptions={
                    "pagination": True,
                    "paginationPageSize": PAGE_SIZE,
                    "paginationPageSizeSelector": False,
                    "cacheBlockSize": PAGE_SIZE,
                    "maxBlocksInCache": 4,
                    "domLayout": "normal",
                    "enableCellTextSelection": True,
                },
                className="ag-theme-hts",
                style={"height": "640px"},
            ),
        ]
    )


def _columns() -> list[dict[str, object]]:
    right = {"type": "rightAligned", "width": 110}
    narrow = {"type": "rightAligned", "width": 95}
    tenths = {"valueFormatter": {"function": "d3.format('.1f')(params.value)"}}
    return [
        {"field": "rank", "headerName": "#", "sortable": False, "width": 90},
        {
            "field": "formula",
            "headerName": "Candidate",
            "cellRenderer": "CandidateLink",
            "minWidth": 330,
            "flex": 3,
        },
        {"field": "hot", "headerName": "E_hull(T)", **right, **tenths},
        {"field": "upper", "headerName": "Random", **narrow},
        {"field": "n", "headerName": "n", **narrow, "sortable": False},
        {"field": "unsure", "headerName": "±", **narrow},
        {"field": "label", "headerName": "Label", "sortable": False, "width": 100},
        {"field": "chance", "headerName": "P(≤ 0)", **narrow},
        {"field": "other", "headerName": "Other", **narrow},
        {"field": "fall", "headerName": "May fall", **narrow},
        {"field": "cold", "headerName": "E_hull", **right, **tenths},
        {"field": "mixing", "headerName": "T_mix (K)", **right},
        {"field": "entropy", "headerName": "S (µeV/K)", **right, **tenths},
        {"field": "campaign", "headerName": "Campaign", "width": 150},
        {"field": "family", "headerName": "Family", "width": 120},
        {
            "field": "flags",
            "headerName": "Flags",
            "sortable": False,
            "minWidth": 200,
            "flex": 2,
        },
    ]


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("table", "getRowsResponse"),
        Output("table-count", "children"),
        Input("table", "getRowsRequest"),
        State("campaign", "value"),
        State("temperature", "value"),
        State("table-filter", "value"),
    )
    @in_thread
    def rows(
        request: RowsRequest | None,
        campaign: CampaignChoice,
        temperature: Kelvin,
        text: FilterText,
    ) -> tuple[object, str]:
        if request is None:
            raise PreventUpdate
        latest = sources.cache.get()
        if compares(latest, campaign):
            return {"rowData": [], "rowCount": 0}, ""
        name = chosen(latest, campaign)
        try:
            where = checked_filter(latest.table, text)
        except HTSBatteryError as err:
            return {"rowData": [], "rowCount": 0}, f"The filter was refused: {err}"
        numbers = read_numbers(latest.table, name, ROW_COLUMNS, where=where)
        order = numbers.ranking(temperature)
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(1, len(order) + 1)
        shown = sorted_rows(numbers, order, request.sortModel, temperature)
        end = min(request.endRow, request.startRow + _LARGEST_PAGE)
        page = shown[request.startRow : end]
        data = table_rows(numbers, page, ranks[page].tolist(), temperature)
        stable = count_words(*numbers.stable(temperature))
        words = (
            f"{len(order):,} candidates of {latest.whose(name)}, ranked by E_hull at "
            f"{temperature:g} K; on or below the hull {stable}"
        )
        return {"rowData": data, "rowCount": len(order)}, words

    app.clientside_callback(
        ClientsideFunction("dashboard", "askAgain"),
        Output("table", "className"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        Input("table-filter", "value"),
        prevent_initial_call=True,
    )


def sorted_rows(
    numbers: CampaignNumbers,
    order: NDArray[np.int64],
    sorts: list[_Sort],
    temperature: float,
) -> NDArray[np.int64]:
    """
    Sort ranked rows by columns of the table; equal ones stay in their order.

    ``order``: rows by rank. ``sorts``: columns of the table, the most important first.
    ``temperature`` in K.
    """
    for one in reversed(sorts):
        keys = _keys(numbers, one.colId, temperature)[order]
        places = np.argsort(keys, kind="stable")
        if one.sort == "desc":
            places = np.argsort(keys[::-1], kind="stable")[::-1]
            places = len(keys) - 1 - places
        order = order[places]
    return order


def _keys(numbers: CampaignNumbers, name: str, temperature: float) -> NDArray[Any]:
    if name in ("formula", "campaign", "family"):
        return np.array(numbers.rows[name].to_pylist())
    arrays: dict[str, Callable[[], NDArray[np.float64]]] = {
        "hot": lambda: numbers.at(temperature),
        "cold": lambda: numbers.energies,
        "entropy": lambda: numbers.entropies,
        "upper": lambda: numbers.upper(temperature),
        "unsure": lambda: numbers.uncertainties,
        "chance": lambda: -numbers.at(temperature) / numbers.uncertainties,
        "other": lambda: numbers.other(temperature),
        "fall": lambda: numbers.array("hull_depth_risk"),
        "mixing": lambda: np.nan_to_num(
            numbers.array("mixing_temperature"), nan=float("inf")
        ),
    }
    return arrays[name]()


PAGE = Page("/candidates", "Candidates", _layout, _register, compared=True)

"""Any two fields of a campaign's candidates against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import numpy as np
from dash import Input, Output, dcc, html
from dash.exceptions import PreventUpdate
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.campaign_numbers import read_numbers
from hts_battery.dashboard.figures import fields_figure
from hts_battery.dashboard.parts import (
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    chosen,
    figure,
    heading,
    labelled,
)

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.query.summary_table import SummaryTable
    from hts_battery.schemas.field_spec import FieldSpec

Name = Annotated[str, Field(max_length=100)]


def axes_of(table: SummaryTable) -> dict[str, FieldSpec]:
    """Return the fields that can be drawn: numbers that any candidate has."""
    return {
        one.name: one
        for one in table.fields
        if one.is_axis and one.column in table.stored_columns
    }


def _layout(sources: Sources, _rest: str) -> Component:
    axes = axes_of(sources.cache.get().table)
    made = [name for name, one in axes.items() if one.is_property]
    across = next(iter([*made, "entropy"]), None)
    return html.Div(
        [
            *heading(
                "Any two fields",
                "Each point is a candidate; its colour is E_hull at the temperature: "
                "blue is below the hull. Candidates without a value are left out.",
            ),
            html.Div(
                [
                    labelled("Across", _choice("field-x", axes, across)),
                    labelled("Up", _choice("field-y", axes, "e_hull")),
                ],
                className="controls-row",
            ),
            figure("fields-map", "Two fields of candidates.", tall=True),
        ]
    )


def _choice(name: str, axes: dict[str, FieldSpec], value: str | None) -> Component:
    options = [{"label": title(one), "value": one.name} for one in axes.values()]
    return dcc.Dropdown(
        id=name, options=options, value=value if value in axes else None
    )


def title(field: FieldSpec) -> str:
    """
    Name an axis.

    Examples
    --------
    >>> from hts_battery.query.query_fields import query_field
    >>> title(query_field("t_mix")), title(query_field("n_metals"))
    ('t_mix (K)', 'n_metals')
    """
    return f"{field.name} ({field.unit_words})" if field.unit_words else field.name


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("fields-map", "figure"),
        Output("fields-map-words", "children"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        Input("field-x", "value"),
        Input("field-y", "value"),
    )
    @in_thread
    def show(
        campaign: CampaignChoice, temperature: Kelvin, across: Name, up: Name
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name, axes = chosen(latest, campaign), axes_of(latest.table)
        if across not in axes or up not in axes:
            raise PreventUpdate
        x, y = axes[across], axes[up]
        numbers = read_numbers(latest.table, name, (x.column, y.column, "formula"))
        values = numbers.array(x.column), numbers.array(y.column)
        known = ~(np.isnan(values[0]) | np.isnan(values[1]))
        formulas = np.array(numbers.rows["formula"].to_pylist(), object)[known]
        drawn = fields_figure(
            (values[0][known], values[1][known]),
            numbers.at(temperature)[known],
            formulas.tolist(),
            (title(x), title(y)),
        )
        words = (
            f"{int(known.sum()):,} of {len(known):,} candidates have both {x.name} and "
            f"{y.name}. {x.name}: {x.description}. {y.name}: {y.description}. Of "
            f"{latest.whose(name)}."
        )
        return drawn, words


PAGE = Page("/fields", "Fields", _layout, _register, compared=True)

"""Rules of stability of one campaign: verdicts, and shares in bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from dash import Input, Output, State, dcc, html
from pydantic import Field

from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.learned_data import learned_rows, mined
from hts_battery.dashboard.learned_figures import shares_figure
from hts_battery.dashboard.parts import (
    EMPTY_LAYOUT,
    CampaignChoice,
    Kelvin,
    Page,
    Sources,
    aria,
    chosen,
    figure,
    heading,
    labelled,
    table,
)

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from hts_battery.dashboard.latest_build import LatestBuild
    from hts_battery.learning.rules import RuleReport
    from hts_battery.schemas.rules import Interval, Rule

Column = Annotated[str | None, Field(max_length=100)]
_FIRST = "metal_electronegativity_mean"
_COLUMNS = (
    *("rule", "verdict", "n", "inside", "outside", "odds ratio", "adjusted"),
    *("delta", "AUC"),
)


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Rules",
                "What each descriptor says about being on or below the hull at the "
                "temperature: alone, with all others held, and on candidates of sets "
                "of metals that the fit has not seen.",
            ),
            html.P(id="rules-count", className="headline", **aria(live="polite")),
            labelled(
                "Descriptor of the figure",
                dcc.Dropdown(id="rules-column", clearable=False, searchable=False),
            ),
            figure("rules-shares", "Stable share in bins of a descriptor."),
            html.Div(id="rules-table"),
        ]
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("rules-count", "children"),
        Output("rules-table", "children"),
        Output("rules-column", "options"),
        Output("rules-column", "value"),
        Input("campaign", "value"),
        Input("temperature", "value"),
        State("rules-column", "value"),
    )
    @in_thread
    def show(
        campaign: CampaignChoice, temperature: Kelvin, column: Column
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        report = campaign_rules(sources, latest, name, temperature)
        if isinstance(report, str):
            return report, None, [], None
        names = [one for one in report.columns if one]
        first = column if column in names else _FIRST if _FIRST in names else names[0]
        words = f"{count_words(report, temperature)} Of {latest.whose(name)}."
        return words, rules_table(report), names, first

    @app.callback(
        Output("rules-shares", "figure"),
        Output("rules-shares-words", "children"),
        Input("rules-column", "value"),
        Input("rules-count", "children"),
        State("campaign", "value"),
        State("temperature", "value"),
    )
    @in_thread
    def draw(
        column: Column, _words: object, campaign: CampaignChoice, temperature: Kelvin
    ) -> tuple[object, str]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        report = campaign_rules(sources, latest, name, temperature)
        if isinstance(report, str) or column not in report.columns or not report.used:
            return {"layout": EMPTY_LAYOUT}, "There is nothing to draw."
        rule = next(one for one in report.rules if one.columns == (column,))
        return shares_figure(report, rule), shares_words(rule)


def campaign_rules(
    sources: Sources, latest: LatestBuild, campaign: str | None, temperature: float
) -> RuleReport | str:
    """Return the rules of a campaign at a temperature, or why there are none."""
    key = ("rules", latest.run_id, campaign, temperature)
    return sources.learned.get(
        key, lambda: mined(learned_rows(latest, campaign, temperature))
    )


def count_words(report: RuleReport, temperature: float) -> str:
    """Say of how many candidates the rules are, and how many are left out and why."""
    if report.base_rate is None or report.base_rate_interval is None:
        return "No candidate has a label."
    low, high = report.base_rate_interval
    left = "; ".join(f"{n:,} left out: {why}" for why, n in report.left_out.items())
    supported = sum(one.verdict == "supported" for one in report.rules)
    return (
        f"{report.used:,} candidates, {report.base_rate:.1%} ({low:.1%} to {high:.1%}) "
        f"stable at {temperature:g} K{f'; {left}' if left else ''}. {supported} of "
        f"{len(report.rules)} rules are supported at a false-discovery rate of "
        f"{report.false_discovery_rate:g}."
    )


def rules_table(report: RuleReport) -> Component:
    """List every rule with its numbers; what speaks against it stands below it."""
    rows = [
        (
            html.Span([one.statement, *_reason(one)]),
            one.verdict,
            f"{one.n:,}",
            _share(one.share_inside, one.share_inside_interval),
            _share(one.share_outside, one.share_outside_interval),
            _ratio(one.odds_ratio, one.interval),
            html.Span(
                _ratio(one.adjusted_odds_ratio, one.adjusted_interval),
                title=f"held: {', '.join(one.confounders)}",
            ),
            "" if one.cliffs_delta is None else f"{one.cliffs_delta:+.2f}",
            "" if one.auc is None else f"{one.auc:.2f}",
        )
        for one in report.rules
    ]
    return table(
        _COLUMNS,
        rows,
        caption="Shares inside and outside, odds ratios with 95 % intervals (adjusted: "
        "all other descriptors held), Cliff's delta, area under the curve on sets of "
        "metals kept aside (0.5 is chance).",
        numbers=_COLUMNS[2:],
        row_headings=True,
    )


def _reason(rule: Rule) -> list[Component]:
    return [html.Br(), html.Small(rule.reason)] if rule.reason else []


def _share(share: float | None, interval: Interval | None) -> str:
    if share is None or interval is None:
        return ""
    return f"{share:.0%} ({interval[0]:.0%} to {interval[1]:.0%})"


def _ratio(ratio: float | None, interval: Interval | None) -> str:
    if ratio is None or interval is None:
        return ""
    return f"{ratio:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def shares_words(rule: Rule) -> str:
    """Say what the figure of one rule shows."""
    held = ", ".join(rule.confounders) or "nothing"
    return (
        f"Stable share in bins of {rule.columns[0]} with 95 % intervals: as counted "
        f"(blue), and had every bin the same of all others (orange; held: {held}). "
        f"Dashed: the share of all. {rule.statement}: {rule.verdict}."
    )


PAGE = Page("/rules", "Rules", _layout, _register, compared=True)

"""A formula of two features for one campaign: its map, and what a forest predicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from dash import Input, Output, State, html

from hts_battery.compositions.candidate_descriptors import (
    DESCRIPTORS,
    candidate_descriptors,
)
from hts_battery.dashboard.callbacks import in_thread
from hts_battery.dashboard.learned_data import learned_rows, reported_like
from hts_battery.dashboard.learned_figures import (
    Line,
    MapPoints,
    curves_figure,
    formula_figure,
)
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
    table,
)
from hts_battery.errors import ConfigurationError
from hts_battery.schemas.fields import PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import plotly.graph_objects as go
    from dash import Dash
    from dash.development.base_component import Component
    from numpy.typing import NDArray

    from hts_battery.compositions.reported import ReportedCompound
    from hts_battery.dashboard.learned_data import Learned
    from hts_battery.learning.descriptor_models import Descriptor
    from hts_battery.schemas.learned import LearnedDescriptor

    Array = NDArray[np.float64]

_FEWEST, _FEWEST_STABLE = 30, 5
_UNITS = {"Å": "angstrom", "Pauling": "pauling"}
_FORMULAS = 5


@dataclass(frozen=True)
class FoundFormula:
    """A search over the candidates of a campaign, and what its figures need."""

    document: LearnedDescriptor
    best: Descriptor
    columns: Mapping[str, Array]
    formulas: Sequence[str]
    energies: Array
    formula_scores: Array
    forest_scores: Array
    family: str | None


def _layout(_sources: Sources, _rest: str) -> Component:
    return html.Div(
        [
            *heading(
                "Descriptors",
                "Which two features of a composition, made of its descriptors by up to "
                "two operators each, order the candidates of the campaign by E_hull at "
                "the temperature? The search takes seconds.",
            ),
            html.Button(
                "Search", id="formula-search", type="button", className="theme"
            ),
            html.P(id="formula-words", className="headline", **aria(live="polite")),
            html.Div(
                [
                    figure("formula-map", "Candidates by two features.", tall=True),
                    figure("formula-curves", "A formula and a forest.", tall=True),
                ],
                className="grid",
            ),
            html.Div(id="formula-table"),
        ]
    )


def _register(app: Dash, sources: Sources) -> None:
    @app.callback(
        Output("formula-words", "children"),
        Output("formula-map", "figure"),
        Output("formula-map-words", "children"),
        Output("formula-curves", "figure"),
        Output("formula-curves-words", "children"),
        Output("formula-table", "children"),
        Input("formula-search", "n_clicks"),
        State("campaign", "value"),
        State("temperature", "value"),
        prevent_initial_call=True,
    )
    @in_thread
    def show(
        _clicks: int | None, campaign: CampaignChoice, temperature: Kelvin
    ) -> tuple[object, ...]:
        latest = sources.cache.get()
        name = chosen(latest, campaign)
        found = sources.learned.get(
            ("formula", latest.run_id, name, temperature),
            lambda: found_formula(learned_rows(latest, name, temperature)),
        )
        if isinstance(found, str):
            empty = {"layout": EMPTY_LAYOUT}
            return found, empty, "Nothing to draw.", empty, "Nothing to draw.", None
        like = reported_like(sources.reported, found.family)
        drawn, shown = formula_map(found, like)
        words = f"{formula_words(found)} Of {latest.whose(name)}, {temperature:g} K."
        curves = curves_figure(
            found.formula_scores, found.forest_scores, found.energies <= 0
        )
        return words, drawn, shown, curves, curve_words(found), formula_table(found)


def found_formula(rows: Learned) -> FoundFormula:
    """
    Search the best formula of two features, and score every row kept aside.

    Raises
    ------
    ConfigurationError
        If there are too few candidates of either label.
    """
    from hts_battery.learning import DescriptorSearch  # noqa: PLC0415 - an extra
    from hts_battery.learning.folds import assign_folds  # noqa: PLC0415 - an extra
    from hts_battery.learning.kept_aside import (  # noqa: PLC0415 - an extra
        forest_scores,
        formula_scores,
    )
    from hts_battery.learning.labelled_frames import METALS  # noqa: PLC0415 - an extra
    from hts_battery.learning.learned import learned, search_rows  # noqa: PLC0415 - an extra

    frame = rows.table.frame.assign(
        energy=rows.energies, formula=rows.formulas, **rows.held
    )
    names = [
        name for name in DESCRIPTORS if name in frame and frame[name].notna().any()
    ]
    stable = int((rows.energies <= 0).sum())
    if len(frame) < _FEWEST or min(stable, len(frame) - stable) < _FEWEST_STABLE:
        raise ConfigurationError(
            f"too few rows: {len(frame)} candidates, {stable} of them stable; a search "
            f"needs {_FEWEST}, and {_FEWEST_STABLE} of either label"
        )
    found = search_rows(frame, "energy", groups=METALS, columns=names)
    search = DescriptorSearch("rank", units=_units(names))
    search.fit(found.columns, found.target, found.groups)
    best = search.descriptors_[0]
    unstable = (found.target > 0).astype(float)
    folds = assign_folds(unstable, found.codes, seed=search.seed)
    _, target = search.goals(found.target)
    return FoundFormula(
        learned(search, found, limit=_FORMULAS),
        best,
        {str(one): found.columns[one].to_numpy() for one in found.columns},
        frame.loc[found.columns.index, "formula"].tolist(),
        found.target,
        formula_scores(search, best, found, folds),
        forest_scores(found.columns.to_numpy(), target, folds, seed=search.seed),
        rows.family,
    )


def _units(names: Sequence[str]) -> dict[str, str]:
    """Return the units of descriptors as the search reads them."""
    declared = {one.name: one.unit or "1" for one in PROPERTIES}
    return {name: _UNITS.get(declared[name], "1") for name in names}


def formula_map(
    found: FoundFormula, reported: Sequence[ReportedCompound]
) -> tuple[go.Figure, str]:
    """Draw candidates and reported compounds by the two features of a formula."""
    features = [one(found.columns) for one in found.best.expressions]
    if len(features) == 1:
        features.append(found.energies)
    stable = found.energies <= 0
    names = np.array(found.formulas, dtype=object)
    points = [
        MapPoints(features[0][rows], features[1][rows], names[rows].tolist())
        for rows in (stable, ~stable)
    ]
    known = known_points(found, reported)
    titles = [one.text for one in found.best.expressions]
    drawn = formula_figure(
        points[0], points[1], known, _line(found.best), (titles[0], titles[-1])
    )
    words = (
        f"Across: {titles[0]}. Up: {titles[-1]}. {len(known.names)} of {len(reported)} "
        "reported compounds have these features and are drawn. "
        f"{_sides(found, known)}"
    )
    return drawn, words


def known_points(
    found: FoundFormula, reported: Sequence[ReportedCompound]
) -> MapPoints:
    """Place reported compounds on the map, as far as they have the features."""
    rows, names = [], []
    for one in reported:
        numbers = candidate_descriptors(one.species) if one.species else {}
        values = [numbers.get(name) for name in found.columns]
        if all(isinstance(value, float) for value in values):
            rows.append(values)
            names.append(f"{one.formula} ({one.doi})")
    columns = dict(zip(found.columns, np.array(rows, dtype=float).T, strict=False))
    empty = np.empty(0)
    if not rows:
        return MapPoints(empty, empty, [])
    values = [one(columns) for one in found.best.expressions]
    good = np.isfinite(np.array(values)).all(axis=0)
    labels = np.array(names, dtype=object)[good].tolist()
    return MapPoints(values[0][good], values[-1][good], labels)


def _line(best: Descriptor) -> Line | None:
    if best.boundary is None or len(best.coefficients) != 2:  # noqa: PLR2004 - a map
        return None
    a, b = best.coefficients
    return Line(a, b, best.intercept - best.boundary)


def _sides(found: FoundFormula, known: MapPoints) -> str:
    line = _line(found.best)
    if line is None or not len(known.across):
        return ""
    below = int((line.a * known.across + line.b * known.up + line.c <= 0).sum())
    return f"{below} of them lie on the stable side of the line."


def formula_words(found: FoundFormula) -> str:
    """Say what was found, in how many rows, and how well it does on others."""
    one = found.document.formulas[0]
    words = (
        f"{one.text}: pair accuracy {one.fold_score:.3f} on sets of metals kept aside "
        f"(0.5 is chance; {found.document.screened:,} features screened, "
        f"{found.document.rows:,} candidates; wins {one.wins or 0:.0%} of resamplings)."
    )
    aside = one.kept_aside
    if aside is None or aside.recall.recall is None:
        return words
    return (
        f"{words} AUC {aside.auc:.3f}, balanced accuracy "
        f"{aside.balanced_accuracy:.3f}; at {aside.false_positive_rate:.0%} false "
        f"positives it finds {aside.recall.recall:.0%} of {aside.recall.n} stable ones."
    )


def curve_words(found: FoundFormula) -> str:
    """Say what a formula is for, and what a forest is for."""
    one = found.document
    return (
        "A formula explains: it says which quantities enter, and how. A forest "
        "predicts: it says nothing else. Pair accuracy on the same candidates kept "
        f"aside: formula {one.formulas[0].fold_score:.3f}, forest "
        f"{one.forest_score:.3f}. The features were chosen with all candidates, the "
        "coefficients without those that are scored."
    )


def formula_table(found: FoundFormula) -> Component:
    """List the best formulas."""
    rows = [
        (one.text, one.complexity, f"{one.fold_score:.3f}", f"{one.wins or 0:.0%}")
        for one in found.document.formulas
    ]
    return table(
        ("features", "operators", "pair accuracy", "wins"),
        rows,
        caption="The best formulas: pair accuracy on sets of metals kept aside, and "
        "share of resampled tables in which each is the best.",
        numbers=("operators", "pair accuracy", "wins"),
        row_headings=True,
    )


PAGE = Page("/descriptors", "Descriptors", _layout, _register, compared=True)

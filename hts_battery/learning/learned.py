"""A search over the rows of a table, as a document, and its formulas applied again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from hts_battery.errors import ConfigurationError
from hts_battery.learning.descriptor_models import fold_score
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.formula_source import evaluate_source
from hts_battery.learning.tables import (
    label_conventions,
    numeric_columns,
    package_versions,
)
from hts_battery.schemas.learned import LearnedDescriptor, LearnedFormula

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hts_battery.learning.descriptor_models import Descriptor
    from hts_battery.learning.descriptor_search import DescriptorSearch

    Array = NDArray[np.float64]

_MEASURES = {
    "rank": "pair accuracy",
    "classify": "area under the curve",
    "regress": "minus root mean squared error",
}
_TREES = 100


class SearchRows(NamedTuple):
    """Rows of a table that can be searched."""

    columns: pd.DataFrame
    target: Array
    target_name: str
    groups: Array | None
    left_out: dict[str, int]
    conventions: dict[str, str]


def search_rows(
    frame: pd.DataFrame,
    target: str,
    *,
    groups: str | None = None,
    columns: Sequence[str] | None = None,
) -> SearchRows:
    """
    Choose the numeric columns and the rows that have all their values.

    Raises
    ------
    ConfigurationError
        If a column is missing or none is numeric.
    MixedCalculatorError
        If targets of several calculators, hulls or structure settings meet.
    """
    wanted = [target, *([groups] if groups else []), *(columns or [])]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        listed = ", ".join(map(str, frame.columns))
        raise ConfigurationError(f"no column {missing[0]!r}; there are {listed}")
    numeric = numeric_columns(frame, without=[target, groups])
    names = numeric if columns is None else list(columns)
    unlike = [name for name in names if name not in numeric]
    if unlike or not names or target not in numeric_columns(frame, without=[]):
        what = unlike[0] if unlike else target if names else "every column"
        raise ConfigurationError(f"{what} is not numeric: choose columns of numbers")
    used = np.ones(len(frame), dtype=bool)
    left_out: dict[str, int] = {}
    for name in [target, *([groups] if groups else []), *names]:
        bad = frame[name].isna().to_numpy()
        if name != groups:
            bad = bad | ~np.isfinite(frame[name].astype(float).to_numpy())
        if (bad & used).any():
            left_out[f"no value of {name}"] = int((bad & used).sum())
            used &= ~bad
    kept = frame[used]
    return SearchRows(
        kept[names].astype(float),
        kept[target].to_numpy(dtype=float),
        target,
        kept[groups].to_numpy(dtype=str) if groups else None,
        left_out,
        label_conventions(kept),
    )


def learned(
    search: DescriptorSearch, rows: SearchRows, *, limit: int
) -> LearnedDescriptor:
    """Describe a fitted search with its dummy and a forest on the same rows."""
    values = np.column_stack([rows.columns.to_numpy(), rows.target])
    values = values[np.lexsort(values.T)]
    return LearnedDescriptor(
        task=search.task,
        method=search.method,
        dimensions=search.dimensions,
        target=rows.target_name,
        columns=tuple(rows.columns.columns),
        units=None if search.units is None else dict(search.units),
        measure=_MEASURES[search.task],
        base_score=_base_score(search.task, rows.target),
        forest_score=_forest_score(search, rows),
        rows=len(rows.target),
        left_out=rows.left_out,
        screened=search.features_screened_,
        formulas=tuple(map(_formula, search.descriptors_[:limit])),
        front=tuple(map(_formula, search.front_)),
        conventions=rows.conventions,
        seed=search.seed,
        versions=package_versions(),
        digest=sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16],
    )


def _formula(one: Descriptor) -> LearnedFormula:
    return LearnedFormula(
        text=one.text,
        latex=one.latex,
        python=one.python,
        coefficients=one.coefficients,
        intercept=one.intercept,
        boundary=one.boundary,
        complexity=one.complexity,
        fold_score=one.fold_score,
        train_score=one.train_score,
        wins=None if np.isnan(one.wins) else one.wins,
    )


def _base_score(task: str, target: Array) -> float:
    return -float(target.std()) if task == "regress" else 0.5


def _forest_score(search: DescriptorSearch, rows: SearchRows) -> float:
    """Mean measure of a random forest on rows kept aside, groups whole."""
    goal, target = search.goals(rows.target)
    codes = None
    if rows.groups is not None:
        codes = np.unique(rows.groups, return_inverse=True)[1].astype(np.int64)
    scores = []
    columns = rows.columns.to_numpy()
    folds = assign_folds(np.arange(len(goal), dtype=float), codes, seed=search.seed)
    for seen, aside in each_fold(folds):
        forest = RandomForestRegressor(_TREES, random_state=search.seed, n_jobs=1)
        forest.fit(columns[seen], target[seen])
        found = fold_score(search.task, forest.predict(columns[aside]), goal[aside])
        scores.append(found)
    return float(np.nanmean(scores))


def apply_formula(
    found: LearnedDescriptor, frame: pd.DataFrame, *, number: int = 1
) -> Array:
    """
    Return the scores of a table by one of the formulas; NaN where it is not defined.

    Raises
    ------
    ConfigurationError
        If there is no such formula, or the table lacks a column of it.
    """
    if not 1 <= number <= len(found.formulas):
        raise ConfigurationError(f"there are formulas 1 to {len(found.formulas)}")
    columns = {
        name: frame[name].to_numpy(dtype=float)
        for name in found.columns
        if name in frame.columns
    }
    scores = evaluate_source(found.formulas[number - 1].python, columns)
    return np.where(np.isfinite(scores), scores, np.nan)

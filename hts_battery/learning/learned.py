"""A search over the rows of a table, as a document, and its formulas applied again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import ConfigurationError
from hts_battery.learning.descriptor_models import fold_score
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.formula_source import evaluate_source
from hts_battery.learning.kept_aside import forest_scores, kept_aside
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
    from hts_battery.schemas.learned import KeptAside

    Array = NDArray[np.float64]

_MEASURES = {
    "rank": "pair accuracy",
    "classify": "area under the curve",
    "regress": "minus root mean squared error",
}


class SearchRows(NamedTuple):
    """Rows of a table that can be searched."""

    columns: pd.DataFrame
    target: Array
    target_name: str
    groups: NDArray[np.str_] | None
    subgroups: NDArray[np.str_] | None
    """Value of the column whose rows' recall is said, each."""
    left_out: dict[str, int]
    conventions: dict[str, str]

    @property
    def codes(self) -> NDArray[np.int64] | None:
        """Number of the group of each row."""
        if self.groups is None:
            return None
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64)


def search_rows(
    frame: pd.DataFrame,
    target: str,
    *,
    groups: str | None = None,
    columns: Sequence[str] | None = None,
    subgroups: str | None = None,
) -> SearchRows:
    """
    Choose the numeric columns and the rows that have all their values.

    Rows come in an order that does not depend on that of the table.

    Raises
    ------
    ConfigurationError
        If a column is missing or none is numeric.
    MixedCalculatorError
        If targets of several calculators, hulls or structure settings meet.
    """
    named = [one for one in (groups, subgroups) if one]
    wanted = [target, *named, *(columns or [])]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        listed = ", ".join(map(str, frame.columns))
        raise ConfigurationError(f"no column {missing[0]!r}; there are {listed}")
    numeric = numeric_columns(frame, without=[target, groups, subgroups])
    known = [name for name in numeric if frame[name].notna().any()]
    names = known if columns is None else list(columns)
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
    parts = [kept[names].to_numpy(dtype=float), kept[target].to_numpy(dtype=float)]
    values = np.column_stack(parts)
    kept = kept.iloc[np.lexsort(values.T)]
    return SearchRows(
        kept[names].astype(float),
        kept[target].to_numpy(dtype=float),
        target,
        kept[groups].to_numpy(dtype=str) if groups else None,
        kept[subgroups].to_numpy(dtype=str) if subgroups else None,
        left_out,
        label_conventions(kept),
    )


def learned(
    search: DescriptorSearch, rows: SearchRows, *, limit: int
) -> LearnedDescriptor:
    """Describe a fitted search with its dummy and a forest on the same rows."""
    values = np.column_stack([rows.columns.to_numpy(), rows.target])
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
        formulas=tuple(
            _formula(one, kept_aside(search, one, rows))
            for one in search.descriptors_[:limit]
        ),
        front=tuple(map(_formula, search.front_)),
        conventions=rows.conventions,
        seed=search.seed,
        versions=package_versions(),
        digest=sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:16],
    )


def _formula(one: Descriptor, aside: KeptAside | None = None) -> LearnedFormula:
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
        kept_aside=aside,
    )


def _base_score(task: str, target: Array) -> float:
    return -float(target.std()) if task == "regress" else 0.5


def _forest_score(search: DescriptorSearch, rows: SearchRows) -> float:
    """Mean measure of a random forest on rows kept aside, groups whole."""
    goal, target = search.goals(rows.target)
    folds = assign_folds(goal, rows.codes, seed=search.seed)
    found = forest_scores(rows.columns.to_numpy(), target, folds, seed=search.seed)
    scores = [
        fold_score(search.task, found[aside], goal[aside])
        for _, aside in each_fold(folds)
    ]
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

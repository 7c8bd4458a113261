"""Scores of rows by fits that have not seen them, and what is found with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from hts_battery.learning.descriptor_models import best_boundary, fit_descriptor
from hts_battery.learning.folds import assign_folds, each_fold
from hts_battery.learning.screening import Feature
from hts_battery.learning.shares import area_under_curve, share_interval
from hts_battery.schemas.learned import KeptAside, Recall

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.learning.descriptor_models import Descriptor
    from hts_battery.learning.descriptor_search import DescriptorSearch
    from hts_battery.learning.learned import SearchRows

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

FALSE_POSITIVES = 0.1
"""Share of unstable rows that pass where recall is said."""
_TREES = 100


def forest_scores(
    columns: Array, target: Array, folds: NDArray[np.int64], *, seed: int
) -> Array:
    """Score each row by a random forest that was fitted to the other folds."""
    found = np.full(len(target), np.nan)
    for seen, aside in each_fold(folds):
        forest = RandomForestRegressor(_TREES, random_state=seed, n_jobs=1)
        found[aside] = forest.fit(columns[seen], target[seen]).predict(columns[aside])
    return found


def formula_scores(
    search: DescriptorSearch,
    found: Descriptor,
    rows: SearchRows,
    folds: NDArray[np.int64],
) -> Array:
    """
    Score each row by a formula whose coefficients were fitted to the other folds.

    Its features were chosen with all rows; NaN where one is not defined.
    """
    goal, target = search.goals(rows.target)
    columns = {str(name): rows.columns[name].to_numpy() for name in rows.columns}
    features = tuple(Feature(one, one(columns), 0.0) for one in found.expressions)
    values = np.column_stack([one.column for one in features])
    scores = np.full(len(goal), np.nan)
    for seen, aside in each_fold(folds):
        fit = fit_descriptor(features, target, goal, search.method, rows=seen)
        scores[aside] = fit.score(values[aside])
    return scores


def kept_aside(
    search: DescriptorSearch, found: Descriptor, rows: SearchRows
) -> KeptAside | None:
    """Say how a formula tells stable rows of folds that its fit has not seen."""
    goal, _ = search.goals(rows.target)
    unstable = goal > 0
    if unstable.all() or not unstable.any():
        return None
    folds = assign_folds(unstable.astype(float), rows.codes, seed=search.seed)
    scores = formula_scores(search, found, rows, folds)
    return separation(scores, unstable, folds, rows.subgroups)


def separation(
    scores: Array,
    unstable: Mask,
    folds: NDArray[np.int64],
    subgroups: NDArray[np.str_] | None = None,
) -> KeptAside | None:
    """
    Assess scores of rows kept aside; the bounds of a fold come from the others.

    Recall lets the same share of unstable rows pass in every fold, so that no bound
    that is moved can raise it.

    Parameters
    ----------
    scores
        Higher: less stable; shape (rows,).
    unstable
        Whether each row is.
    folds
        Number of the fold in which each row was kept aside.
    subgroups
        Values whose rows are asked for one by one.

    Returns
    -------
    KeptAside or None
        None where no fold has both labels.
    """
    called = np.zeros(len(scores), dtype=bool)
    passed = np.zeros(len(scores), dtype=bool)
    used = np.zeros(len(scores), dtype=bool)
    areas = []
    for seen, aside in each_fold(folds):
        bad = unstable[aside]
        if bad.all() or not bad.any() or not np.isfinite(scores[aside]).all():
            continue
        used |= aside
        areas.append(area_under_curve(scores[aside], bad.astype(float)))
        known = seen & np.isfinite(scores)
        called[aside] = scores[aside] > best_boundary(scores[known], unstable[known])
        others = scores[aside][bad]
        passed[aside] = scores[aside] <= np.quantile(others, FALSE_POSITIVES)
    stable = used & ~unstable
    if not areas:
        return None
    right = (called[used & unstable].mean() + (~called[stable]).mean()) / 2
    names = [] if subgroups is None else sorted(set(subgroups[used].tolist()))
    return KeptAside(
        n=int(used.sum()),
        stable=int(stable.sum()),
        folds=len(areas),
        auc=float(np.mean(areas)),
        balanced_accuracy=float(right),
        false_positive_rate=FALSE_POSITIVES,
        recall=_recall(passed, stable),
        subgroups={
            name: _recall(passed, stable & (subgroups == name))
            for name in names
            if subgroups is not None
        },
    )


def _recall(passed: Mask, stable: Mask) -> Recall:
    number, here = int(stable.sum()), int((passed & stable).sum())
    if not number:
        return Recall(n=0, recall=None, interval=None)
    interval = share_interval(here, number)
    return Recall(n=number, recall=here / number, interval=interval)

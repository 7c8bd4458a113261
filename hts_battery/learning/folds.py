"""Parts of a table that are kept aside in turn, whole groups at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hts_battery.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FOLDS = 5


def assign_folds(
    label: Array, groups: NDArray[np.int64] | None, *, seed: int, folds: int = FOLDS
) -> NDArray[np.int64]:
    """
    Give each row the number of its fold; both labels spread evenly, groups whole.

    Raises
    ------
    ConfigurationError
        If there are fewer groups, or fewer rows, than two.
    """
    try:
        from sklearn.model_selection import (  # noqa: PLC0415 - extra
            KFold,
            StratifiedGroupKFold,
            StratifiedKFold,
        )
    except ImportError as err:
        raise MissingExtraError("learning", "scikit-learn") from err
    counts = np.unique(label, return_counts=True)[1]
    is_class = len(counts) == 2  # noqa: PLR2004 - stable and not
    most = len(label) if groups is None else len(np.unique(groups))
    if most < 2:  # noqa: PLR2004 - one to fit, one to assess
        raise ConfigurationError("fewer than two groups: nothing can be kept aside")
    splits = min(folds, most)
    if groups is not None:
        classes = label if is_class else np.zeros(len(label))
        splitter = StratifiedGroupKFold(splits, shuffle=True, random_state=seed)
        parts = splitter.split(classes, classes, groups)
    elif is_class and counts.min() >= splits:
        parts = StratifiedKFold(splits, shuffle=True, random_state=seed).split(
            label, label
        )
    else:
        parts = KFold(splits, shuffle=True, random_state=seed).split(label)
    found = np.zeros(len(label), dtype=np.int64)
    for number, (_, aside) in enumerate(parts):
        found[aside] = number
    return found


def each_fold(
    folds: NDArray[np.int64],
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield rows to fit and rows kept aside, fold by fold."""
    for number in np.unique(folds):
        yield folds != number, folds == number

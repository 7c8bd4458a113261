"""Tables of labelled compositions as arrays: rows used, rows left out and why."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import numpy as np
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from hts_battery.errors import ConfigurationError, MixedCalculatorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MIN_ROWS = 30
"""Rows below which nothing is said."""
MIN_STABLE = 5
"""Rows of either label below which nothing is said."""
CONVENTIONS = ("calculator", "hull_version", "structure_settings")
"""Columns that say what labels mean; each must hold one value."""
_ROUNDING = 1e-9
_DEPENDENT = 1e-6
_PACKAGES = ("hts_battery", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels")


@dataclass(frozen=True, eq=False)
class LabelledTable:
    """Rows in an order that does not depend on how the table was sorted."""

    label: Array
    """Zeros and ones, shape (n,)."""
    columns: Mapping[str, Array]
    """Column → values, finite, shape (n,)."""
    groups: NDArray[np.int64] | None
    left_out: Mapping[str, int]
    """Reason → rows."""
    conventions: Mapping[str, str]
    """What the labels mean, where the table says it."""
    digest: str
    """SHA-256 over the rows used, whatever their order; first 16 digits."""

    @property
    def too_few(self) -> bool:
        """Whether there are too few rows to say anything."""
        stable = float(self.label.sum())
        return (
            len(self.label) < MIN_ROWS
            or min(stable, len(self.label) - stable) < MIN_STABLE
        )

    def check_independent(self, names: Sequence[str]) -> None:
        """Refuse a column that is constant or follows from those before it."""
        if not len(self.label):
            return
        kept = [np.ones(len(self.label))]
        for name in names:
            column = self.columns[name]
            if is_constant(column):
                raise ConfigurationError(f"column {name!r} is constant: leave it out")
            scaled = (column - column.mean()) / column.std()
            if residual(scaled, np.column_stack(kept)).std() < _ROUNDING:
                raise ConfigurationError(
                    f"column {name!r} follows from {', '.join(names)}: leave it out"
                )
            kept.append(scaled)


def independent(design: Array) -> list[int]:
    """Return the columns that do not follow from those before them."""
    kept: list[int] = []
    basis = np.empty((len(design), 0))
    for number, column in enumerate(design.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # once more, against rounding
        size = float(np.linalg.norm(rest))
        if size > _DEPENDENT * max(float(np.linalg.norm(column)), 1e-300):
            kept.append(number)
            basis = np.column_stack([basis, rest / size])
    return kept


def residual(column: Array, others: Array) -> Array:
    """Return what of a column its least-squares fit by others leaves."""
    return column - others @ np.linalg.lstsq(others, column, rcond=None)[0]


def is_constant(column: Array) -> bool:
    """Whether all values are one, but for rounding."""
    return not len(column) or bool(
        np.ptp(column) <= _ROUNDING * max(float(np.abs(column).max()), 1e-300)
    )


def read_table(
    frame: pd.DataFrame,
    label: str,
    *,
    columns: Sequence[str],
    groups: str | None = None,
) -> LabelledTable:
    """
    Read columns of a table; rows without a value are counted, not lost.

    Raises
    ------
    ConfigurationError
        If a column is missing or no number, or the label is not 0 and 1.
    MixedCalculatorError
        If labels of several calculators, hulls or structure settings meet.
    """
    wanted = [label, *columns, *([groups] if groups else [])]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise ConfigurationError(
            f"no column {missing[0]!r}; there are {', '.join(map(str, frame.columns))}"
        )
    if not frame.columns.is_unique:
        raise ConfigurationError("two columns have one name: rename one")
    stable = _labels(frame, label)
    conventions = label_conventions(frame[~np.isnan(stable)])
    values = {name: _numbers(frame, name) for name in columns}
    used = np.ones(len(frame), dtype=bool)
    left_out: dict[str, int] = {}

    def leave_out(bad: NDArray[np.bool_], reason: str) -> None:
        new = bad & used
        if new.any():
            left_out[reason] = int(new.sum())
            used[new] = False

    leave_out(np.isnan(stable), f"no {label}")
    if groups:
        leave_out(frame[groups].isna().to_numpy(), f"no {groups}")
    for name in columns:
        leave_out(~np.isfinite(values[name]), f"no value of {name}")
    codes = _group_codes(frame.loc[used, groups]) if groups else None
    kept = {name: column[used] for name, column in values.items()}
    keys = [*(kept[name] for name in sorted(kept)), stable[used]]
    order = np.lexsort([*keys, *([codes] if codes is not None else [])])
    kept = {name: column[order] for name, column in kept.items()}
    return LabelledTable(
        label=stable[used][order],
        columns=kept,
        groups=None if codes is None else codes[order],
        left_out=left_out,
        conventions=conventions,
        digest=_digest(stable[used][order], kept),
    )


def label_conventions(frame: pd.DataFrame) -> dict[str, str]:
    """
    Return calculator, hull version and structure settings of labels that agree.

    Parameters
    ----------
    frame
        Rows that have a label; one that does not say its calculator, where others do,
        is of another kind.

    Raises
    ------
    MixedCalculatorError
        If a column of :data:`CONVENTIONS` holds several values, with their counts.
    """
    found = {}
    for name in CONVENTIONS:
        if name not in frame.columns or frame[name].isna().all():
            continue
        kinds = frame[name].astype(object).where(frame[name].notna(), "not said")
        counts = kinds.astype(str).value_counts().sort_index()
        if len(counts) > 1:
            listed = ", ".join(
                f"{value} ({rows} rows)" for value, rows in counts.items()
            )
            raise MixedCalculatorError(
                f"labels of several kinds in {name}: {listed}; choose the rows of one"
            )
        if len(counts):
            found[name] = str(counts.index[0])
    return found


def _labels(frame: pd.DataFrame, label: str) -> Array:
    """Read booleans, zeros and ones; NaN where there is none."""
    column = frame[label]
    if not is_bool_dtype(column) and not is_numeric_dtype(column):
        column = column.map({True: 1.0, False: 0.0, None: np.nan}, na_action="ignore")
        if column.isna().sum() > frame[label].isna().sum():
            raise ConfigurationError(f"label {label!r} must hold 0 and 1, or booleans")
    found = np.asarray(column.astype(float), dtype=np.float64)
    if not np.isin(found[~np.isnan(found)], (0.0, 1.0)).all():
        raise ConfigurationError(
            f"label {label!r} must hold 0 and 1, or booleans; make one with a bound, "
            "such as energy <= 0"
        )
    return found


def _numbers(frame: pd.DataFrame, name: str) -> Array:
    if not is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name]):
        raise ConfigurationError(f"column {name!r} is not numeric")
    return np.asarray(frame[name].astype(float), dtype=np.float64)


def numeric_columns(frame: pd.DataFrame, *, without: Sequence[str | None]) -> list[str]:
    """Names of the numeric and boolean columns, alphabetical."""
    return sorted(
        str(name)
        for name in frame.columns
        if name not in without
        and (is_numeric_dtype(frame[name]) or is_bool_dtype(frame[name]))
    )


def _group_codes(column: pd.Series) -> NDArray[np.int64]:
    """Return numbers of groups that do not depend on the order of rows."""
    names = column.astype(str)
    return np.unique(names.to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)


def _digest(label: Array, values: Mapping[str, Array]) -> str:
    digest = sha256(label.tobytes())
    for name in sorted(values):
        digest.update(name.encode())
        digest.update(values[name].tobytes())
    return digest.hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found

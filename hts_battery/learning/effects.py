"""The effect of one column on stability: its form, bounds, and what holds of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from hts_battery.learning.folds import each_fold
from hts_battery.learning.logit import fit_logit
from hts_battery.learning.shares import area_under_curve, share_interval
from hts_battery.learning.tables import deviation, independent
from hts_battery.schemas.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from hts_battery.learning.logit import LogitFit
    from hts_battery.schemas.rules import Interval

    Array = NDArray[np.float64]
    Form = Literal["trend", "window", "yes or no"]

_EDGE = 0.05
"""Share of rows that must lie on either side of a window, and within."""
_BENT = 0.01
"""Probability of a straight line below which a column has an optimum."""


class Bounds(NamedTuple):
    """What counts as inside."""

    lower: float | None
    upper: float | None

    def inside(self, values: Array) -> NDArray[np.bool_]:
        """Say which values lie within."""
        low = -np.inf if self.lower is None else self.lower
        high = np.inf if self.upper is None else self.upper
        return (values >= low) & (values <= high)

    def __str__(self) -> str:
        if self.lower is None and self.upper is None:
            return "anywhere"
        if self.upper is None:
            return f"from {self.lower:.4g} on"
        if self.lower is None:
            return f"up to {self.upper:.4g}"
        return f"from {self.lower:.4g} to {self.upper:.4g}"


@dataclass(frozen=True)
class Effect:
    """
    One column beside those that are held.

    Parameters
    ----------
    name
        Name of the column.
    values
        Its values, shape (n,), not constant.
    scaled
        The same with mean 0 and deviation 1, outliers drawn in.
    label
        Zeros and ones.
    held
        Columns to be held, shape (n, k).
    groups
        Numbers of the groups, or None.
    folds
        Number of the fold of each row.
    """

    name: str
    values: Array
    scaled: Array
    label: Array
    held: Array
    groups: NDArray[np.int64] | None
    folds: NDArray[np.int64]

    @property
    def is_binary(self) -> bool:
        """Whether the column says yes or no."""
        return len(np.unique(self.values)) == 2  # noqa: PLR2004

    def rule(self) -> dict[str, object]:
        """Return the fields of the rule that this column alone decides."""
        form, p_value = self._form()
        bounds = self._bounds(form, np.ones(len(self.label), dtype=bool))
        inside, auc = self._kept_aside(form)
        if form == "window" and (inside.all() or not inside.any()):
            form, bounds = (
                "trend",
                self._bounds("trend", np.ones(len(inside), dtype=bool)),
            )
        contrast = inside.astype(float) if form == "window" else self._contrast(form)
        raw = self._fit(contrast, adjusted=False).odds_ratio(1)
        adjusted = self._fit(contrast, adjusted=True).odds_ratio(1)
        return {
            "form": form,
            "lower": bounds.lower,
            "upper": bounds.upper,
            "statement": self._statement(form, bounds, raw[0]),
            "contrast": self._contrast_words(form),
            **inside_shares(inside, self.label),
            "odds_ratio": raw[0],
            "interval": raw[1],
            "adjusted_odds_ratio": adjusted[0],
            "adjusted_interval": adjusted[1],
            "cliffs_delta": 2 * area_under_curve(self.values, self.label) - 1,
            "auc": auc,
            "p_value": p_value,
            "reason": _invalid_reason(raw, adjusted[0], auc),
        }

    def separation(self) -> Bounds | None:
        """Return bounds with all stable rows and no other inside, if there are any."""
        stable, other = self.values[self.label > 0], self.values[self.label == 0]
        if stable.min() > other.max():
            return Bounds(float(stable.min()), None)
        if stable.max() < other.min():
            return Bounds(None, float(stable.max()))
        bounds = Bounds(float(stable.min()), float(stable.max()))
        return None if bounds.inside(other).any() else bounds

    def _form(self) -> tuple[Form, float]:
        """Choose between trend and window by the held fits; the p value pays for it."""
        linear = self._fit(self.scaled, adjusted=True)
        if self.is_binary:
            return "yes or no", linear.probability(1)
        trend = linear.probability(1)
        both = np.column_stack([self.scaled, self.scaled**2])
        if len(independent(np.column_stack([np.ones(len(both)), both]))) < 3:  # noqa: PLR2004
            return "trend", trend
        held, raw = self._fit(both, adjusted=True), self._fit(both, adjusted=False)
        window = held.probability(2)
        is_window = (
            raw.coefficients[2] * held.coefficients[2] > 0
            and max(window, raw.probability(2)) < _BENT
            and self._has_two_sides()
        )
        p_value = min(1.0, 2 * min(trend, window if is_window else 1.0))
        return "window" if is_window else "trend", p_value

    def _has_two_sides(self) -> bool:
        """Whether enough rows lie on either side of the window, and within."""
        lower, upper = self._bounds("window", np.ones(len(self.label), dtype=bool))
        if lower is None or upper is None:
            return False
        below, above = self.values < lower, self.values > upper
        parts = (below.mean(), above.mean(), 1 - (below | above).mean())
        return bool(min(parts) >= _EDGE)

    def _contrast(self, form: Form) -> Array:
        """Return the column whose unit the odds ratio is of."""
        if form == "yes or no":
            return np.asarray(self.values == self.values.max(), dtype=float)
        return self.scaled

    def _contrast_words(self, form: Form) -> str:
        if form == "window":
            return "inside the window against outside"
        if form == "yes or no":
            return f"{self.values.max():g} against {self.values.min():g}"
        return f"one standard deviation, {deviation(self.values):.3g}, more"

    def _fit(self, columns: Array, *, adjusted: bool) -> LogitFit:
        """Fit the column, or its powers, alone or beside the held ones."""
        first = columns if columns.ndim > 1 else columns[:, None]
        parts = [np.ones((len(first), 1)), first]
        design = np.column_stack([*parts, self.held] if adjusted else parts)
        kept = independent(design)
        return fit_logit(design[:, kept], self.label, self.groups)

    def _design(self, form: Form) -> Array:
        parts = [np.ones(len(self.scaled)), self.scaled]
        return np.column_stack([*parts, self.scaled**2] if form == "window" else parts)

    def _bounds(self, form: Form, rows: NDArray[np.bool_]) -> Bounds:
        """Set bounds where the chance that some rows give equals their stable share."""
        if form == "yes or no":
            return Bounds(float(self.values.max()), None)
        found = fit_logit(self._design(form)[rows], self.label[rows]).coefficients
        share = self.label[rows].mean()
        polynomial = [*found[:0:-1], found[0] - np.log(share / (1 - share))]
        roots = np.roots(polynomial)
        real = np.sort(roots[np.abs(roots.imag) < 1e-9].real)  # noqa: PLR2004
        ends = np.interp(real, *self._unscaled())
        if form == "window":
            return Bounds(*map(float, ends)) if len(ends) == 2 else Bounds(None, None)  # noqa: PLR2004
        if not len(ends):
            return Bounds(None, None)
        end = float(ends[0])
        return Bounds(end, None) if found[1] > 0 else Bounds(None, end)

    def _unscaled(self) -> tuple[Array, Array]:
        """Scaled values, ascending, and the values that belong to them."""
        order = np.argsort(self.values, kind="stable")
        return self.scaled[order], self.values[order]

    def _kept_aside(self, form: Form) -> tuple[NDArray[np.bool_], float]:
        """Assess rows by fits of other folds: who is inside, and the mean area."""
        inside = np.zeros(len(self.label), dtype=bool)
        areas, weights = [], []
        for seen, aside in each_fold(self.folds):
            stable = self.label[seen].sum()
            if not 0 < stable < seen.sum():
                continue
            inside[aside] = self._bounds(form, seen).inside(self.values[aside])
            fit = fit_logit(self._design(form)[seen], self.label[seen])
            scores = self._design(form)[aside] @ fit.coefficients
            pairs = self.label[aside].sum() * (1 - self.label[aside]).sum()
            if pairs:
                areas.append(area_under_curve(scores, self.label[aside]))
                weights.append(float(pairs))
        return inside, float(np.average(areas, weights=weights)) if areas else 0.5

    def _statement(self, form: Form, bounds: Bounds, odds_ratio: float) -> str:
        if form == "yes or no":
            return f"{self.name}: {'more' if odds_ratio > 1 else 'less'} often stable"
        often = "least" if form == "window" and odds_ratio < 1 else "most"
        return f"{self.name}: {often} often stable {bounds}"


def _invalid_reason(
    raw: tuple[float, Interval], adjusted: float, auc: float
) -> str | None:
    """Say what speaks against a rule but its q value."""
    if raw[1][0] <= 1 <= raw[1][1]:
        return "the column alone shows nothing"
    if (raw[0] - 1) * (adjusted - 1) <= 0:
        return "with the others held the effect has the other sign"
    if auc <= 0.5:  # noqa: PLR2004 - chance
        return "rows kept aside are not ordered by it"
    return None


def inside_shares(inside: NDArray[np.bool_], label: Array) -> dict[str, object]:
    """Count rows inside and their stable shares, inside and outside."""
    found: dict[str, object] = {"n_inside": int(inside.sum())}
    for name, rows in (("inside", inside), ("outside", ~inside)):
        stable = int(label[rows].sum())
        found[f"share_{name}"] = stable / int(rows.sum()) if rows.any() else None
        found[f"share_{name}_interval"] = share_interval(stable, int(rows.sum()))
    return found


def rule_with(known: Mapping[str, object]) -> Rule:
    """Return a rule with the fields that are known; the others are empty."""
    empty: dict[str, object] = dict.fromkeys(Rule.model_fields)
    empty |= {"confounders": (), "inseparable": ()}
    return Rule.model_validate(empty | dict(known))

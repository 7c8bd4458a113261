"""Rules of stability: each column alone, with others held, and on rows kept aside."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydantic import PrivateAttr

from hts_battery.errors import ConfigurationError
from hts_battery.learning.effects import Effect, inside_shares, rule_with
from hts_battery.learning.element_pairs import pair_effects
from hts_battery.learning.folds import assign_folds
from hts_battery.learning.shares import discovery_rates, share_interval
from hts_battery.learning.standardised import standardised_shares
from hts_battery.learning.tables import (
    LabelledTable,
    is_constant,
    numeric_columns,
    package_versions,
    read_table,
)
from hts_battery.schemas.rules import RuleTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from hts_battery.schemas.rules import Interval, Rule

    Array = NDArray[np.float64]

_INSEPARABLE = 0.95
"""Correlation from which two columns cannot be told apart."""
_ROWS_PER_TERM = 5
"""Rows of the rarer label that each held term needs."""
_ROWS_PER_SQUARE = 10
"""The same for the squares of what is held."""
_OUTLIER = 10.0
"""Interquartile ranges from the median beyond which a value is drawn in."""
_MIN_GROUPS = 5


class RuleReport(RuleTable):
    """Rules, pairs and shares of one table."""

    _table: LabelledTable = PrivateAttr()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that were mined."""
        return tuple(rule.columns[0] for rule in self.rules)

    def values(self, column: str) -> Array:
        """Return the values of a column that was mined, of the rows used."""
        if column not in self._table.columns:
            known = ", ".join(self._table.columns)
            raise ConfigurationError(f"{column!r} was not mined; there are {known}")
        return self._table.columns[column]

    def shares(
        self, column: str, edges: Sequence[float]
    ) -> list[tuple[int, float, Interval]]:
        """
        Count rows, stable share and its 95 % interval in bins [low, high).

        Parameters
        ----------
        column
            A column that was mined.
        edges
            Bounds of the bins in the unit of the column, ascending.

        Returns
        -------
        list
            A bin each: rows, share (NaN without rows), Wilson's interval.
        """
        values, label = self.values(column), self._table.label
        found = []
        for low, high in pairwise(edges):
            inside = label[(values >= low) & (values < high)]
            share = float(inside.mean()) if len(inside) else float("nan")
            interval = share_interval(int(inside.sum()), len(inside))
            found.append((len(inside), share, interval))
        return found

    def adjusted_shares(
        self, column: str, edges: Sequence[float]
    ) -> list[tuple[int, float, Interval]]:
        """
        Return what the shares would be had all bins the other columns of all rows.

        The mean chance over all rows, each put into one bin, by a logit of the bins and
        the confounders of the column's rule (standardisation).

        Parameters
        ----------
        column, edges
            As for :meth:`shares`.

        Returns
        -------
        list
            A bin each: rows, share, 95 % interval; NaN where it has no rows, or where
            there are too few to say.
        """
        values = self.values(column)
        miner = _Miner(self._table, self.columns, self.seed)
        others = [one for one in self._held(column) if one in miner.scaled]
        return standardised_shares(
            np.digitize(values, edges) - 1,
            len(edges) - 1,
            self._table.label,
            miner.held(others, curved=False),
        )

    def _held(self, column: str) -> tuple[str, ...]:
        return next(
            rule.confounders for rule in self.rules if rule.columns == (column,)
        )


def mine_rules(
    frame: pd.DataFrame,
    label: str,
    *,
    groups: str | None = None,
    elements: Sequence[str] | None = None,
    false_discovery_rate: float = 0.05,
    seed: int = 0,
) -> RuleReport:
    """
    Find what each column says about stability with the others held.

    A rule is *supported* if its adjusted effect passes the false-discovery rate over
    all columns, the column alone shows an effect of the same sign, and it orders rows
    that the fit has not seen. Effects are tested as a trend and as a window; the p
    value pays for both. Odds ratios are those of one standard deviation more, of yes
    against no, or of inside the window against outside, as ``contrast`` says.

    Parameters
    ----------
    frame
        A row a composition; every numeric column but the label, the groups and the
        elements is mined, and held for the others.
    label
        Column of zeros and ones, or booleans: stable or not.
    groups
        Column whose rows of one value are not independent, such as the set of metals;
        they stay together in folds, and intervals are those between groups.
    elements
        Boolean columns, one an element, whose pairs are tested beyond single ones.
    false_discovery_rate
        Share of false ones among what is called supported.
    seed
        Of the folds.

    Raises
    ------
    ConfigurationError
        If a column is missing or no number, or the label is not 0 and 1.
    MixedCalculatorError
        If labels of several calculators, hulls or structure settings meet.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> random = np.random.default_rng(0)
    >>> x, z = random.normal(size=(2, 400))
    >>> stable = random.random(400) < 1 / (1 + np.exp(1 + 2 * x))
    >>> report = mine_rules(pd.DataFrame({"x": x, "z": z, "stable": stable}), "stable")
    >>> {rule.columns: rule.verdict for rule in report.rules}
    {('x',): 'supported', ('z',): 'not supported'}
    """
    named = list(elements or ())
    columns = numeric_columns(frame, without=[label, groups, *named])
    table = read_table(frame, label, columns=[*columns, *named], groups=groups)
    miner = _Miner(table, columns, seed)
    drafts = [miner.rule(name) for name in columns]
    rates = discovery_rates([rule.p_value for rule in drafts])
    used, stable = len(table.label), int(table.label.sum())
    report = RuleReport(
        label=label,
        groups=groups,
        base_rate=stable / used if used else None,
        base_rate_interval=share_interval(stable, used),
        used=used,
        left_out=dict(table.left_out),
        rules=tuple(
            _assessed(rule, rate, false_discovery_rate)
            for rule, rate in zip(drafts, rates, strict=True)
        ),
        pairs=pair_effects(
            table,
            named,
            miner.held(list(miner.scaled), curved=False),
            false_discovery_rate=false_discovery_rate,
        ),
        false_discovery_rate=false_discovery_rate,
        folds=len(np.unique(miner.folds)),
        conventions=dict(table.conventions),
        seed=seed,
        versions=package_versions(),
        digest=table.digest,
    )
    report._table = table  # noqa: SLF001 - of our own document
    return report


def _assessed(rule: Rule, rate: float | None, false_discovery_rate: float) -> Rule:
    """Say whether a rule holds, now that all p values are known."""
    if rate is None:
        return rule
    reason = rule.reason
    if reason is None and rate > false_discovery_rate:
        reason = f"with the others held there is no effect: q = {rate:.2g}"
    verdict = "not supported" if reason else "supported"
    return rule.model_copy(
        update={"q_value": rate, "verdict": verdict, "reason": reason}
    )


class _Miner:
    """The columns of one table, scaled, and folds that keep groups together."""

    def __init__(self, table: LabelledTable, columns: Sequence[str], seed: int) -> None:
        self.table = table
        stable = int(table.label.sum())
        self.rarer = min(stable, len(table.label) - stable)
        groups = table.groups
        self.few_groups = groups is not None and len(np.unique(groups)) < _MIN_GROUPS
        self.silent = table.too_few or self.few_groups
        self.scaled = {
            name: _scaled(table.columns[name])
            for name in columns
            if not is_constant(table.columns[name])
        }
        self.folds = (
            np.zeros(0, dtype=np.int64)
            if self.silent
            else assign_folds(table.label, groups, seed=seed)
        )

    def rule(self, name: str) -> Rule:
        """Return the rule of one column, but for what the other rules decide."""
        known: dict[str, object] = {"columns": (name,), "n": len(self.table.label)}
        if self.silent:
            reason = f"fewer than {_MIN_GROUPS} groups" if self.few_groups else None
            verdict, statement = "too few rows", f"{name}: too few rows"
        elif name not in self.scaled:
            reason, verdict = "the column is constant", "not supported"
            statement = f"{name}: constant"
        else:
            return rule_with(known | self._effect(name))
        words = {"statement": statement, "verdict": verdict, "reason": reason}
        return rule_with(known | words)

    def _effect(self, name: str) -> dict[str, object]:
        """Return the fields of a rule that a column and those held decide."""
        column, label = self.scaled[name], self.table.label
        inseparable = tuple(
            other
            for other, values in self.scaled.items()
            if other != name and abs(column @ values) >= _INSEPARABLE * len(label)
        )
        held = [other for other in self.scaled if other not in (name, *inseparable)]
        values, groups = self.table.columns[name], self.table.groups
        held_columns = self.held(held)
        effect = Effect(name, values, column, label, held_columns, groups, self.folds)
        known: dict[str, object] = {"confounders": held, "inseparable": inseparable}
        bounds = effect.separation()
        if bounds is None:
            return known | {"verdict": "not supported"} | effect.rule()
        return known | {
            "verdict": "separates",
            "statement": f"{name}: all that are stable, and no other, lie {bounds}",
            "lower": bounds.lower,
            "upper": bounds.upper,
            **inside_shares(bounds.inside(values), label),
        }

    def held(self, names: Sequence[str], *, curved: bool = True) -> Array:
        """Columns to be held, fewer where there are fewer rows of the rarer label."""
        columns = [self.scaled[name] for name in names]
        squares = [one**2 for one in columns if len(np.unique(one)) > 2]  # noqa: PLR2004
        terms = len(columns) + len(squares) + 3
        if curved and self.rarer >= _ROWS_PER_SQUARE * terms:
            columns = [*columns, *squares]
        if not columns:
            return np.empty((len(self.table.label), 0))
        held = np.column_stack(columns)
        held -= held.mean(axis=0)
        most = max(1, self.rarer // _ROWS_PER_TERM - 2)
        if held.shape[1] <= most:
            return held
        # What most of them share, as far as the rows reach.
        left, sizes, _ = np.linalg.svd(held, full_matrices=False)
        return np.asarray(left[:, :most] * np.sqrt(len(left)) * np.sign(sizes[:most]))


def _scaled(values: Array) -> Array:
    """Return values with mean 0 and deviation 1, outliers drawn in."""
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = _OUTLIER * (high - low)
    if reach > 0:
        values = np.clip(values, middle - reach, middle + reach)
    return np.asarray((values - values.mean()) / values.std())

"""Rules mined from labelled compositions, and how sure they are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hts_battery.schemas.base import Document

Verdict = Literal["supported", "not supported", "too few rows", "separates"]
Interval = tuple[float, float]


class Rule(Document):
    """What one column says about stability; no number where there are too few rows."""

    columns: tuple[str, ...] = Field(description="Columns that the rule is about.")
    statement: str = Field(description="The rule in words, with its bounds.")
    form: Literal["trend", "window", "yes or no"] | None = Field(
        description="Whether more is better or worse, or a range is."
    )
    contrast: str | None = Field(description="What the odds ratios compare.")
    lower: float | None = Field(description="Rows at or above it are inside, if any.")
    upper: float | None = Field(description="Rows at or below it are inside, if any.")
    n: int = Field(description="Rows used.")
    n_inside: int | None = Field(
        description="Rows inside bounds that were set without them."
    )
    share_inside: float | None = Field(description="Stable share of these.")
    share_inside_interval: Interval | None = Field(description="Its 95 % interval.")
    share_outside: float | None = Field(description="Stable share of all other rows.")
    share_outside_interval: Interval | None = Field(description="Its 95 % interval.")
    odds_ratio: float | None = Field(description="Of the contrast, this column alone.")
    interval: Interval | None = Field(description="95 % interval of the odds ratio.")
    adjusted_odds_ratio: float | None = Field(
        description="The same with the confounders held."
    )
    adjusted_interval: Interval | None = Field(description="Its 95 % interval.")
    confounders: tuple[str, ...] = Field(description="Columns that were held.")
    inseparable: tuple[str, ...] = Field(
        description="Columns that move with this one and so cannot be held."
    )
    cliffs_delta: float | None = Field(
        description="Chance that a stable row has more of it than an unstable one, "
        "minus the chance of less."
    )
    auc: float | None = Field(
        description="Area under the curve on rows of groups that the fit has not seen."
    )
    p_value: float | None = Field(description="Of the adjusted effect, both forms.")
    q_value: float | None = Field(
        description="The false-discovery rate at which it would be supported."
    )
    verdict: Verdict = Field(description="How sure the rule is.")
    reason: str | None = Field(description="What speaks against it, if anything.")


class PairEffect(Document):
    """What two elements together do beyond what each does alone."""

    elements: tuple[str, str] = Field(description="The two.")
    n: int = Field(description="Rows that hold both.")
    stable: int = Field(description="Stable ones of them.")
    odds_ratio: float | None = Field(
        description="Odds with both over the odds that the single ones give."
    )
    interval: Interval | None = Field(description="95 % interval of the odds ratio.")
    p_value: float | None = Field(description="Of no effect beyond single elements.")
    q_value: float | None = Field(
        description="The false-discovery rate at which it would be supported."
    )
    verdict: Verdict = Field(description="How sure the effect is.")


class ElementEffect(Document):
    """How much higher the energy is with a metal than without, all others held."""

    element: str = Field(description="The metal.")
    n: int = Field(description="Rows that hold it.")
    rows: int = Field(description="Rows used.")
    effect: float | None = Field(
        description="Energy with it minus without, in the unit of the energies; "
        "negative is more stable."
    )
    error: float | None = Field(description="Standard error of the effect.")
    p_value: float | None = Field(description="Two-sided, of no effect.")
    q_value: float | None = Field(
        description="The false-discovery rate at which it would be supported."
    )
    verdict: Verdict = Field(description="How sure the effect is.")
    reason: str | None = Field(description="Why there is no number, if there is none.")


class RuleTable(Document):
    """Rules of one table, with all that is needed to find them again."""

    label: str = Field(description="Column that says which rows are stable.")
    groups: str | None = Field(description="Column whose groups are kept together.")
    base_rate: float | None = Field(description="Stable share of the rows used.")
    base_rate_interval: Interval | None = Field(description="Its 95 % interval.")
    used: int = Field(description="Rows used.")
    left_out: dict[str, int] = Field(description="Reason → rows left out.")
    rules: tuple[Rule, ...] = Field(description="One a column, and one a window.")
    pairs: tuple[PairEffect, ...] = Field(description="Elements beyond single ones.")
    false_discovery_rate: float = Field(description="Share of false ones allowed.")
    folds: int = Field(description="Parts, each assessed by a fit of the others.")
    conventions: dict[str, str] = Field(
        description="Calculator, hull version and structure settings of the labels."
    )
    seed: int = Field(description="Of the folds.")
    versions: dict[str, str] = Field(description="Package → version.")
    digest: str = Field(description="Of the rows used, whatever their order.")

"""Formulas that were learned from a table, with all that a reader must know of them."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class Recall(Document):
    """Stable rows that a score finds."""

    n: int = Field(description="Stable rows.")
    recall: float | None = Field(description="Share of them found; null without any.")
    interval: tuple[float, float] | None = Field(description="Its 95 % interval.")


class KeptAside(Document):
    """How a formula tells stable rows from others that its fit has not seen."""

    n: int = Field(description="Rows, each kept aside once.")
    stable: int = Field(description="Stable ones of them.")
    folds: int = Field(description="Parts, groups whole.")
    auc: float = Field(description="Area under the curve, mean; 0.5 is the dummy.")
    balanced_accuracy: float = Field(
        description="Mean of the shares of both labels that boundaries set by the "
        "other folds get right; 0.5 is the dummy."
    )
    false_positive_rate: float = Field(
        description="Share of unstable rows that recall lets pass, in every fold; it "
        "is also the recall of the dummy."
    )
    recall: Recall = Field(description="Of all stable rows, at that rate.")
    subgroups: dict[str, Recall] = Field(
        description="Value of a column → recall of its rows at the same bounds."
    )


class LearnedFormula(Document):
    """One formula: features, coefficients, and how it does on rows kept aside."""

    text: str = Field(description="Features, joined by semicolons.")
    latex: str = Field(description="The score, as LaTeX.")
    python: str = Field(description="Source of score(columns), over arrays.")
    coefficients: tuple[float, ...] = Field(description="One a feature; 0 of a tree.")
    intercept: float = Field(description="Added to the score; 0 of a ranking.")
    boundary: float | None = Field(
        description="Score at most which a row is called stable, if there are both."
    )
    complexity: int = Field(description="Operators in all features.")
    fold_score: float = Field(description="The measure on rows kept aside, mean.")
    train_score: float = Field(description="The measure on the rows of the fit.")
    wins: float | None = Field(
        description="Share of resamplings that it wins; null where not compared."
    )
    kept_aside: KeptAside | None = Field(
        None, description="Null where all rows kept aside have one label."
    )


class LearnedDescriptor(Document):
    """A search: its question, its rows, its formulas, best first."""

    task: str = Field(description="rank, classify or regress.")
    method: str = Field(description="so, tree or rank.")
    dimensions: int = Field(description="Features in a formula, at most.")
    target: str = Field(description="Column that was learned.")
    columns: tuple[str, ...] = Field(description="Columns that were searched.")
    units: dict[str, str] | None = Field(description="Column → unit; null: none asked.")
    measure: str = Field(description="What the scores are.")
    base_score: float = Field(description="The measure of a constant score.")
    forest_score: float = Field(
        description="The measure of a random forest on the same folds: what the "
        "columns can predict, unexplained."
    )
    rows: int = Field(description="Rows used.")
    left_out: dict[str, int] = Field(description="Reason → rows left out.")
    screened: int = Field(description="Features, twins among them.")
    formulas: tuple[LearnedFormula, ...] = Field(description="The best first.")
    front: tuple[LearnedFormula, ...] = Field(
        description="Best formula of each complexity that beats all simpler ones."
    )
    conventions: dict[str, str] = Field(
        description="Calculator, hull version and structure settings of the targets."
    )
    seed: int = Field(description="Of folds and resamplings.")
    versions: dict[str, str] = Field(description="Package → version.")
    digest: str = Field(description="Of the rows used, whatever their order.")

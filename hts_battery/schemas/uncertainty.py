"""What is known of the error of a calculator, and what an uncertainty is made of."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document


class ErrorTerm(Document):
    """One published error that enters a standard uncertainty."""

    value: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="Standard deviation in eV/atom, under a normal error.",
    )
    source: str = Field(description="DOI of the figure, or who gave it.")
    meaning: str = Field(
        description="What the source states, in its own convention, and of what."
    )


class CalculatorError(Document):
    """
    What is known of the error of E_hull with one engine.

    The terms are independent: an interatomic potential inherits the error of the
    functional whose energies it learned.
    """

    terms: tuple[ErrorTerm, ...] = Field(
        (), description="Standard deviations in eV/atom; empty where none is known."
    )
    reason: str | None = Field(
        None, description="Why none is known; null where there are terms."
    )


class UncertaintyTerms(Document):
    """
    What the uncertainty of a stability is made of.

    The scatter over a candidate's own orderings is none of it: it says how far the
    two bounds lie apart, not how wrong the calculator is.
    """

    calculator_error: float | None = Field(
        default=None,
        ge=0,
        description="Standard deviation of the calculator's E_hull in eV/atom: its "
        "terms added in quadrature; null where not known.",
    )
    sources: tuple[ErrorTerm, ...] = Field(
        default=(), description="The terms with their sources, in eV/atom."
    )
    reason: str | None = Field(
        default=None, description="Why no error is known; null where one is."
    )

    @property
    def words(self) -> str:
        """
        Say where the error comes from, or why none is known.

        Examples
        --------
        >>> UncertaintyTerms(reason="nobody has measured it").words
        'not known: nobody has measured it'
        """
        named = "; ".join(f"{term.meaning} ({term.source})" for term in self.sources)
        return named or f"not known: {self.reason}"

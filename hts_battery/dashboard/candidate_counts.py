"""Counts over all candidates at any temperature, from the columns in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.dashboard.latest_build import Columns

CARRIERS_AND_ANIONS = frozenset(("Li", "Na", "K", "O", "F"))


@dataclass(frozen=True)
class PairCounts:
    """How often each pair of elements stands together, and how often it is stable."""

    elements: tuple[str, ...]
    present: NDArray[np.int64]
    """Candidates that hold both; on the diagonal, that hold the element."""
    stable: NDArray[np.int64]
    """Those of them on or below the hull."""
    certain: NDArray[np.int64]
    """Those of the stable ones whose label is not open."""

    @property
    def share(self) -> NDArray[np.float64]:
        """Stable over present; NaN where nothing is present."""
        with np.errstate(invalid="ignore"):
            return np.where(self.present > 0, self.stable / self.present, np.nan)


def pair_counts(
    columns: Columns, *, campaign: str | None, temperature: float
) -> PairCounts:
    """Count pairs of elements among the candidates of a campaign."""
    chosen = columns.of_campaign(campaign)
    holds = (columns.amounts[chosen] > 0).astype(np.float32)
    below = columns.at(temperature)[chosen] <= 0
    sure = below & ~columns.open(temperature)[chosen]
    present = np.rint(holds.T @ holds).astype(np.int64)
    stable, certain = (
        np.rint((holds * which[:, None]).T @ holds).astype(np.int64)
        for which in (below.astype(np.float32), sure.astype(np.float32))
    )
    used = np.flatnonzero(np.diag(present) > 0)
    return PairCounts(
        tuple(columns.elements[number] for number in used),
        present[np.ix_(used, used)],
        stable[np.ix_(used, used)],
        certain[np.ix_(used, used)],
    )


def metals_only(counts: PairCounts) -> PairCounts:
    """Leave out what nearly every candidate holds: carriers and anions."""
    kept = [
        number
        for number, symbol in enumerate(counts.elements)
        if symbol not in CARRIERS_AND_ANIONS
    ]
    return PairCounts(
        tuple(counts.elements[number] for number in kept),
        counts.present[np.ix_(kept, kept)],
        counts.stable[np.ix_(kept, kept)],
        counts.certain[np.ix_(kept, kept)],
    )


def stable_counts(
    columns: Columns, *, campaign: str | None, temperatures: NDArray[np.float64]
) -> NDArray[np.int64]:
    """
    Count the candidates on or below the hull at each temperature, and the certain ones.

    ``campaign``: name; nothing belongs to none. ``temperatures`` in K. Returns: two
    rows: stable, and of them certain.
    """
    found = [columns.stable(campaign, float(kelvin)) for kelvin in temperatures]
    return np.array(found, np.int64).T

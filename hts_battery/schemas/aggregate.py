"""What is known of a whole campaign at once: counts, histograms, the order of all."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document

BLOCK_SIZE = 500
"""Candidates in one block of a ranking."""

HISTOGRAM_WIDTH = 0.005
"""Width of a bin in eV/atom; edges are whole multiples, so campaigns compare."""


class RankingBlock(Document):
    """A stretch of a campaign's candidates in the order of E_hull at a temperature."""

    ranking_id: str = Field(description="Campaign, temperature and first rank.")
    campaign: str = Field(description="Name of the campaign.")
    temperature: float = Field(ge=0, description="Temperature in K.")
    first_rank: int = Field(
        ge=1, description="Rank of the first one; 1 is the most stable."
    )
    lowest: float = Field(description="E_hull(T) of the first one, eV/atom.")
    highest: float = Field(description="E_hull(T) of the last one, eV/atom.")
    candidate_ids: tuple[str, ...] = Field(
        description="Keys of the candidates by rising E_hull(T), then by key."
    )
    energies: tuple[float, ...] = Field(
        description="E_hull(T) of each, lowest ordering, eV/atom."
    )
    input_digest: str = Field(description="Digest of keys and energies.")


class Histogram(Document):
    """Counts of E_hull at one temperature."""

    first_edge: float = Field(description="Lower edge of the first bin, eV/atom.")
    width: float = Field(description="Width of a bin, eV/atom.")
    counts: tuple[int, ...] = Field(
        description="Candidates with edge <= E_hull < next edge, bin by bin; no unit."
    )


class GroupCount(Document):
    """Candidates that share something, and how many of them are stable."""

    n_candidates: int = Field(ge=0, description="Number of candidates; no unit.")
    n_stable: dict[str, int] = Field(
        description="Temperature (like 1473K) → those with E_hull(T) <= 0; no unit."
    )
    lowest: dict[str, float] = Field(
        description="Temperature → lowest E_hull(T) of any of them, eV/atom."
    )


class AggregateDoc(Document):
    """What the judged candidates of one campaign add up to."""

    campaign: str = Field(description="Name of the campaign.")
    n_candidates: int = Field(ge=0, description="Summaries counted; no unit.")
    temperatures: tuple[float, ...] = Field(description="Stored temperatures in K.")
    labels: dict[str, dict[str, int]] = Field(
        description="Temperature (like 1473K) → label (GS, LS, US) → candidates; no "
        "unit."
    )
    histograms: dict[str, Histogram] = Field(
        description="Temperature → counts of E_hull(T), lowest ordering, eV/atom."
    )
    grid_temperatures: tuple[float, ...] = Field(
        description="Temperatures in K of grid_stable."
    )
    grid_stable: tuple[int, ...] = Field(
        description="Candidates with E_hull(0 K) - T·S <= 0 at each of "
        "grid_temperatures; what the entropy of other candidates takes away is not in "
        "it. No unit."
    )
    n_metals: dict[str, GroupCount] = Field(
        description="Number of different metals, as text → candidates."
    )
    elements: dict[str, GroupCount] = Field(description="Symbol → candidates with it.")
    pairs: dict[str, GroupCount] = Field(
        description="Pair of elements (like Mn-Ti; without Li, Na, K, O and F) → "
        "candidates with both."
    )
    families: dict[str, int] = Field(description="Family → candidates; no unit.")
    flags: dict[str, int] = Field(description="Flag → candidates; no unit.")
    hull_versions: dict[str, int] = Field(
        description="Digest of the references → candidates judged on it; no unit."
    )
    input_digest: str = Field(
        description="Digest of everything this document was made from."
    )

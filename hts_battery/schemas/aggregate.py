"""What is known of a whole campaign at once: counts, histograms, the order of all."""

from __future__ import annotations

from pydantic import Field

from hts_battery.schemas.base import Document

BLOCK_SIZE = 500
"""Candidates in one block of a ranking."""

COLUMN_BLOCK_SIZE = 5000
"""Values in one block of a column."""

COLUMN_FIELDS = (
    "candidate_id",
    "formula",
    "canonical_formula",
    "family",
    "elements",
    "n_elements",
    "chemical_system",
    "n_metals",
    "species",
    "engine",
    "calculator",
    "energy_per_atom",
    "energy_above_hull",
    "uncertainty",
    "entropy",
    "mixing_temperature",
    "n_orderings",
    "n_random_orderings",
    "ordering_spread",
    "entry_id",
    "calculated_formula",
    "deviation",
    "same_cell_as",
    "hull_depth_risk",
    "hull_depth_risk_reported",
    "n_references",
    "hull_version",
    "flags",
)
"""Fields of a summary that are kept as columns."""

COLUMN_MAPS = (
    "energy_above_hull_at",
    "energy_above_hull_upper_at",
    "energy_above_hull_other_at",
    "label_at",
    "open_at",
    "probability_stable_at",
    "roles",
)
"""Fields of which every key is a column of its own, like ``label_at.1473K``."""

COLUMN_LISTS = ("elements", "species", "flags", "roles")
"""Fields of them that are lists: each is a text of JSON inside the column."""

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


class ColumnBlock(Document):
    """One field of many summaries, so that filters read a few documents, not all."""

    column_id: str = Field(description="Campaign, version, path and first row.")
    campaign: str = Field(description="Name of the campaign.")
    version: str = Field(
        description="Digest of the summaries: the aggregate that names the same one "
        "vouches for all columns of it."
    )
    path: str = Field(description="Field of a summary, dotted below a map.")
    first_row: int = Field(
        ge=0, description="Place of the first value; rows are in the order of the keys."
    )
    values: str = Field(
        description="A list in JSON: values as in the summaries, in their units; null "
        "where a map has no such key. One text, which a server need not take apart; "
        "a value that is a list is a text of JSON in it."
    )


class Histogram(Document):
    """Counts of E_hull at one temperature."""

    first_edge: float = Field(description="Lower edge of the first bin, eV/atom.")
    width: float = Field(description="Width of a bin, eV/atom.")
    counts: tuple[int, ...] = Field(
        description="Candidates with edge <= E_hull < next edge, bin by bin; no unit."
    )


class GroupCount(Document):
    """
    Candidates that share something, and how many of them are stable.

    A cell that several candidates share counts once.
    """

    n_candidates: int = Field(ge=0, description="Number of candidates; no unit.")
    n_stable: dict[str, int] = Field(
        description="Temperature (like 1473K) → those with E_hull(T) <= 0; no unit."
    )
    n_certain: dict[str, int] = Field(
        description="Temperature → those of the stable ones that are not open; no unit."
    )
    lowest: dict[str, float] = Field(
        description="Temperature → lowest E_hull(T) of any of them, eV/atom."
    )


class AggregateDoc(Document):
    """What the assessed candidates of one campaign add up to."""

    campaign: str = Field(description="Name of the campaign.")
    n_candidates: int = Field(ge=0, description="Summaries; no unit.")
    n_same_cell: int = Field(
        ge=0,
        description="Those of them whose cell is ranked and counted under another "
        "candidate, and in no count below; no unit.",
    )
    temperatures: tuple[float, ...] = Field(description="Stored temperatures in K.")
    labels: dict[str, dict[str, int]] = Field(
        description="Temperature (like 1473K) → label (GS, LS, US) → candidates; no "
        "unit."
    )
    open: dict[str, dict[str, int]] = Field(
        description="Temperature → label → those of these candidates whose label may "
        "turn; no unit."
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
        description="Digest of the references → candidates assessed on it; no unit."
    )
    columns: tuple[str, ...] = Field(
        (), description="Paths that are kept as columns of this version."
    )
    input_digest: str = Field(
        description="Digest of everything this document was made from; the version of "
        "the columns."
    )

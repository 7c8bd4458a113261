"""The order of a campaign's candidates, read in blocks and never sorted again."""

from __future__ import annotations

from heapq import merge
from typing import TYPE_CHECKING, NamedTuple, cast

from hts_battery.schemas.aggregate import BLOCK_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.rows import RankingRow


class RankedCandidate(NamedTuple):
    """The place of one candidate in the order of its campaign."""

    energy: float
    """E_hull at the temperature, eV/atom."""
    candidate_id: str
    campaign: str
    rank: int
    """1 is the most stable."""


def ranked(
    stores: Stores, campaign: str, temperature: float, *, first: int = 1
) -> Iterator[RankedCandidate]:
    """
    Yield the candidates of a campaign by rising E_hull, block by block.

    ``temperature`` in K; nothing is yielded for one at which nothing was assessed.
    ``first``: rank to begin with.
    """
    start = (first - 1) // BLOCK_SIZE * BLOCK_SIZE + 1
    while block := _block(stores, campaign, temperature, start):
        places = zip(block["energies"], block["candidate_ids"], strict=True)
        for rank, (energy, name) in enumerate(places, start=start):
            if rank >= first:
                yield RankedCandidate(energy, name, campaign, rank)
        start += BLOCK_SIZE


def _block(
    stores: Stores, campaign: str, temperature: float, start: int
) -> RankingRow | None:
    key = {"campaign": campaign, "temperature": temperature, "first_rank": start}
    return cast("RankingRow | None", stores.rankings.query_one(key))


def ranked_together(
    stores: Stores, campaigns: Sequence[str], temperature: float
) -> Iterator[RankedCandidate]:
    """Yield the candidates of several campaigns by rising E_hull, then by key."""
    return merge(*(ranked(stores, name, temperature) for name in campaigns))


def place_of(
    stores: Stores,
    *,
    campaign: str,
    temperature: float,
    candidate_id: str,
    energy: float,
) -> int | None:
    """
    Return the rank of a candidate.

    ``temperature`` in K. ``energy``: its E_hull at the temperature, eV/atom, by which
    its block is found. Returns: None where the ranking does not hold it.
    """
    scope = {"campaign": campaign, "temperature": temperature}
    for block in stores.rankings.query(
        scope, properties=["first_rank", "lowest", "highest"]
    ):
        if block["lowest"] <= energy <= block["highest"]:
            whole = _block(stores, campaign, temperature, block["first_rank"])
            names = whole["candidate_ids"] if whole else []
            if candidate_id in names:
                return int(block["first_rank"] + names.index(candidate_id))
    return None

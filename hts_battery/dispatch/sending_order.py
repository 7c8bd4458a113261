"""Which members of a campaign are submitted, and in which order they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.dispatch import PriorityRule
from hts_battery.thermo.entropy import candidate_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.schemas.campaign import CampaignSpec
    from hts_battery.schemas.candidate import CandidateDoc

T = TypeVar("T")

Member = tuple[int, "CandidateDoc"]
"""Index in the space, and candidate."""


@dataclass(frozen=True)
class Share:
    """
    Which members of a campaign are submitted: all unless limited.

    Parameters
    ----------
    start, stop
        Positions among the members of the file, from 0; ``stop`` is left out.
    shard, shards
        Every ``shards``-th member, beginning with number ``shard`` (from 1).
    """

    start: int = 0
    stop: int | None = None
    shard: int = 1
    shards: int = 1

    @classmethod
    def parse(cls, span: str | None, shard: str | None) -> Share:
        """
        Read what the command line says.

        Raises
        ------
        ConfigurationError
            If it is not ``A:B`` or ``I/N``.

        Examples
        --------
        >>> Share.parse("100:", "1/4")
        Share(start=100, stop=None, shard=1, shards=4)
        """
        try:
            first, _, last = (span or ":").partition(":")
            number, _, shards = (shard or "1/1").partition("/")
            share = cls(
                int(first or 0), int(last) if last else None, int(number), int(shards)
            )
        except ValueError:
            raise ConfigurationError(
                "a range is A:B (members A to B-1, from 0), a shard is I/N (from 1)"
            ) from None
        if share.start < 0 or (share.stop is not None and share.stop <= share.start):
            raise ConfigurationError(f"the range {span} holds no member")
        if not 1 <= share.shard <= share.shards:
            raise ConfigurationError(f"the shard {shard} is not one of 1 to N")
        return share

    def of(self, members: Sequence[T]) -> Sequence[T]:
        """Return the members that belong to it, in their order."""
        return members[self.start : self.stop][self.shard - 1 :: self.shards]


def in_order(
    members: Sequence[Member], rule: PriorityRule, spec: CampaignSpec, stores: Stores
) -> list[Member]:
    """
    Put members into the order in which they are sent.

    Parameters
    ----------
    members
        In the order of the campaign file, which decides between equals.
    rule
        What comes first.
    spec
        The campaign.
    stores
        Open stores, for what other campaigns found.
    """
    if rule is PriorityRule.FILE or not members:
        return list(members)
    if rule is PriorityRule.ENTROPY:
        return sorted(
            members,
            key=lambda one: (
                -candidate_entropy(one[1].to_candidate(), spec.entropy).entropy
            ),
        )
    found = _prescreened(spec.name, stores)
    return sorted(members, key=lambda one: found.get(one[1].candidate_id, float("inf")))


def _prescreened(campaign: str, stores: Stores) -> dict[str, float]:
    """Return the lowest E_hull of each candidate in other campaigns, in eV/atom."""
    found: dict[str, float] = {}
    for doc in stores.summary.query(
        {"campaign": {"$ne": campaign}},
        properties=["candidate_id", "energy_above_hull"],
    ):
        above = doc.get("energy_above_hull")
        if above is not None:
            name = doc["candidate_id"]
            found[name] = min(above, found.get(name, float("inf")))
    return found

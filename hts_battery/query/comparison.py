"""Two campaigns, or two engines, side by side for the candidates that both judged."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.errors import QueryError
from hts_battery.query.rankings import Place, ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hts_battery.connections.stores import Stores


class Pair(NamedTuple):
    """One candidate as two campaigns or engines judged it."""

    candidate_id: str
    first: float
    """E_hull at the temperature, eV/atom."""
    second: float
    first_rank: int
    """Place in the order of its campaign."""
    second_rank: int

    @property
    def difference(self) -> float:
        """Second minus first, eV/atom."""
        return self.second - self.first

    @property
    def disagrees(self) -> bool:
        """Whether one says stable at the temperature and the other does not."""
        return (self.first <= 0) != (self.second <= 0)


@dataclass(frozen=True)
class Comparison:
    """What two campaigns or engines say of the same candidates."""

    first: str
    second: str
    temperature: float
    """In K."""
    n_common: int
    """Candidates that both judged."""
    n_disagree: int
    """Those that one calls stable and the other does not."""
    mean_difference: float | None
    """Second minus first, eV/atom; null where nothing is common."""
    mean_absolute_difference: float | None
    """eV/atom."""
    rank_correlation: float | None
    """Spearman's, of the energies; null below three candidates."""
    pairs: tuple[Pair, ...]
    """Largest difference first."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the pairs."""
        return {name: value for name, value in asdict(self).items() if name != "pairs"}


_FEWEST = 3


def compared(
    stores: Stores, first: str, second: str, *, temperature: float
) -> Comparison:
    """
    Compare two campaigns or engines at a temperature.

    Parameters
    ----------
    stores
        Open stores.
    first, second
        Names of campaigns, or of engines: all campaigns of that engine.
    temperature
        In K; one that the builders used.

    Raises
    ------
    QueryError
        If a name is neither, or nothing was judged at the temperature.
    """
    one, other = (_places(stores, name, temperature) for name in (first, second))
    pairs = [
        Pair(name, place.energy, other[name].energy, place.rank, other[name].rank)
        for name, place in one.items()
        if name in other
    ]
    pairs.sort(key=lambda pair: (-abs(pair.difference), pair.candidate_id))
    differences = [pair.difference for pair in pairs]
    return Comparison(
        first=first,
        second=second,
        temperature=temperature,
        n_common=len(pairs),
        n_disagree=sum(pair.disagrees for pair in pairs),
        mean_difference=fmean(differences) if pairs else None,
        mean_absolute_difference=fmean(map(abs, differences)) if pairs else None,
        rank_correlation=_correlation(pairs),
        pairs=tuple(pairs),
    )


def _correlation(pairs: Sequence[Pair]) -> float | None:
    from scipy.stats import spearmanr  # noqa: PLC0415 - most queries need none

    firsts = [pair.first for pair in pairs]
    seconds = [pair.second for pair in pairs]
    if min(len(set(firsts)), len(set(seconds))) < _FEWEST:
        return None
    return float(spearmanr(firsts, seconds).statistic)


def _places(stores: Stores, name: str, temperature: float) -> dict[str, Place]:
    """Return the places of the candidates of a campaign, or of an engine's."""
    specs = {
        doc["name"]: doc["spec"]["engine"]
        for doc in stores.campaigns.query({}, properties=["name", "spec.engine"])
    }
    names = [name] if name in specs else [c for c in sorted(specs) if specs[c] == name]
    if not names:
        engines = sorted(set(specs.values()))
        raise QueryError(
            f"{name!r} is neither a campaign ({', '.join(sorted(specs)) or 'none'}) "
            f"nor an engine of one ({', '.join(engines) or 'none'})"
        )
    found: dict[str, Place] = {}
    for campaign in names:
        for place in ranked(stores, campaign, temperature):
            found.setdefault(place.candidate_id, place)
    if not found:
        raise QueryError(
            f"{name}: nothing is ranked at {temperature:g} K; `hts build all` first"
        )
    return found

"""Two campaigns, or two engines, side by side for the candidates that both assessed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.reading import RankedCandidate, SummaryReader

_FEWEST = 3


class Pair(NamedTuple):
    """One candidate as two campaigns or engines assessed it."""

    candidate_id: str
    first: float
    """E_hull at the temperature, eV/atom."""
    second: float
    first_rank: int
    """Rank in the order of its campaign."""
    second_rank: int
    first_open: bool = False
    """Whether the label of its campaign may turn."""
    second_open: bool = False

    @property
    def difference(self) -> float:
        """Second minus first, eV/atom."""
        return self.second - self.first

    @property
    def disagrees(self) -> bool:
        """Whether one says stable at the temperature and the other does not."""
        return (self.first <= 0) != (self.second <= 0)

    @property
    def is_certain(self) -> bool:
        """Whether neither label may turn."""
        return not (self.first_open or self.second_open)


@dataclass(frozen=True)
class Comparison:
    """What two campaigns or engines say of the same candidates."""

    first: str
    second: str
    temperature: float
    """In K."""
    n_common: int
    """Candidates that both assessed."""
    n_disagree: int
    """Those that one calls stable and the other does not."""
    n_disagree_certain: int
    """Those of them whose label is open in neither."""
    first_stable: tuple[int, int]
    """Common candidates that the first calls stable, and of them certain."""
    second_stable: tuple[int, int]
    mean_difference: float | None
    """Second minus first, eV/atom; null where nothing is common."""
    mean_absolute_difference: float | None
    """eV/atom."""
    rank_correlation: float | None
    """Spearman's, of the energies; null below three candidates."""
    pairs: tuple[Pair, ...]
    """Largest difference first."""

    def as_dict(self) -> dict[str, object]:
        """Return everything but the pairs."""
        return {name: value for name, value in asdict(self).items() if name != "pairs"}


def compared(
    stores: Stores,
    reader: SummaryReader,
    names: tuple[str, str],
    *,
    temperature: float,
) -> Comparison:
    """
    Compare two campaigns or engines at a temperature.

    ``names``: of campaigns, or of engines: all campaigns of that engine.
    ``temperature`` in K; one that the builders used. Raises QueryError if a name is
    neither, or nothing was assessed at the temperature.
    """
    first, second = names
    one, other = (_places(stores, reader, name, temperature) for name in names)
    common = {
        name: (place, other[name]) for name, place in one.items() if name in other
    }
    pairs = [
        Pair(
            name,
            *(here.energy, there.energy, here.rank, there.rank),
            *(here.is_open, there.is_open),
        )
        for name, (here, there) in common.items()
    ]
    pairs.sort(key=lambda pair: (-abs(pair.difference), pair.candidate_id))
    differences = [pair.difference for pair in pairs]
    return Comparison(
        first=first,
        second=second,
        temperature=temperature,
        n_common=len(pairs),
        n_disagree=sum(pair.disagrees for pair in pairs),
        n_disagree_certain=sum(pair.disagrees and pair.is_certain for pair in pairs),
        first_stable=_counted((pair.first, pair.first_open) for pair in pairs),
        second_stable=_counted((pair.second, pair.second_open) for pair in pairs),
        mean_difference=fmean(differences) if pairs else None,
        mean_absolute_difference=fmean(map(abs, differences)) if pairs else None,
        rank_correlation=_correlation(pairs),
        pairs=tuple(pairs),
    )


def _counted(labels: Iterable[tuple[float, bool]]) -> tuple[int, int]:
    """Count what is stable, and what of it is certain."""
    stable = [is_open for energy, is_open in labels if energy <= 0]
    return len(stable), stable.count(False)


def _correlation(pairs: Sequence[Pair]) -> float | None:
    from scipy.stats import spearmanr  # noqa: PLC0415 - most queries need none

    firsts = [pair.first for pair in pairs]
    seconds = [pair.second for pair in pairs]
    if min(len(set(firsts)), len(set(seconds))) < _FEWEST:
        return None
    return float(spearmanr(firsts, seconds).statistic)


def _places(
    stores: Stores, reader: SummaryReader, name: str, temperature: float
) -> dict[str, RankedCandidate]:
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
    found: dict[str, RankedCandidate] = {}
    for campaign in names:
        for place in reader.ranked(campaign, temperature):
            found.setdefault(place.candidate_id, place)
    if not found:
        raise QueryError(
            f"{name}: nothing is ranked at {temperature:g} K; `hts build all` first"
        )
    return found

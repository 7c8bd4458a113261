"""The best members of a whole composition space, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from hts_battery.compositions.grid import GridSpace, MixtureCounter
from hts_battery.learning.halves import Halves, can_be_halved
from hts_battery.learning.separable import frame_scores
from hts_battery.schemas.species import VACANCY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hts_battery.compositions.grid import FrameMembers
    from hts_battery.compositions.mixture import Mixture
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.learning.halves import Pairs
    from hts_battery.learning.separable import FrameScores, SeparableSurrogate
    from hts_battery.schemas.candidate import Candidate

    Array = NDArray[np.float64]
    Integers = NDArray[np.integer[Any]]

_STREAMED = 10_000


@dataclass(frozen=True)
class RankedMember:
    """One member of a space and its score in eV per atom."""

    candidate: Candidate
    score: float
    index: int


class SpaceRanking(Sequence[RankedMember]):
    """
    Members with the lowest scores, ascending; of equal ones the first stands first.

    Parameters
    ----------
    space
        The space.
    scores, indices
        eV per atom and places in the space.
    visited
        Members that were compared.
    """

    def __init__(
        self, space: CompositionSpace, scores: Array, indices: Integers, visited: int
    ) -> None:
        self.space = space
        self.scores = scores
        self.indices = indices
        self.visited = visited

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, place: int) -> RankedMember: ...
    @overload
    def __getitem__(self, place: slice) -> SpaceRanking: ...
    def __getitem__(self, place: int | slice) -> RankedMember | SpaceRanking:
        if isinstance(place, slice):
            return SpaceRanking(
                self.space, self.scores[place], self.indices[place], self.visited
            )
        index = int(self.indices[place])
        return RankedMember(self.space[index], float(self.scores[place]), index)

    def __repr__(self) -> str:
        return f"<SpaceRanking: best {len(self)} of {self.visited} compositions>"


def rank_space(
    space: CompositionSpace,
    surrogate: SeparableSurrogate,
    *,
    temperature: float,
    n: int,
) -> SpaceRanking:
    """
    Find the members with the lowest scores among all members of a space.

    Exact: every member takes part, none is sampled. Where each element has one
    sublattice, no member is made but those that are returned.

    Parameters
    ----------
    space
        The space.
    surrogate
        Energies of the elements.
    temperature
        K, of the entropy of ideal mixing (anions counted, species by element).
    n
        Members wanted; all of a smaller space are returned.

    Returns
    -------
    SpaceRanking
        Ascending, a sequence of ``.candidate``, ``.score`` (eV per atom) and
        ``.index``; ``.visited`` is the number of members.

    Raises
    ------
    CompositionError
        If an element of the space has no weight, by name.
    ValueError
        If the temperature is negative or ``n`` below one.

    Examples
    --------
    >>> from hts_battery.compositions import load_space
    >>> from hts_battery.learning import SeparableSurrogate
    >>> space = load_space("workflows/spaces/excluded.yaml")
    >>> weights = dict.fromkeys(["Li", "Mn", "Cr", "Nb", "O", "F"], 0.0) | {"Ti": -0.1}
    >>> best = rank_space(space, SeparableSurrogate(weights), temperature=1473, n=3)
    >>> best[0].candidate.formula, round(best[0].score, 4), best.visited == space.count
    ('Li1.3Mn0.3Ti0.4O1.8F0.2', -0.0869, True)
    """
    if n < 1 or not temperature >= 0:
        raise ValueError(
            f"n is {n} and the temperature {temperature} K: one member at least, and "
            "no negative temperature"
        )
    best = _Best(min(n, max(space.count, 1)))
    if isinstance(space, GridSpace) and _adds_up(space):
        visited = _visit_grid(space, surrogate, temperature, best)
    else:
        visited = _visit_each(space, surrogate, temperature, best)
    scores, indices = best.sorted()
    return SpaceRanking(space, scores, indices, visited)


def _adds_up(space: GridSpace) -> bool:
    """Whether the sublattice of every element is known without its species."""
    return all(
        len(item.shares) == 1 for frame in space.frames for item in frame.mixture.items
    )


def _visit_grid(
    space: GridSpace, surrogate: SeparableSurrogate, temperature: float, best: _Best
) -> int:
    """Compare all members of a grid; frames of one mixture together."""
    unknown = space.spec.symbols - {VACANCY, *surrogate.weights}
    surrogate.check(one for one in unknown if _is_held(space, one))
    nothing = dict.fromkeys(unknown, 0.0)
    surrogate = replace(surrogate, weights={**surrogate.weights, **nothing})
    ends = accumulate((one.walker.count for one in space.parts), initial=0)
    mixtures: dict[Mixture, list[_Part]] = {}
    for part, offset in zip(space.parts, ends, strict=False):
        if part.walker.count:
            scores = frame_scores(
                part.frame, space.sites, surrogate, temperature=temperature
            )
            one = _Part(part, scores, offset)
            mixtures.setdefault(part.frame.mixture, []).append(one)
    return sum(
        _visit_halves(mixture, parts, best)
        if can_be_halved(mixture)
        else sum(_visit_rows(one, best) for one in parts)
        for mixture, parts in mixtures.items()
    )


def _is_held(space: GridSpace, element: str) -> bool:
    """Whether a member holds an element that the space names."""
    for part in space.parts:
        frame = part.frame
        if element in dict(frame.amounts):
            if part.walker.count:
                return True
            continue
        items = tuple(
            item._replace(allowed=tuple(filter(None, item.allowed)))
            if item.element == element
            else item
            for item in frame.mixture.items
        )
        if items == frame.mixture.items:
            continue
        restricted = MixtureCounter(
            frame.mixture._replace(items=items), space.spec.state_limit
        )
        if restricted.walker(frame.target).count:
            return True
    return False


class _Part(NamedTuple):
    """A frame, what its amounts add to the score, and the index of its first member."""

    members: FrameMembers
    scores: FrameScores
    offset: int


def _visit_halves(mixture: Mixture, parts: list[_Part], best: _Best) -> int:
    """Compare the members of frames of one mixture, groups of them at a time."""
    halves = Halves(mixture, parts[0].scores, best.n)
    visited = 0
    fitting: list[Pairs] = []
    limit = best.limit
    for part in parts:
        pairs, members = halves.fitting(part.members.frame.target, part.scores, limit)
        visited += members
        if len(pairs.scores) >= best.n:
            limit = min(limit, float(pairs.scores.max()))
        fitting.append(pairs)
    for part, pairs in zip(parts, fitting, strict=True):
        here = _Best(best.n, limit)
        for scores, places in halves.members(
            pairs.lowest(best.n, limit), part.scores, here
        ):
            here.add(scores, places)
        scores, places = here.sorted()
        ranks = [part.members.walker.rank(halves.row(one)) for one in places.tolist()]
        best.add(scores, np.array(ranks, dtype=np.int64) + part.offset)
    return visited


def _visit_rows(part: _Part, best: _Best) -> int:
    """Compare the members of a frame row by row."""
    tables = [np.array(one) for one in part.scores.energies]
    mixture = part.members.frame.mixture
    groups = np.array([item.shares[0].group for item in mixture.items])
    visited = 0
    for rows in part.members.walker.blocks(0, part.members.walker.count):
        energies = np.full(len(rows), part.scores.fixed_energy)
        for table, column in zip(tables, rows.T, strict=True):
            energies += table[column]
        for group, here in enumerate(mixture.groups):
            held = rows[:, groups == group].sum(axis=1, dtype=np.int64)
            energies += np.array(part.scores.empty[group])[here.units - held]
        atoms = part.scores.fixed_atoms + rows @ np.array(part.scores.atoms)
        first = part.offset + visited
        best.add(
            part.scores.per_atom(energies, atoms), np.arange(first, first + len(rows))
        )
        visited += len(rows)
    return visited


def _visit_each(
    space: CompositionSpace,
    surrogate: SeparableSurrogate,
    temperature: float,
    best: _Best,
) -> int:
    """Make every member: elements share sublattices, or the space is no grid."""
    visited = 0
    stream = iter(space)
    while block := list(islice(stream, _STREAMED)):
        scores = [surrogate.score(one, temperature=temperature) for one in block]
        best.add(np.array(scores), np.arange(visited, visited + len(scores)))
        visited += len(scores)
    return visited


class _Best:
    """The lowest scores so far."""

    def __init__(self, n: int, limit: float = np.inf) -> None:
        self.n = n
        self._scores: list[Array] = []
        self._indices: list[Integers] = []
        self._held = 0
        self.limit = limit
        """Score above which a member is not among the best."""

    def add(self, scores: Array, indices: Integers) -> None:
        """Take members into account."""
        kept = scores <= self.limit
        self._scores.append(scores[kept])
        self._indices.append(indices[kept])
        self._held += int(kept.sum())
        if self._held > 2 * self.n + _STREAMED:
            self._trim()

    def _trim(self) -> None:
        scores, indices = np.concatenate(self._scores), np.concatenate(self._indices)
        if len(scores) > self.n:
            limit = np.partition(scores, self.n - 1)[self.n - 1]
            kept = scores <= limit
            scores, indices = scores[kept], indices[kept]
        order = np.lexsort((indices, scores))[: self.n]
        self._scores, self._indices = [scores[order]], [indices[order]]
        self._held = len(order)
        if self._held == self.n:
            self.limit = self._scores[0][-1]

    def sorted(self) -> tuple[Array, Integers]:
        """Scores and indices, best first."""
        if not self._scores:
            return np.empty(0), np.empty(0, dtype=np.int64)
        self._trim()
        return self._scores[0], self._indices[0]

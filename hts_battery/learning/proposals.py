"""A batch of compositions to compute next, out of a whole space."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.errors import ConfigurationError, MixedCalculatorError
from hts_battery.learning.linear_energies import (
    fit_linear_energies,
    fractions,
    left_out_coverage,
)
from hts_battery.learning.space_ranking import rank_space
from hts_battery.schemas.entropy import EntropyOptions
from hts_battery.schemas.proposal import ElementCoverage, Proposal, ProposedMember
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.species_table import METAL_ROLES, species_table
from hts_battery.thermo.entropy import candidate_entropy
from hts_battery.thermo.hull_depth import HullDepth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hts_battery.compositions.filters import Filter
    from hts_battery.compositions.space import CompositionSpace
    from hts_battery.learning.space_ranking import RankedMember
    from hts_battery.schemas.candidate import Candidate
    from hts_battery.thermo.hull import Hull

    Array = NDArray[np.float64]

_AVOIDED_EV = 50.0
"""Weight of an element that must not be proposed: far above any other score."""
_LOOKED_AT = 20
"""Members looked at closely for each one of a batch, and at least a thousand."""
_LEAST_LOOKED_AT = 1000
_ROUNDS = 20
LEAST_DISTANCE = 0.02
"""Of two members of a batch, half the sum of differences of atomic fractions."""


@dataclass(frozen=True)
class Computed:
    """One computed candidate: energies in eV per atom, of one hull version."""

    candidate_id: str
    formula: str
    energy: float
    e_hull_0: float
    e_hull: float
    """At the temperature asked for."""
    calculator: str
    hull_version: str


@dataclass(frozen=True)
class ProposalRules:
    """What a batch keeps to."""

    temperature: float
    batch: int
    filters: tuple[Filter, ...] = ()
    element_share: float = 0.5
    """Largest share of a batch that may hold one metal."""
    left_out: frozenset[str] = frozenset()
    """Ids of candidates that are computed, failed or under way."""
    entropy: EntropyOptions = field(default_factory=EntropyOptions)
    """Which mixing counts in E_hull; the space is ordered by that of all elements."""


class _Estimates(NamedTuple):
    """What is predicted of the members looked at, one a row."""

    e_hull: Array
    half_width: Array
    probability: Array
    risk: list[float | None]
    score: Array
    """Chance of being stable with the hull's depth counted against it."""


def propose(
    space: CompositionSpace,
    computed: Sequence[Computed],
    hull: Hull,
    rules: ProposalRules,
) -> Proposal:
    """
    Rank a whole space by a fit of computed candidates, and choose a batch.

    The fit of E_hull(0 K) to atomic fractions less T S orders the space; of its best
    the energy is predicted, the hull exact, and what the hull may lack counts against
    them. Metals that the fit has not seen are not proposed; one metal fills no more
    than its share of the batch, and members are apart in composition.

    Parameters
    ----------
    space
        The space.
    computed
        Candidates of one calculator and one hull version.
    hull
        The references of that version.
    rules
        Temperature, size, filters and the share of one metal.

    Raises
    ------
    MixedCalculatorError
        If energies of several calculators or hull versions meet.
    ConfigurationError
        If there are too few of them.
    """
    calculator = _only(computed, "calculator")
    version = _only(computed, "hull_version")
    return _Choice(space, computed, hull, rules).proposal(calculator, version)


def _only(computed: Sequence[Computed], name: str) -> str:
    """Return the one value that all labels share."""
    counts = Counter(str(getattr(one, name)) for one in computed)
    if len(counts) > 1:
        listed = ", ".join(f"{key} ({rows} rows)" for key, rows in counts.items())
        raise MixedCalculatorError(
            f"labels of several kinds in {name}: {listed}; choose the rows of one, or "
            "`hts build all`"
        )
    if not counts:
        raise ConfigurationError("no computed candidate to learn from")
    return next(iter(counts))


class _Choice:
    """One batch in the making."""

    def __init__(
        self,
        space: CompositionSpace,
        computed: Sequence[Computed],
        hull: Hull,
        rules: ProposalRules,
    ) -> None:
        self._space, self._hull, self._rules = space, hull, rules
        self._computed = computed
        self._known = rules.left_out | {one.candidate_id for one in computed}
        self._formulas = [one.formula for one in computed]
        self._order = fit_linear_energies(
            self._formulas, [one.e_hull_0 for one in computed]
        )
        self._energy = fit_linear_energies(
            self._formulas, [one.energy for one in computed]
        )
        self._fractions = fractions(self._formulas, self._order.elements)
        self._depth = HullDepth([formula for formula, _ in hull.references.values()])
        self._outside = self._unknown()
        self._removed: Counter[str] = Counter()
        self._visited = self._ranked = 0
        self._members: list[ProposedMember] = []
        self._held: Counter[str] = Counter()

    def _unknown(self) -> dict[str, str]:
        """Elements of the space that nothing can be said of."""
        symbols = {str(one) for one in _symbols(self._space)}
        found = dict.fromkeys(
            sorted(symbols - set(self._order.elements)),
            "no computed candidate holds it",
        )
        referenced = set(self._hull.elements)
        for element in sorted(symbols - referenced):
            found[element] = "the references lack it"
        return found

    @property
    def _most(self) -> int:
        """Members that may hold one metal."""
        return max(int(self._rules.element_share * self._rules.batch), 1)

    def _capped(self) -> tuple[str, ...]:
        return tuple(
            sorted(one for one, held in self._held.items() if held >= self._most)
        )

    def proposal(self, calculator: str, version: str) -> Proposal:
        """Choose, round by round, without the metals that have their share."""
        for _ in range(_ROUNDS):
            before = len(self._members)
            self._take(self._next_best())
            if len(self._members) in (before, self._rules.batch):
                break
        return Proposal(
            temperature=self._rules.temperature,
            visited=self._visited,
            ranked=self._ranked,
            removed=dict(self._removed),
            rows=len(self._computed),
            calculator=calculator,
            hull_version=version,
            error=float(np.sqrt(self._energy.variance)),
            outside=self._outside,
            capped=self._capped(),
            coverage=self._coverage(),
            members=tuple(self._members),
        )

    def _coverage(self) -> tuple[ElementCoverage, ...]:
        metals = [one for one in self._order.elements if one in _metals()]
        found = left_out_coverage(
            self._formulas, [one.energy for one in self._computed], elements=metals
        )
        return tuple(
            ElementCoverage(
                element=one.element,
                rows=one.rows,
                covered=one.covered,
                interval=one.interval,
            )
            for one in found
        )

    def _next_best(self) -> list[RankedMember]:
        """Rank the space without what must not be proposed."""
        avoided = dict.fromkeys((*self._outside, *self._capped()), _AVOIDED_EV)
        score = self._order.surrogate
        found = rank_space(
            self._space,
            replace(score, weights={**score.weights, **avoided}),
            temperature=self._rules.temperature,
            n=max(_LOOKED_AT * self._rules.batch, _LEAST_LOOKED_AT),
        )
        self._visited = found.visited
        chosen = {one.index for one in self._members}
        kept = []
        for one in found:
            reason = self._reason_against(one.candidate, avoided)
            if one.index in chosen:
                continue
            if reason is None:
                kept.append(one)
            elif reason:
                self._removed[reason] += 1
        self._ranked += len(kept)
        return kept

    def _reason_against(
        self, candidate: Candidate, avoided: dict[str, float]
    ) -> str | None:
        """Say why a member is not proposed; empty if that needs no word."""
        if not avoided.keys().isdisjoint(candidate.amounts):
            return ""
        if candidate.candidate_id in self._known:
            return "computed, failed or under way"
        for rule in self._rules.filters:
            if rule.invalid_reason(candidate) is not None:
                return rule.rule
        return None

    def _estimates(self, members: Sequence[RankedMember]) -> _Estimates:
        candidates = [one.candidate for one in members]
        formulas = [one.canonical_formula for one in candidates]
        energies, deviations = self._energy.predict(formulas)
        entropies = np.array(
            [candidate_entropy(one, self._rules.entropy).entropy for one in candidates]
        )
        e_hull = energies - self._hull.lower_energies(formulas)
        e_hull = e_hull - self._rules.temperature * entropies
        risk = [one.risk for one in self._depth.at(formulas)]
        against = np.array([one or 0.0 for one in risk])
        fit = self._energy
        return _Estimates(
            e_hull,
            fit.half_width(deviations),
            fit.probability_below(e_hull, deviations),
            risk,
            fit.probability_below(e_hull + against, deviations),
        )

    def _take(self, members: Sequence[RankedMember]) -> None:
        """Take the likeliest that are apart and within the shares."""
        if not members:
            return
        found = self._estimates(members)
        formulas = [one.candidate.canonical_formula for one in members]
        places = fractions(formulas, self._order.elements)
        taken = fractions([one.formula for one in self._members], self._order.elements)
        for row in np.lexsort((found.e_hull, -found.score)).tolist():
            if len(self._members) == self._rules.batch:
                return
            metals = _metals().intersection(members[row].candidate.amounts)
            full = any(self._held[one] >= self._most for one in metals)
            if full or np.isnan(found.e_hull[row]):
                continue
            if len(taken) and _distances(places[row], taken).min() < LEAST_DISTANCE:
                continue
            self._held.update(metals)
            taken = np.vstack([taken, places[row]])
            self._members.append(self._member(members[row], places[row], found, row))

    def _member(
        self, one: RankedMember, place: Array, found: _Estimates, row: int
    ) -> ProposedMember:
        distances = _distances(place, self._fractions)
        near = int(distances.argmin())
        value, half = float(found.e_hull[row]), float(found.half_width[row])
        risk = found.risk[row]
        words = f"P {found.score[row]:.2f}"
        if risk:
            words += f" with {1000 * risk:.0f} meV/atom of hull depth against it"
        capped = self._capped()
        words += f", best without {', '.join(capped)}" if capped else ""
        return ProposedMember(
            formula=one.candidate.formula,
            candidate_id=one.candidate.candidate_id,
            index=one.index,
            e_hull=value,
            interval=(value - half, value + half),
            probability=float(found.probability[row]),
            hull_depth_risk=risk,
            nearest=self._computed[near].formula,
            nearest_distance=float(distances[near]),
            nearest_e_hull=self._computed[near].e_hull,
            reason=words,
        )


def _distances(place: Array, others: Array) -> Array:
    found: Array = np.abs(others - place).sum(axis=1) / 2
    return found


def _symbols(space: CompositionSpace) -> set[str]:
    """Elements that a space names."""
    spec = getattr(space, "spec", None)
    symbols = getattr(spec, "symbols", None)
    if symbols is None:
        return {element for one in space for element in one.amounts}
    return set(symbols) - {VACANCY}


@cache
def _metals() -> frozenset[str]:
    """Elements that take part as one of the metals that mix."""
    return frozenset(
        parse_species(text).element
        for text, found in species_table().items()
        if found.role in METAL_ROLES
    )

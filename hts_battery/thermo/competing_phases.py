"""Which phases a candidate competes with, at each temperature."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from importlib.resources import files
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.formula import (
    atomic_fractions,
    canonical_formula,
    parse_formula,
)
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.thermo import (
    CompetitorKind,
    DecompositionPhase,
    LeftOutReferences,
)
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from fractions import Fraction

    from hts_battery.schemas.formula import Formula
    from hts_battery.thermo.hull import Decomposition

    Valences = Mapping[str, Mapping[int, float]]
    """Element → charge → atoms, in any unit."""


def left_out_references(
    hull: Hull,
    formula: Formula,
    *,
    rule: LeftOutReferences = LeftOutReferences.OWN_COMPOSITION,
    family: Collection[str] = (),
) -> tuple[str, ...]:
    """
    Ids of the references that a composition is not compared with.

    A candidate competes with everything but itself. This is the one place that says
    what itself is: builders, gate and workflows ask here.

    Parameters
    ----------
    hull
        The references.
    formula
        What the cell of the candidate holds.
    rule
        What is left out.
    family
        Ids of the references that are members of the candidate's family; the default
        rule needs none.

    Returns
    -------
    tuple of str
        Only references inside the elements of the composition, in their order.

    Examples
    --------
    >>> hull = Hull(["Li", "Mn", "O2", "LiMnO2", "Li2MnO3"], [0, 0, 0, -2, -2.1])
    >>> left_out_references(hull, "Li0.5Mn0.5O")
    ('LiMnO2',)
    """
    here = hull.ids_at(formula)
    match rule:
        case LeftOutReferences.OWN_COMPOSITION:
            return here
        case LeftOutReferences.OWN_PHASE:
            return tuple(name for name in here if name in family)
        case LeftOutReferences.OWN_FAMILY:
            return tuple(
                name
                for name in hull.ids_within(formula)
                if name in family or name in here
            )


@dataclass(frozen=True)
class OtherCandidate:
    """A candidate as a competing phase of the others."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Formula of what was calculated."""
    energy_per_atom: float
    """Energy without entropy, eV/atom, on the scale of the references."""
    entropy: float
    """Ideal mixing entropy, eV/K per atom."""
    volume_per_atom: float | None = None
    """Relaxed volume in Å³/atom; used by Gibbs energies only."""

    @property
    def phase_id(self) -> str:
        """Id in a hull, which no reference has."""
        return f"{CANDIDATE}{self.candidate_id}"

    def energy_at(self, temperature: float) -> float:
        """Energy minus T·S, eV/atom."""
        return self.energy_per_atom - temperature * self.entropy


@dataclass(frozen=True)
class HullQuery:
    """What is compared: a composition, and what it is not compared with."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Its composition."""
    exclude: tuple[str, ...] = ()
    """Ids of references that it is not compared with."""
    own_orderings: Mapping[str, float] | None = None
    """Id of each ordering that takes part → energy, eV/atom."""


class CompetingPhases:
    """
    References and, where asked, other candidates with their own entropy.

    A candidate never competes with itself, nor with its other orderings unless
    they are given.
    """

    def __init__(
        self, hull: Hull, others: Sequence[OtherCandidate] | None = None
    ) -> None:
        self.references = hull
        self.others = None if others is None else tuple(others)
        self._by_id = {other.candidate_id: other for other in self.others or ()}
        if len(self._by_id) != len(self.others or ()):
            raise ValueError("a candidate is given twice as a competing phase")
        self._hulls: dict[float, Hull] = {}

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of what the other candidates are, 16 digits; None without any."""
        if self.others is None:
            return None
        lines = sorted(
            f"{other.candidate_id} {other.formula} {other.energy_per_atom!r} "
            f"{other.entropy!r}"
            for other in self.others
        )
        return sha256("\n".join(lines).encode()).hexdigest()[:16]

    def at(self, temperature: float) -> Hull:
        """Hull at one temperature in K, all candidates in it."""
        if not self.others:
            return self.references
        if temperature not in self._hulls:
            self._hulls[temperature] = self.references.joined_by(
                [other.formula for other in self.others],
                [other.energy_at(temperature) for other in self.others],
                ids=[other.phase_id for other in self.others],
            )
        return self._hulls[temperature]

    def excluded(self, query: HullQuery) -> tuple[str, ...]:
        """Ids of the phases that a candidate is not compared with."""
        itself = self._by_id.get(query.candidate_id)
        if itself is None:
            return query.exclude
        return (*query.exclude, itself.phase_id)

    def mixtures(
        self, queries: Sequence[HullQuery], temperature: float
    ) -> list[Decomposition | None]:
        """Lowest mixture that each candidate competes with, where there is one."""
        found = self.at(temperature).decompositions(
            [query.formula for query in queries],
            exclude=[self.excluded(query) for query in queries],
        )
        return [
            None if mixture is None else _with_orderings(mixture, query)
            for mixture, query in zip(found, queries, strict=True)
        ]

    def n_others(self, query: HullQuery) -> int | None:
        """Count the other candidates inside a candidate's elements."""
        if not self.others:
            return None if self.others is None else 0
        itself = self._by_id.get(query.candidate_id)
        return self._others_alone.n_references(
            query.formula, exclude=() if itself is None else (itself.phase_id,)
        )

    @cached_property
    def _others_alone(self) -> Hull:
        """Hull of the other candidates, for counting."""
        others = self.others or ()
        return Hull(
            [other.formula for other in others],
            [other.energy_per_atom for other in others],
            ids=[other.phase_id for other in others],
        )


def _with_orderings(mixture: Decomposition, query: HullQuery) -> Decomposition:
    """
    Let orderings of the same composition take part.

    A phase of the very composition is the whole mixture or nothing. The potentials,
    per atom, fall with it: all phases stay above their plane.
    """
    if not query.own_orderings:
        return mixture
    name = min(
        query.own_orderings,
        key=lambda ordering: (query.own_orderings or {})[ordering],
    )
    energy = query.own_orderings[name]
    if energy >= mixture.energy:
        return mixture
    lower = mixture.energy - energy
    phase_id = f"{ORDERING}{name}"
    return replace(
        mixture,
        energy=energy,
        amounts={query.formula: 1.0},
        phases={phase_id: 1.0},
        formulas={phase_id: query.formula},
        chemical_potentials={
            element: potential - lower
            for element, potential in mixture.chemical_potentials.items()
        },
    )


_SAME = 1e-6


class ValenceChange(NamedTuple):
    """How a decomposition changes valences."""

    changed: bool | None
    """None where valences are missing and none of those known changes."""
    fractions: Mapping[str, float]
    """Element → fraction of its atoms whose valence changes; only where any does."""
    unknown: tuple[str, ...]
    """Ids of phases whose valences are not known."""


def valence_change(
    species: Mapping[str, Fraction | float] | None,
    mixture: Decomposition,
    oxidation_states: Mapping[str, Mapping[str, float]],
) -> ValenceChange:
    r"""
    Compare the valences of a candidate with those of what it decomposes into.

    Half of :math:`\sum_q |p_q - r_q|` per element, :math:`p_q` and :math:`r_q` the
    fractions of its atoms with charge :math:`q` before and after. An element in a
    phase of unknown valences is left out.

    Parameters
    ----------
    species
        Species of the candidate → amount; None where not known.
    mixture
        The decomposition.
    oxidation_states
        Id of a phase → element → mean oxidation state. A fractional mean is shared
        by the two whole charges next to it. Pure elements have zero.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> found = Hull(["Mn", "O2", "MnO"], [0, 0, -1.9]).decomposition("MnO2")
    >>> species = {"Mn4+": 1, "O2-": 2}
    >>> valence_change(species, found, {"MnO": {"Mn": 2, "O": -2}}).fractions
    {'Mn': 1.0, 'O': 0.5}
    """
    known = {
        name: _states(mixture.formulas[name], oxidation_states.get(name))
        for name in mixture.phases
    }
    unknown = tuple(sorted(name for name, states in known.items() if states is None))
    if species is None:
        return ValenceChange(None, {}, unknown)
    before = _of_species(species)
    after: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    hidden: set[str] = set()
    for name, share in mixture.phases.items():
        fractions = atomic_fractions(mixture.formulas[name])
        states = known[name]
        if states is None:
            hidden.update(fractions)
            continue
        for element, amount in fractions.items():
            for charge, part in _whole(states[element]).items():
                after[element][charge] += share * amount * part
    changes = {
        element: _distance(before[element], after[element])
        for element in sorted(before.keys() - hidden)
    }
    found = {element: value for element, value in changes.items() if value > _SAME}
    changed = True if found else (None if unknown else False)
    return ValenceChange(changed, found, unknown)


def _states(
    formula: str, given: Mapping[str, float] | None
) -> Mapping[str, float] | None:
    """Mean oxidation state of every element of a phase; None where one is missing."""
    elements = atomic_fractions(formula).keys()
    if len(elements) == 1:
        return dict.fromkeys(elements, 0.0)
    if given is None or not elements <= given.keys():
        return None
    return given


def _of_species(species: Mapping[str, Fraction | float]) -> Valences:
    found: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for text, amount in species.items():
        if text != VACANCY and amount:
            one = parse_species(text)
            found[one.element][one.charge] += float(amount)
    return found


def _whole(state: float) -> dict[int, float]:
    """Share a mean oxidation state between the whole charges next to it."""
    low = floor(state + _SAME)
    high_part = max(0.0, float(state) - low)
    return {low: 1.0 - high_part, low + 1: high_part}


def _distance(first: Mapping[int, float], second: Mapping[int, float]) -> float:
    totals = sum(first.values()), sum(second.values())
    charges = {*first, *second}
    return 0.5 * sum(
        abs(first.get(q, 0.0) / totals[0] - second.get(q, 0.0) / totals[1])
        for q in charges
    )


CANDIDATE, ORDERING = "candidate:", "ordering:"
"""How the ids of phases begin that are no references."""


def competitor_kind(phase_id: str) -> CompetitorKind:
    """Tell what a phase of a hull is by its id."""
    if phase_id.startswith(CANDIDATE):
        return CompetitorKind.CANDIDATE
    if phase_id.startswith(ORDERING):
        return CompetitorKind.ORDERING
    return CompetitorKind.REFERENCE


@lru_cache(maxsize=1)
def _gases() -> dict[str, str]:
    """Canonical formula → name of every substance in the table."""
    text = files("hts_battery.thermo").joinpath("data/gases.csv").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {
        canonical_formula(parse_formula(row["formula"])): row["name"]
        for row in csv.DictReader(lines)
    }


@lru_cache(maxsize=65536)
def is_gas(formula: str) -> bool:
    """Whether a phase is a gas at the temperatures at which samples are made."""
    return canonical_formula(parse_formula(formula)) in _gases()


def decomposition_phases(mixture: Decomposition) -> tuple[DecompositionPhase, ...]:
    """Competing phases by falling amount; ties by id, so that runs agree."""
    ranked = sorted(
        mixture.phases.items(), key=lambda item: (-round(item[1], 9), item[0])
    )
    return tuple(
        DecompositionPhase(
            formula=mixture.formulas[name],
            reference_id=name,
            kind=competitor_kind(name),
            amount=amount,
            gas=is_gas(mixture.formulas[name]),
        )
        for name, amount in ranked
    )

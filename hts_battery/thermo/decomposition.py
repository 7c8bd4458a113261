"""
What a composition decomposes into: phases, gases among them, and changed valences.

Reaction energies between phases of the same valences are little affected by what a
functional gets wrong about transition metals and gas molecules; redox reactions are.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.formula import canonical_formula, parse_formula
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.schemas.thermo import CompetitorKind, DecompositionPhase
from hts_battery.thermo.atomic_fractions import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    Valences = Mapping[str, Mapping[int, float]]
    """Element → charge → atoms, in any unit."""


@dataclass(frozen=True)
class Decomposition:
    """The lowest mixture of reference phases at one composition."""

    energy: float
    """Energy of the mixture, eV/atom."""
    amounts: Mapping[str, float]
    """Formula of each phase → atomic fraction of the mixture in it."""
    phases: Mapping[str, float]
    """Id of each phase → atomic fraction of the mixture in it."""
    formulas: Mapping[str, str]
    """Id of each phase → its formula."""
    chemical_potentials: Mapping[str, float]
    """Element → chemical potential, eV/atom, on the scale of the references."""


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
    """
    Tell what a phase of a hull is by its id.

    Examples
    --------
    >>> competitor_kind("candidate:bc6f833a1ab682dccbc6").value
    'candidate'
    """
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
    """
    Whether a phase is a gas at the temperatures at which samples are made.

    Examples
    --------
    >>> is_gas("O2"), is_gas("Li2O")
    (True, False)
    """
    return canonical_formula(parse_formula(formula)) in _gases()


def decomposition_phases(mixture: Decomposition) -> tuple[DecompositionPhase, ...]:
    """
    Competing phases by falling amount; ties by id, so that runs agree.

    Examples
    --------
    >>> from hts_battery.thermo import Hull
    >>> found = Hull(["Li", "O2", "Li2O"], [0, 0, -2]).decomposition("Li2O2")
    >>> [(phase.formula, phase.gas) for phase in decomposition_phases(found)]
    [('Li2O', False), ('O2', True)]
    """
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

"""
Whether a decomposition changes valences: such reactions need corrected energies.

Reaction energies between phases of the same valences are little affected by what a
functional gets wrong about transition metals and gas molecules; redox reactions are.
"""

from __future__ import annotations

from collections import defaultdict
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.thermo.atomic_fractions import atomic_fractions

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from hts_battery.thermo.decomposition import Decomposition

    Valences = Mapping[str, Mapping[int, float]]
    """Element → charge → atoms, in any unit."""

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

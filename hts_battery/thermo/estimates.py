"""
Labels, mixing temperature, and what several orderings say about an energy.

Labels as in Ouyang et al., Nature Communications 12, 5752 (2021),
10.1038/s41467-021-26006-3.
"""

from __future__ import annotations

from math import hypot, isfinite
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING

from hts_battery.schemas.thermo import (
    OrderingEstimates,
    OrderingKind,
    OtherMixing,
    StabilityLabel,
)
from hts_battery.schemas.uncertainty import CalculatorError, UncertaintyTerms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hts_battery.schemas.campaign import GateSpec
    from hts_battery.schemas.entropy import EntropyResult


def mixing_temperature(energy_above_hull_0k: float, entropy: float) -> float | None:
    """
    Temperature above which ideal mixing brings a candidate below the hull.

    Parameters
    ----------
    energy_above_hull_0k
        Without entropy, eV/atom.
    entropy
        Ideal mixing entropy, eV/K per atom.

    Returns
    -------
    float or None
        E_hull/S in K; None where S is 0 or E_hull is not positive.

    Examples
    --------
    >>> mixing_temperature(0.05, 5e-5)
    1000.0
    >>> mixing_temperature(-0.01, 5e-5) is None
    True
    """
    if entropy <= 0 or energy_above_hull_0k <= 0:
        return None
    return energy_above_hull_0k / entropy


def stability_label(
    energy_above_hull_0k: float,
    entropy: float,
    temperature: float,
    *,
    competition_term: float = 0.0,
) -> StabilityLabel:
    """
    GS, LS or US at one temperature; energies in eV/atom, entropy in eV/K per atom.

    Examples
    --------
    >>> stability_label(0.01, 2e-5, 1000).value
    'LS'
    """
    if energy_above_hull_0k <= 0:
        return StabilityLabel.GROUND_STATE
    if energy_above_hull_0k - temperature * entropy + competition_term <= 0:
        return StabilityLabel.LIKELY_SYNTHESIZABLE
    return StabilityLabel.UNSTABLE


def other_mixings(
    entropies: Iterable[EntropyResult],
    energy_above_hull_0k: float,
    temperature: float,
    *,
    competition_term: float,
) -> tuple[OtherMixing, ...]:
    """Count other mixings of a candidate; its competitors keep theirs."""
    energy = energy_above_hull_0k
    return tuple(
        OtherMixing(
            options=other.options,
            entropy=other.entropy,
            energy_above_hull=energy - temperature * other.entropy + competition_term,
            label=stability_label(
                energy, other.entropy, temperature, competition_term=competition_term
            ),
        )
        for other in entropies
    )


_ORDERING_KINDS = {
    "sqs": OrderingKind.RANDOM,
    "random": OrderingKind.RANDOM,
    "electrostatic": OrderingKind.LOW_ENERGY,
}


def ordering_kind(method: str, *, small_cell: bool = False) -> OrderingKind:
    """Kind of a method's orderings; those of a too small cell are compounds."""
    if method not in _ORDERING_KINDS:
        raise ValueError(
            f"ordering method {method!r} is not one of: {', '.join(_ORDERING_KINDS)}"
        )
    kind = _ORDERING_KINDS[method]
    if small_cell and kind is OrderingKind.RANDOM:
        return OrderingKind.SMALL_CELL
    return kind


def ordering_estimates(
    energies: Mapping[OrderingKind, Sequence[float]],
) -> OrderingEstimates:
    r"""
    Bounds from several orderings of one composition.

    With the ideal entropy :math:`S`, the free energy lies between
    :math:`E_{min} - TS` and :math:`\langle E \rangle_{random} - TS`. The lower
    bound is that of the orderings calculated: an ordering chosen by electrostatics
    need not be the lowest one.

    Parameters
    ----------
    energies
        Kind of ordering → energies in eV/atom.

    Raises
    ------
    ValueError
        If there is no energy, or one is not finite.

    Examples
    --------
    >>> found = ordering_estimates({OrderingKind.RANDOM: [-5.0, -5.2]})
    >>> found.lowest, round(found.random_mean, 3), found.n_random
    (-5.2, -5.1, 2)
    """
    ranked = sorted((value, kind) for kind, all_ in energies.items() for value in all_)
    if not ranked or not all(isfinite(value) for value, _ in ranked):
        raise ValueError(f"orderings need finite energies in eV/atom, not {energies}")
    random = [value for value, kind in ranked if kind is OrderingKind.RANDOM]
    return OrderingEstimates(
        lowest=ranked[0][0],
        lowest_kind=ranked[0][1],
        random_mean=fmean(random) if random else None,
        random_spread=stdev(random) if len(random) > 1 else None,
        n_orderings=len(ranked),
        n_random=len(random),
    )


def uncertainty_terms(error: CalculatorError) -> UncertaintyTerms:
    """Add the terms of a calculator's error in quadrature, as independent."""
    values = [term.value for term in error.terms]
    return UncertaintyTerms(
        calculator_error=hypot(*values) if values else None,
        sources=error.terms,
        reason=None if values else error.reason,
    )


def is_open(
    energy_above_hull: float,
    *,
    lower: float | None = None,
    upper: float | None = None,
    uncertainty: float | None = None,
) -> bool:
    """
    Say whether a label may turn, given what is known of its doubt.

    It may where one bound is on or below the hull and the other above it, or where the
    energy is nearer to 0 than one standard deviation. What is not known opens nothing.

    Examples
    --------
    >>> is_open(-0.03, lower=-0.03, upper=0.01)
    True
    >>> is_open(-0.03, lower=-0.03, upper=-0.01, uncertainty=0.02)
    False
    """
    if uncertainty is not None and abs(energy_above_hull) < uncertainty:
        return True
    bounds = [bound for bound in (lower, upper) if bound is not None]
    return len({bound <= 0 for bound in bounds}) > 1


def probability_stable(
    energy_above_hull: float, uncertainty: float | None
) -> float | None:
    r"""
    Probability that a candidate is on or below the hull.

    .. math:: P = \Phi(-E_{hull}(T) / u)

    of a normal error of standard deviation :math:`u` around the value, which is that
    of the lowest ordering. The error of one engine is common to many candidates, so
    these are not independent: their sum is the expected number of stable ones, but
    says nothing of its scatter.

    Parameters
    ----------
    energy_above_hull
        E_hull at the temperature, eV/atom.
    uncertainty
        Its standard deviation, eV/atom; None where not known.

    Returns
    -------
    float or None
        Between 0 and 1; None where the uncertainty is not known.

    Examples
    --------
    >>> round(probability_stable(-0.03, 0.03), 3)
    0.841
    >>> probability_stable(0.01, 0.0)
    0.0
    """
    if uncertainty is None:
        return None
    if uncertainty == 0:
        return float(energy_above_hull <= 0)
    return NormalDist(sigma=uncertainty).cdf(-energy_above_hull)


def energy_at_gate(
    energy_above_hull_0k: float, entropy: float, gate: GateSpec
) -> float:
    """Return what a gate compares with its threshold: E_hull(0) - T S, in eV/atom."""
    return energy_above_hull_0k - gate.temperature * entropy


def passes_gate(energy_above_hull_0k: float, entropy: float, gate: GateSpec) -> bool:
    """
    Say whether a pre-relaxed ordering is at or below the threshold of a gate.

    Energy and entropy come apart, so that what was computed once is compared with
    whatever threshold and temperature a campaign file asks for later.

    Examples
    --------
    >>> from hts_battery.schemas.campaign import GateSpec
    >>> gate = GateSpec(energy_above_hull=0.03, temperature=1000)
    >>> passes_gate(0.1, 8e-5, gate), passes_gate(0.1, 5e-5, gate)
    (True, False)
    """
    return energy_at_gate(energy_above_hull_0k, entropy, gate) <= gate.energy_above_hull

"""
Stability at temperature: the hull and the mixing entropy of one candidate together.

Labels as in Ouyang et al., Nature Communications 12, 5752 (2021),
10.1038/s41467-021-26006-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, isfinite
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.thermo import (
    DecompositionPhase,
    OrderingEstimates,
    OrderingKind,
    StabilityLabel,
    ThermoDoc,
)
from hts_battery.thermo.gases import is_gas

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hts_battery.schemas.thermo import EntropyResult
    from hts_battery.thermo.decomposition import Decomposition
    from hts_battery.thermo.hull import Hull

DEFAULT_LARGEST_SYSTEM = 2


@dataclass(frozen=True)
class CandidateEnergy:
    """What the stability of one candidate is computed from."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Formula per formula unit."""
    energy_per_atom: float
    """Energy without entropy, eV/atom, on the scale of the references."""
    entropy: EntropyResult
    """Ideal mixing entropy."""
    exclude: tuple[str, ...] = ()
    """Ids of references that this candidate is not compared with."""
    orderings: OrderingEstimates | None = None
    """What several orderings say about the energy."""
    calculator_error: float | None = None
    """Standard error of the calculator's E_hull, eV/atom."""


def stability(
    candidate: CandidateEnergy,
    hull: Hull,
    *,
    calculator: str,
    temperatures: Sequence[float],
    largest_system: int = DEFAULT_LARGEST_SYSTEM,
) -> tuple[ThermoDoc, ...]:
    """
    Stability of one candidate, one document per temperature.

    Parameters
    ----------
    candidate
        Its energy and entropy.
    hull
        References, calculated as the candidate was.
    calculator
        Name of the calculator and scheme, the same for candidate and references.
    temperatures
        In K, in the order of the documents.
    largest_system
        Systems of up to this many elements are listed where they hold no reference.

    Raises
    ------
    MissingReferenceError
        If an element of the candidate has no reference.
    ValueError
        If a temperature or energy is not finite, or a temperature is negative.
    """
    found = stabilities(
        [candidate],
        hull,
        calculator=calculator,
        temperatures=temperatures,
        largest_system=largest_system,
    )[0]
    if isinstance(found, MissingReferenceError):
        raise found
    return found


def stabilities(
    candidates: Sequence[CandidateEnergy],
    hull: Hull,
    *,
    calculator: str,
    temperatures: Sequence[float],
    largest_system: int = DEFAULT_LARGEST_SYSTEM,
) -> list[tuple[ThermoDoc, ...] | MissingReferenceError]:
    """
    Stability of many candidates: documents, or the reason why there are none.

    Parameters are those of :func:`stability`. The answer has one item per
    candidate, in their order; an element without a reference is an item, not a
    raised error, so that no candidate disappears.
    """
    for temperature in temperatures:
        if not (isfinite(temperature) and temperature >= 0):
            raise ValueError(f"temperature {temperature} K: give 0 or more")
    for candidate in candidates:
        if not isfinite(candidate.energy_per_atom):
            raise ValueError(
                f"energy of {candidate.candidate_id} is {candidate.energy_per_atom}, "
                "not a finite number of eV/atom"
            )
    mixtures = hull.decompositions(
        [candidate.formula for candidate in candidates],
        exclude=[candidate.exclude for candidate in candidates],
    )
    return [
        hull.missing_reference(candidate.formula, exclude=candidate.exclude)
        if mixture is None
        else _documents(
            candidate,
            mixture,
            _Surroundings(
                hull=hull, calculator=calculator, largest_system=largest_system
            ),
            temperatures,
        )
        for candidate, mixture in zip(candidates, mixtures, strict=True)
    ]


@dataclass(frozen=True)
class _Surroundings:
    """What all candidates of one call have in common."""

    hull: Hull
    calculator: str
    largest_system: int


def _documents(
    candidate: CandidateEnergy,
    mixture: Decomposition,
    surroundings: _Surroundings,
    temperatures: Sequence[float],
) -> tuple[ThermoDoc, ...]:
    hull = surroundings.hull
    above = candidate.energy_per_atom - mixture.energy
    entropy = candidate.entropy.entropy
    phases = _phases(mixture)
    first = ThermoDoc(
        candidate_id=candidate.candidate_id,
        formula=candidate.formula,
        calculator=surroundings.calculator,
        temperature=0.0,
        energy_per_atom=candidate.energy_per_atom,
        hull_energy=mixture.energy,
        energy_above_hull_0k=above,
        entropy=entropy,
        entropy_term=0.0,
        energy_above_hull=above,
        mixing_temperature=mixing_temperature(above, entropy),
        label=stability_label(above, entropy, 0.0),
        entropy_terms=candidate.entropy,
        orderings=candidate.orderings,
        energy_above_hull_random=_random_bound(candidate, mixture.energy, 0.0),
        uncertainty=_uncertainty(candidate),
        decomposition=phases,
        chemical_potentials=dict(mixture.chemical_potentials),
        releases_gas=any(phase.gas for phase in phases),
        n_references=hull.n_references(candidate.formula, exclude=candidate.exclude),
        excluded_references=candidate.exclude,
        systems_without_reference=hull.systems_without_reference(
            candidate.formula, largest=surroundings.largest_system
        ),
        largest_system_checked=surroundings.largest_system,
        hull_version=hull.digest,
    )
    return tuple(
        first.model_copy(
            update={
                "temperature": float(temperature),
                "entropy_term": 0.0 - temperature * entropy,
                "energy_above_hull": above - temperature * entropy,
                "label": stability_label(above, entropy, temperature),
                "energy_above_hull_random": _random_bound(
                    candidate, mixture.energy, temperature
                ),
            }
        )
        for temperature in temperatures
    )


def _phases(mixture: Decomposition) -> tuple[DecompositionPhase, ...]:
    """Competing phases by falling amount; ties by id, so that runs agree."""
    ranked = sorted(mixture.phases.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        DecompositionPhase(
            formula=mixture.formulas[name],
            reference_id=name,
            amount=amount,
            gas=is_gas(mixture.formulas[name]),
        )
        for name, amount in ranked
    )


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
    energy_above_hull_0k: float, entropy: float, temperature: float
) -> StabilityLabel:
    """
    GS, LS or US at one temperature.

    Parameters
    ----------
    energy_above_hull_0k
        Without entropy, eV/atom.
    entropy
        Ideal mixing entropy, eV/K per atom.
    temperature
        In K.

    Examples
    --------
    >>> stability_label(0.01, 2e-5, 1000).value
    'LS'
    """
    if energy_above_hull_0k <= 0:
        return StabilityLabel.GROUND_STATE
    if energy_above_hull_0k - temperature * entropy <= 0:
        return StabilityLabel.LIKELY_SYNTHESIZABLE
    return StabilityLabel.UNSTABLE


_ORDERING_KINDS = {
    "sqs": OrderingKind.RANDOM,
    "random": OrderingKind.RANDOM,
    "electrostatic": OrderingKind.LOW_ENERGY,
}


def ordering_kind(method: str) -> OrderingKind:
    """
    Kind of the orderings that a method makes.

    Parameters
    ----------
    method
        ``sqs``, ``random`` or ``electrostatic``.

    Raises
    ------
    ValueError
        If the method is not one of these.

    Examples
    --------
    >>> ordering_kind("sqs").value
    'random'
    """
    if method not in _ORDERING_KINDS:
        raise ValueError(
            f"ordering method {method!r} is not one of: {', '.join(_ORDERING_KINDS)}"
        )
    return _ORDERING_KINDS[method]


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


def _random_bound(
    candidate: CandidateEnergy, hull_energy: float, temperature: float
) -> float | None:
    if candidate.orderings is None or candidate.orderings.random_mean is None:
        return None
    mean = candidate.orderings.random_mean
    return mean - hull_energy - temperature * candidate.entropy.entropy


def _uncertainty(candidate: CandidateEnergy) -> float | None:
    """Combine calculator error and ordering spread as independent."""
    spread = candidate.orderings.random_spread if candidate.orderings else None
    known = [x for x in (candidate.calculator_error, spread) if x is not None]
    return hypot(*known) if known else None

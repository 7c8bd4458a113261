"""Stability at temperature: hull and mixing entropy of a candidate together."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from hts_battery.errors import MissingReferenceError
from hts_battery.schemas.thermo import (
    OrderingEstimates,
    ReferencesAtTemperature,
    StabilityOptions,
    ThermoDoc,
)
from hts_battery.schemas.uncertainty import CalculatorError, ErrorTerm
from hts_battery.thermo.competing_phases import (
    CompetingPhases,
    HullQuery,
    ValenceChange,
    decomposition_phases,
    valence_change,
)
from hts_battery.thermo.corrections import leaves_reactions_uncorrected
from hts_battery.thermo.estimates import (
    is_open,
    mixing_temperature,
    ordering_estimates,
    ordering_kind,
    other_mixings,
    probability_stable,
    stability_label,
    uncertainty_terms,
)
from hts_battery.thermo.gibbs import GibbsCandidate, GibbsHull
from hts_battery.thermo.hull_depth import Depth

__all__ = [
    "CandidateEnergy",
    "HullContext",
    "ReferenceFacts",
    "mixing_temperature",
    "ordering_estimates",
    "ordering_kind",
    "stabilities",
    "stability",
    "stability_label",
]

LOWER_POLYMORPH = "lower_polymorph"
"""Flag: a reference of the same composition, not compared with, lies lower."""
SAME_PHASE = 1e-3
"""Two relaxations of one phase differ by less, in eV/atom."""
_BESIDE = frozenset({"states", "hides_lower"})
"""What is known of a candidate and is no field of its documents."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from hts_battery.schemas.entropy import EntropyResult
    from hts_battery.schemas.thermo import GibbsStability
    from hts_battery.thermo.competing_phases import OtherCandidate
    from hts_battery.thermo.hull import Decomposition, Hull
    from hts_battery.thermo.hull_depth import HullDepth

SYSTEM_WITHOUT_REFERENCE = "system_without_reference"
"""Flag: a chemical system that the known compositions ask for holds no reference."""
NOT_ASKED = "not compared with the known compositions"


@dataclass(frozen=True)
class CandidateEnergy:
    """What the stability of one candidate is computed from."""

    candidate_id: str
    """Key of the candidate."""
    formula: str
    """Formula per formula unit, of what was calculated."""
    energy_per_atom: float
    """Energy without entropy, eV/atom, on the scale of the references."""
    entropy: EntropyResult
    """Ideal mixing entropy."""
    other_entropies: tuple[EntropyResult, ...] = ()
    """The same, had another mixing been counted."""
    exclude: tuple[str, ...] = ()
    """Ids of references that this candidate is not compared with."""
    orderings: OrderingEstimates | None = None
    """What several orderings say about the energy."""
    own_orderings: Mapping[str, float] = field(default_factory=dict)
    """Id of each other ordering of the same composition → energy, eV/atom."""
    species: Mapping[str, Fraction | float] | None = None
    """Species → amount in any unit; without them valence changes are not known."""
    volume_per_atom: float | None = None
    """Relaxed volume in Å³/atom; used by Gibbs energies only."""


@dataclass(frozen=True)
class ReferenceFacts:
    """What is known of the references besides their energies, by id."""

    volumes: Mapping[str, float] = field(default_factory=dict)
    """Relaxed volume in Å³/atom; used by Gibbs energies only."""
    oxidation_states: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Element → mean oxidation state; pure elements need none."""


@dataclass(frozen=True)
class HullContext:
    """
    What candidates are compared with besides references, and how.

    Raises
    ------
    ValueError
        If other candidates take part by option but are not given.
    """

    options: StabilityOptions = field(default_factory=StabilityOptions)
    """Which phases take part, and what is known at temperature."""
    others: Sequence[OtherCandidate] | None = None
    """All candidates of the campaign; used only where the options ask for them."""
    facts: ReferenceFacts = field(default_factory=ReferenceFacts)
    """Volumes and oxidation states of the references."""
    depth: HullDepth | None = None
    """Compositions of the references among all that are known."""
    engine_error: CalculatorError = field(default_factory=CalculatorError)
    """What is known of the engine's error, where the options give none."""

    @property
    def calculator_error(self) -> CalculatorError:
        """What enters the uncertainty: that of the options before the engine's own."""
        given = self.options.calculator_error
        if given is None:
            return self.engine_error
        term = ErrorTerm(
            value=given,
            source="campaign file",
            meaning="standard deviation given as stability.calculator_error",
        )
        return CalculatorError(terms=(term,))

    def __post_init__(self) -> None:
        if self.options.other_candidates and self.others is None:
            raise ValueError("options ask for other candidates: give them, or none: ()")

    def competing_phases(self, hull: Hull) -> CompetingPhases:
        """Let references compete, and other candidates where the options say so."""
        return CompetingPhases(
            hull, self.others if self.options.other_candidates else None
        )

    def depths(self, candidates: Sequence[CandidateEnergy], hull: Hull) -> list[Depth]:
        """Tell how deep the hull may be at each candidate, where that is asked for."""
        if self.depth is None:
            return [Depth(None, None, reason=NOT_ASKED)] * len(candidates)
        formulas = dict(zip(hull.ids, hull.formulas, strict=True))
        return self.depth.at(
            [candidate.formula for candidate in candidates],
            exclude=[[formulas[i] for i in one.exclude] for one in candidates],
        )


def stability(
    candidate: CandidateEnergy,
    hull: Hull,
    *,
    calculator: str,
    temperatures: Sequence[float],
    context: HullContext | None = None,
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
    context
        Options, other candidates, and what is known of the references; by default
        references alone, at their energies of 0 K.

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
        context=context,
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
    context: HullContext | None = None,
) -> list[tuple[ThermoDoc, ...] | MissingReferenceError]:
    """
    Stability of many candidates: documents, or the reason why there are none.

    Parameters are those of :func:`stability`. The answer has one item per
    candidate, in their order; an element without a reference is an item, not a
    raised error, so that no candidate disappears.
    """
    _check(candidates, temperatures)
    context = context or HullContext()
    comparison = _Comparison(context.competing_phases(hull), calculator, context)
    asked = [comparison.query(candidate) for candidate in candidates]
    cold = comparison.competing.mixtures(asked, 0.0)
    depths = context.depths(candidates, hull)
    common = [
        None if mixture is None else comparison.common(candidate, mixture, depth)
        for candidate, mixture, depth in zip(candidates, cold, depths, strict=True)
    ]
    documents: list[list[ThermoDoc]] = [[] for _ in candidates]
    for temperature in temperatures:
        # Without other candidates the hull is the same at every temperature.
        moved = comparison.competing.others and temperature
        hot = comparison.competing.mixtures(asked, temperature) if moved else cold
        gibbs = comparison.gibbs(candidates, asked, temperature)
        for number, (mixture, known) in enumerate(zip(hot, common, strict=True)):
            if mixture is not None and known is not None:
                moment = _Moment(temperature, mixture, gibbs[number])
                documents[number].append(_document(candidates[number], known, moment))
    return [
        hull.missing_reference(candidate.formula, exclude=candidate.exclude)
        if mixture is None
        else tuple(found)
        for candidate, mixture, found in zip(candidates, cold, documents, strict=True)
    ]


def _check(
    candidates: Sequence[CandidateEnergy], temperatures: Sequence[float]
) -> None:
    for temperature in temperatures:
        if not (isfinite(temperature) and temperature >= 0):
            raise ValueError(f"temperature {temperature} K: give 0 or more")
    for candidate in candidates:
        if not isfinite(candidate.energy_per_atom):
            raise ValueError(
                f"energy of {candidate.candidate_id} is {candidate.energy_per_atom}, "
                "not a finite number of eV/atom"
            )


class _Comparison(NamedTuple):
    """What all candidates of one call have in common."""

    competing: CompetingPhases
    calculator: str
    context: HullContext

    def query(self, candidate: CandidateEnergy) -> HullQuery:
        own = self.context.options.own_orderings
        return HullQuery(
            candidate_id=candidate.candidate_id,
            formula=candidate.formula,
            exclude=candidate.exclude,
            own_orderings=candidate.own_orderings if own else None,
        )

    def common(
        self, candidate: CandidateEnergy, mixture: Decomposition, depth: Depth
    ) -> dict[str, Any]:
        """Fields of a candidate's documents that no temperature changes."""
        hull, options = self.competing.references, self.context.options
        asked = self.query(candidate)
        above = candidate.energy_per_atom - mixture.energy
        orderings = candidate.orderings
        terms = uncertainty_terms(self.context.calculator_error)
        return {
            "candidate_id": candidate.candidate_id,
            "formula": candidate.formula,
            "calculator": self.calculator,
            "energy_per_atom": candidate.energy_per_atom,
            "hull_energy": mixture.energy,
            "energy_above_hull_0k": above,
            "entropy": candidate.entropy.entropy,
            "mixing_temperature": mixing_temperature(above, candidate.entropy.entropy),
            "entropy_terms": candidate.entropy,
            "orderings": orderings,
            "uncertainty": terms.calculator_error,
            "uncertainty_terms": terms,
            "systems_without_reference": hull.systems_without_reference(
                candidate.formula, largest=options.largest_system
            ),
            "n_references": hull.n_references(
                candidate.formula, exclude=candidate.exclude
            ),
            "n_other_candidates": self.competing.n_others(asked),
            "other_candidates_digest": self.competing.digest,
            "n_own_orderings": len(asked.own_orderings or ()),
            "options": options,
            "excluded_references": candidate.exclude,
            "hull_depth_risk": depth.risk,
            "hull_depth_risk_reported": depth.risk_reported,
            "hull_depth_reason": depth.reason,
            "missing_compositions": dict(depth.missing),
            "needed_systems_without_reference": depth.systems,
            "largest_system_checked": options.largest_system,
            "hull_version": hull.digest,
            "states": self.context.facts.oxidation_states,
            "hides_lower": _hides_lower(candidate, hull),
        }

    def gibbs(
        self,
        candidates: Sequence[CandidateEnergy],
        asked: Sequence[HullQuery],
        temperature: float,
    ) -> Sequence[GibbsStability | None]:
        """Gibbs energies where the options ask for them."""
        options = self.context.options
        if options.references_at_temperature is ReferencesAtTemperature.NONE:
            return [None] * len(candidates)
        hull = GibbsHull(
            self.competing,
            self.context.facts.volumes,
            temperature,
            options.gas_pressures,
        )
        return hull.stabilities(
            [
                GibbsCandidate(
                    query,
                    energy_per_atom=candidate.energy_per_atom,
                    entropy=candidate.entropy.entropy,
                    volume_per_atom=candidate.volume_per_atom,
                )
                for candidate, query in zip(candidates, asked, strict=True)
            ]
        )


class _Moment(NamedTuple):
    """What belongs to one candidate at one temperature."""

    temperature: float
    mixture: Decomposition
    gibbs: GibbsStability | None


def _document(
    candidate: CandidateEnergy, common: Mapping[str, Any], moment: _Moment
) -> ThermoDoc:
    temperature, mixture, gibbs = moment
    above, entropy = common["energy_above_hull_0k"], common["entropy"]
    taken = common["hull_energy"] - mixture.energy
    # Distance of any energy of this composition from the hull at temperature.
    shift = 0.0 - temperature * entropy - mixture.energy
    orderings = candidate.orderings
    lowest = None if orderings is None else orderings.lowest + shift
    random = None
    if orderings is not None and orderings.random_mean is not None:
        random = orderings.random_mean + shift
    hot = above - temperature * entropy + taken
    phases = decomposition_phases(mixture)
    valences = valence_change(candidate.species, mixture, common["states"])
    gas = any(phase.gas for phase in phases)
    return ThermoDoc(
        **{name: value for name, value in common.items() if name not in _BESIDE},
        temperature=float(temperature),
        entropy_term=0.0 - temperature * entropy,
        competition_term=taken,
        energy_above_hull=hot,
        label=stability_label(above, entropy, temperature, competition_term=taken),
        open=is_open(
            hot, lower=lowest, upper=random, uncertainty=common["uncertainty"]
        ),
        probability_stable=probability_stable(hot, common["uncertainty"]),
        other_mixings=other_mixings(
            candidate.other_entropies, above, temperature, competition_term=taken
        ),
        energy_above_hull_lowest=lowest,
        energy_above_hull_random=random,
        energy_above_hull_gibbs=None if gibbs is None else gibbs.energy_above_hull,
        gibbs=gibbs,
        decomposition=phases,
        chemical_potentials=dict(mixture.chemical_potentials),
        releases_gas=gas,
        changes_valence=valences.changed,
        valence_changes=dict(valences.fractions),
        valences_unknown=valences.unknown,
        flags=(
            *([LOWER_POLYMORPH] if common["hides_lower"] else []),
            *(
                [SYSTEM_WITHOUT_REFERENCE]
                if common["needed_systems_without_reference"]
                else []
            ),
            *_uncorrected(common["calculator"], valences, releases_gas=gas),
        ),
    )


def _hides_lower(candidate: CandidateEnergy, hull: Hull) -> bool:
    """Whether a reference that is left out is a lower phase of its composition."""
    if not candidate.exclude:
        return False
    here = set(candidate.exclude).intersection(hull.ids_at(candidate.formula))
    energies = [hull.references[name][1] for name in here]
    return min(energies, default=inf) < candidate.energy_per_atom - SAME_PHASE


def _uncorrected(
    calculator: str, valences: ValenceChange, *, releases_gas: bool
) -> tuple[str, ...]:
    """Warn where a reaction needs corrections that the calculator has none of."""
    if not leaves_reactions_uncorrected(calculator):
        return ()
    found = {
        "gas_release_uncorrected": releases_gas,
        "valence_change_uncorrected": bool(valences.changed),
        "valence_change_unknown": valences.changed is None,
    }
    return tuple(flag for flag, applies in found.items() if applies)

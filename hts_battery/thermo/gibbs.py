r"""
Gibbs energies of solids and of the gases O2 and F2, as estimates beside the default.

A compound gets the descriptor of Bartel et al., Nature Communications 9, 4168 (2018),
10.1038/s41467-018-06682-4,

.. math:: G^\delta(T) = \left(-2.48 \cdot 10^{-4} \ln V
          - 8.94 \cdot 10^{-5} m / V\right) T + 0.181 \ln T - 0.882

in eV/atom, V the volume in Å³/atom and m the reduced mass in u; an element gets its
tabulated Gibbs energy. Equation and table are those of pymatgen's
``GibbsComputedStructureEntry``; nothing is added twice, since a hull does not change
when the zero of each element is moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from itertools import combinations
from math import log
from typing import TYPE_CHECKING

from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.thermo import GasTerms, GibbsStability
from hts_battery.thermo.competing_phases import decomposition_phases, is_gas
from hts_battery.thermo.entropy import KB_EV_PER_K
from hts_battery.thermo.hull import Hull

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from hts_battery.thermo.competing_phases import CompetingPhases, HullQuery
    from hts_battery.thermo.hull import Decomposition

VALID_TEMPERATURES = (300.0, 2000.0)
"""Range of the descriptor and of the table, in K."""
_GASES = {"O2": "O", "F2": "F"}
_PACKAGES = ("pymatgen", "pymatgen-core")


def reduced_mass(formula: str) -> float:
    r"""
    Reduced mass of a compound in u, averaged over its pairs of elements.

    .. math:: m = \frac{1}{(n - 1) \sum_i a_i}
              \sum_{i<j} (a_i + a_j) \frac{m_i m_j}{m_i + m_j}

    Examples
    --------
    >>> round(reduced_mass("MgO"), 3)
    9.648
    """
    amounts = parse_formula(formula)
    if len(amounts) < 2:  # noqa: PLR2004 - a pair
        raise ValueError(f"{formula!r} has no pair of elements: no reduced mass")
    masses = _masses()
    pairs = sum(
        float(amounts[a] + amounts[b]) * masses[a] * masses[b] / (masses[a] + masses[b])
        for a, b in combinations(amounts, 2)
    )
    return pairs / ((len(amounts) - 1) * float(sum(amounts.values())))


def solid_term(formula: str, volume_per_atom: float, temperature: float) -> float:
    """
    Gibbs energy of a compound relative to its enthalpy, by the descriptor, in eV/atom.

    Examples
    --------
    >>> round(solid_term("MgO", 9.7, 1000), 4)
    -0.2841
    """
    _check_temperature(temperature)
    if not volume_per_atom > 0:
        raise ValueError(f"volume {volume_per_atom} Å³/atom of {formula}: not positive")
    mass = reduced_mass(formula)
    slope = -2.48e-4 * log(volume_per_atom) - 8.94e-5 * mass / volume_per_atom
    return slope * temperature + 0.181 * log(temperature) - 0.882


def element_terms(temperature: float) -> dict[str, float]:
    """
    Tabulated Gibbs energy of each element at 1 bar, eV/atom.

    Between the steps of 100 K of the table the values are interpolated linearly.
    """
    _check_temperature(temperature)
    table = _element_table()
    low = max(step for step in table if step <= temperature)
    high = min(step for step in table if step >= temperature)
    weight = (temperature - low) / (high - low) if high > low else 0.0
    return {
        element: (1 - weight) * value + weight * table[high][element]
        for element, value in table[low].items()
        if element in table[high]
    }


def gas_terms(
    temperature: float, pressures: Mapping[str, float]
) -> dict[str, GasTerms]:
    r"""
    Add up what temperature and pressure, in bar, do to O2 and F2, per atom.

    .. math:: \Delta\mu = G(T, 1\,bar) + \tfrac{1}{2} k_B T \ln (p / 1\,bar)
    """
    table = element_terms(temperature)
    return {
        gas: GasTerms(
            pressure=pressures.get(gas, 1.0),
            temperature_term=table[element],
            pressure_term=0.5
            * KB_EV_PER_K
            * temperature
            * log(pressures.get(gas, 1.0)),
        )
        for gas, element in _GASES.items()
    }


@dataclass(frozen=True)
class GibbsCandidate:
    """A candidate as its Gibbs energy needs it."""

    query: HullQuery
    """Composition, and what it is not compared with; own orderings take no part."""
    energy_per_atom: float
    """Energy without entropy, eV/atom."""
    entropy: float
    """Ideal mixing entropy, eV/K per atom."""
    volume_per_atom: float | None
    """Relaxed volume, Å³/atom."""


class GibbsHull:
    """Hull of Gibbs energies at one temperature; out of range it answers nothing."""

    def __init__(
        self,
        competing: CompetingPhases,
        volumes: Mapping[str, float],
        temperature: float,
        pressures: Mapping[str, float],
    ) -> None:
        self.competing = competing
        self.temperature = temperature
        low, high = VALID_TEMPERATURES
        self.valid = low <= temperature <= high
        self.gases = gas_terms(temperature, pressures) if self.valid else {}
        self._volumes = dict(volumes) | {
            other.phase_id: other.volume_per_atom
            for other in competing.others or ()
            if other.volume_per_atom is not None
        }

    @cached_property
    def _added(self) -> dict[str, float]:
        """Id of each phase → what is added to its energy; the rest is left out."""
        hull = self.competing.at(self.temperature)
        elements = dict(element_terms(self.temperature))
        for gas, element in _GASES.items():
            terms = self.gases[gas]
            elements[element] = terms.temperature_term + terms.pressure_term
        found = {
            name: self._term(name, formula, elements)
            for name, formula in zip(hull.ids, hull.formulas, strict=True)
        }
        return {name: term for name, term in found.items() if term is not None}

    def _term(
        self, name: str, formula: str, elements: Mapping[str, float]
    ) -> float | None:
        amounts = parse_formula(formula)
        if len(amounts) == 1:
            return elements.get(next(iter(amounts)))
        volume = self._volumes.get(name)
        if volume is None or is_gas(formula):
            return None  # the descriptor holds for solids only
        return solid_term(formula, volume, self.temperature)

    @cached_property
    def hull(self) -> Hull | None:
        """Phases whose Gibbs energy is known; None if there is none."""
        every = self.competing.at(self.temperature)
        kept = [i for i, name in enumerate(every.ids) if name in self._added]
        if not kept:
            return None
        return Hull(
            [every.formulas[i] for i in kept],
            [every.energies_per_atom[i] + self._added[every.ids[i]] for i in kept],
            ids=[every.ids[i] for i in kept],
        )

    def stabilities(self, candidates: Sequence[GibbsCandidate]) -> list[GibbsStability]:
        """
        Stability of each candidate, or the reason why there is none.

        The candidate is treated as the references are: the descriptor with its own
        volume, and its ideal mixing entropy, which the descriptor does not hold.
        """
        low, high = VALID_TEMPERATURES
        if not self.valid:
            reason = f"{self.temperature:g} K is outside {low:g} to {high:g} K"
            return [_no_answer(reason) for _ in candidates]
        if self.hull is None:
            return [_no_answer("no reference has a volume") for _ in candidates]
        exclude = [
            self._known(self.competing.excluded(one.query)) for one in candidates
        ]
        mixtures = self.hull.decompositions(
            [one.query.formula for one in candidates], exclude=exclude
        )
        return [
            self._stability(one, mixture, gone)
            for one, mixture, gone in zip(candidates, mixtures, exclude, strict=True)
        ]

    def _known(self, names: Collection[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in self._added)

    def _stability(
        self,
        candidate: GibbsCandidate,
        mixture: Decomposition | None,
        exclude: tuple[str, ...],
    ) -> GibbsStability:
        assert self.hull is not None  # noqa: S101 - only called with one
        formula = candidate.query.formula
        if mixture is None:
            return _no_answer(str(self.hull.missing_reference(formula)))
        if candidate.volume_per_atom is None:
            return _no_answer("the volume of the candidate is not known")
        solid = solid_term(formula, candidate.volume_per_atom, self.temperature)
        entropy = 0.0 - self.temperature * candidate.entropy
        energy = candidate.energy_per_atom + solid + entropy
        return GibbsStability(
            energy_above_hull=energy - mixture.energy,
            solid_term=solid,
            entropy_term=entropy,
            hull_energy=mixture.energy,
            gases={
                gas: terms
                for gas, terms in self.gases.items()
                if _GASES[gas] in mixture.chemical_potentials
            },
            decomposition=decomposition_phases(mixture),
            n_references=self.hull.n_references(formula, exclude=exclude),
            left_out=self._left_out(formula),
            package_versions={package: version(package) for package in _PACKAGES},
        )

    def _left_out(self, formula: str) -> tuple[str, ...]:
        inside = parse_formula(formula).keys()
        return tuple(
            name for name, elements in self._unknown.items() if elements <= inside
        )

    @cached_property
    def _unknown(self) -> dict[str, frozenset[str]]:
        """Id of each phase without a Gibbs energy → its elements."""
        every = self.competing.at(self.temperature)
        return {
            name: frozenset(parse_formula(formula))
            for name, formula in zip(every.ids, every.formulas, strict=True)
            if name not in self._added
        }


def _no_answer(reason: str) -> GibbsStability:
    return GibbsStability(energy_above_hull=None, reason=reason)


def _check_temperature(temperature: float) -> None:
    low, high = VALID_TEMPERATURES
    if not low <= temperature <= high:
        raise ValueError(
            f"temperature {temperature} K: Gibbs energies are known from {low:g} to "
            f"{high:g} K"
        )


@lru_cache(maxsize=1)
def _masses() -> Mapping[str, float]:
    from pymatgen.core import Element  # noqa: PLC0415 - slow to import

    return {element.symbol: float(element.atomic_mass) for element in Element}


@lru_cache(maxsize=1)
def _element_table() -> Mapping[float, Mapping[str, float]]:
    """Temperature in K → element → Gibbs energy in eV/atom."""
    from pymatgen.entries.computed_entries import G_ELEMS  # noqa: PLC0415 - slow

    return {float(step): dict(values) for step, values in G_ELEMS.items()}

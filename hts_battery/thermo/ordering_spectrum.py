r"""
What the spread of a candidate's orderings says of disorder.

Entropy-forming ability: P. Sarker et al., Nature Communications 9, 4980 (2018),
10.1038/s41467-018-07160-7. Disordered enthalpy-entropy descriptor: S. Divilov et al.,
Nature 625, 66 (2024), 10.1038/s41586-023-06786-y. Both are made from the energies of
one ensemble of cells: every distinct cell of a size with its degeneracy, or cells drawn
at random, each with the degeneracy one. Cells chosen for their low energy, or to
resemble a random solution, are neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2, norm

from hts_battery.thermo.entropy import KB_EV_PER_K

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

FEWEST_DRAWS = 6
"""Orderings drawn at random of which a spread is stated: with six it is known to a
factor of 2.5 upwards at 95 %."""
CONFIDENCE = 0.95
_NO_SPREAD = 1e-9  # eV/atom; below what any calculator resolves


@dataclass(frozen=True)
class SpectrumEstimate:
    """One number of a spectrum, with what drawing so few orderings leaves open."""

    value: float | None
    """The number; None where ``reason`` says why there is none."""
    standard_error: float | None = None
    """By the draws alone, for normal energies, to first order; None where every
    ordering counts."""
    interval: tuple[float, float] | None = None
    """Between these at 95 %, likewise."""
    reason: str | None = None
    """Why there is no number; None where there is one."""


@dataclass(frozen=True)
class OrderingSpectrum:
    r"""
    Energies of the orderings of one ensemble, all in cells of one size.

    Parameters
    ----------
    energies
        eV/atom, one an ordering.
    degeneracies
        How many arrangements of the species each ordering stands for, :math:`g_i`: of
        an enumeration. None: orderings drawn at random, each stands for itself.
    atoms
        Atoms in the cell; only the Boltzmann mean needs them.

    Raises
    ------
    ValueError
        If energies are not finite, or degeneracies are not whole, positive, one each.

    Examples
    --------
    >>> spectrum = OrderingSpectrum((-5.00, -5.02), degeneracies=(3, 1))
    >>> round(spectrum.mean, 4), round(spectrum.standard_deviation, 4)
    (-5.005, 0.01)
    >>> round(spectrum.entropy_forming_ability.value)
    100
    """

    energies: tuple[float, ...]
    degeneracies: tuple[int, ...] | None = None
    atoms: int | None = None

    def __post_init__(self) -> None:
        if not self.energies or not np.all(np.isfinite(self.energies)):
            raise ValueError(f"energies {self.energies}: give finite eV/atom")
        given = self.degeneracies
        if given is not None and (
            len(given) != len(self.energies)
            or any(one < 1 or int(one) != one for one in given)
        ):
            raise ValueError(
                f"degeneracies {given}: give a whole number of arrangements, 1 or "
                f"more, for each of {len(self.energies)} orderings"
            )

    @property
    def is_complete(self) -> bool:
        """Whether these are all orderings of the cell, with their degeneracies."""
        return self.degeneracies is not None

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        given = self.degeneracies or (1,) * len(self.energies)
        return np.array(given, dtype=float)

    @cached_property
    def mean(self) -> float:
        r"""Mean energy :math:`\sum g_i E_i / \sum g_i` in eV/atom."""
        return float(np.average(self.energies, weights=self._weights))

    @cached_property
    def standard_deviation(self) -> float:
        r"""
        Spread of the energies in eV/atom.

        .. math:: \sigma^2 = \frac{\sum g_i (E_i - \bar E)^2}{\sum g_i - 1}

        NaN for a single arrangement.
        """
        total = self._weights.sum()
        if total < 2:  # noqa: PLR2004 - one arrangement has no spread
            return float("nan")
        squares = self._weights @ (np.array(self.energies) - self.mean) ** 2
        return sqrt(squares / (total - 1))

    @property
    def problem(self) -> str | None:
        """Why no spread is stated; None where one is."""
        n = len(self.energies)
        if not self.is_complete and n < FEWEST_DRAWS:
            return (
                f"{n} random ordering{'s' * (n != 1)}: a spread needs {FEWEST_DRAWS}, "
                f"`random: {FEWEST_DRAWS}` or more in n_orderings"
            )
        if not self.standard_deviation > _NO_SPREAD:
            return "all orderings have one energy: there is no spread to divide by"
        return None

    @property
    def entropy_forming_ability(self) -> SpectrumEstimate:
        r"""
        Entropy-forming ability :math:`1/\sigma` in (eV/atom)⁻¹.

        High where many arrangements are near in energy: disorder is cheap. Its interval
        is that of :math:`\chi^2` for normal energies.
        """
        if self.problem:
            return SpectrumEstimate(None, reason=self.problem)
        value = 1 / self.standard_deviation
        if self.is_complete:
            return SpectrumEstimate(value)
        free = len(self.energies) - 1
        low, high = (
            float(sqrt(bound / free) * value)
            for bound in chi2.interval(CONFIDENCE, free)
        )
        return SpectrumEstimate(value, value / sqrt(2 * free), (low, high))

    def disordered_enthalpy_entropy(self, hull_energy: float) -> SpectrumEstimate:
        r"""
        Disordered enthalpy-entropy descriptor in (eV/atom)⁻¹.

        .. math:: \sqrt{\sigma^{-1} / \langle E_i - E_{hull} \rangle}

        What disorder gains over what it costs: the mean distance of the orderings from
        the hull at 0 K. Its interval comes from the errors of mean and spread of normal
        energies, which are independent, to first order in the logarithm.

        Parameters
        ----------
        hull_energy
            Lowest mixture of competing phases at the composition, eV/atom.

        Returns
        -------
        SpectrumEstimate
            No number where the mean lies on or below the hull: there is no cost.
        """
        cost = self.mean - hull_energy
        reason = self.problem
        if reason is None and cost <= 0:
            reason = (
                "the mean of the orderings is on or below the hull: disorder costs "
                "nothing, so there is no ratio"
            )
        if reason is not None:
            return SpectrumEstimate(None, reason=reason)
        sigma, n = self.standard_deviation, len(self.energies)
        value = sqrt(1 / (sigma * cost))
        if self.is_complete:
            return SpectrumEstimate(value)
        relative = 0.5 * sqrt(1 / (2 * (n - 1)) + (sigma / cost) ** 2 / n)
        factor = exp(float(norm.ppf((1 + CONFIDENCE) / 2)) * relative)
        interval = (value / factor, value * factor)
        return SpectrumEstimate(value, relative * value, interval)

    def boltzmann_mean(self, temperature: float) -> BoltzmannMean:
        r"""
        Mean energy of the orderings at a temperature, as weighed by Boltzmann.

        .. math:: \langle E \rangle_T =
            \frac{\sum g_i E_i e^{-N (E_i - E_0) / k_B T}}
            {\sum g_i e^{-N (E_i - E_0) / k_B T}}

        The cell of :math:`N` atoms is what is weighed: its neighbours follow it. No
        vibrations; the number of configurations enters by :math:`g_i` alone.

        Parameters
        ----------
        temperature
            In K; 0 gives the lowest ordering.

        Raises
        ------
        ValueError
            If the temperature is negative or not finite, or ``atoms`` is not given.
        """
        if not (np.isfinite(temperature) and temperature >= 0):
            raise ValueError(f"temperature {temperature} K: give 0 or more")
        if self.atoms is None:
            raise ValueError("a Boltzmann mean weighs whole cells: give atoms")
        energies = np.array(self.energies)
        above = self.atoms * (energies - energies.min())
        weights = self._weights * (
            np.exp(-above / (KB_EV_PER_K * temperature))
            if temperature
            else (above == 0).astype(float)
        )
        share = weights / weights.sum()
        mean = float(share @ energies)
        drawn = sqrt(float(share**2 @ (energies - mean) ** 2))
        return BoltzmannMean(
            value=mean,
            standard_error=None if self.is_complete else drawn,
            effective_orderings=float(1 / (share @ share)),
        )


@dataclass(frozen=True)
class BoltzmannMean:
    """Mean energy of orderings at a temperature."""

    value: float
    """eV/atom."""
    standard_error: float | None
    """Of the draws, eV/atom; None where every ordering counts."""
    effective_orderings: float
    """Orderings that carry the mean: near 1 it is the energy of the lowest drawn."""


def compensation_temperature(descriptor: float) -> float:
    r"""
    Temperature in K at which entropy makes up for enthalpy, by the descriptor.

    :math:`k_B \Theta = 1/DEED`; a rank among materials, no synthesis temperature.

    Examples
    --------
    >>> round(compensation_temperature(64.7))
    179
    """
    return 1 / (KB_EV_PER_K * descriptor)


def energies_above_hull(
    energy_above_hull_0k: float, entropy: float, temperatures: ArrayLike
) -> NDArray[np.float64]:
    r"""
    E_hull at any temperatures from its two terms, :math:`E_{hull}(0) - T S`.

    Parameters
    ----------
    energy_above_hull_0k
        eV/atom.
    entropy
        Ideal mixing entropy of the candidate, eV/K per atom; its competing phases have
        none.
    temperatures
        In K, any number of them.

    Returns
    -------
    ndarray
        eV/atom, signed, one a temperature.

    Raises
    ------
    ValueError
        If a temperature is negative or not finite.

    Examples
    --------
    >>> energies_above_hull(0.05, 5e-5, [0, 1000, 1500]).round(3).tolist()
    [0.05, 0.0, -0.025]
    """
    kelvin = np.atleast_1d(np.asarray(temperatures, dtype=float))
    wrong = kelvin[~(np.isfinite(kelvin) & (kelvin >= 0))]
    if wrong.size:
        raise ValueError(f"temperature {wrong[0]} K: give 0 or more")
    return np.asarray(energy_above_hull_0k - kelvin * entropy)


def sample_of(
    orderings: Iterable[tuple[str, float]], *, atoms: int | None = None
) -> tuple[OrderingSpectrum | None, str | None]:
    """
    Take from a candidate's orderings those that are one random sample.

    Parameters
    ----------
    orderings
        Kind or method of each ordering (``random`` alone is a sample) and its energy in
        eV/atom.
    atoms
        Atoms in the cell.

    Returns
    -------
    tuple
        The spectrum, or None with the reason why there is none.

    Examples
    --------
    >>> sample_of([("sqs", -5.0), ("electrostatic", -5.1)])[1]
    'no ordering was drawn at random (sqs 1, electrostatic 1): those are chosen, no \
sample; `random: 6` or more in n_orderings draws some'
    """
    by_method: dict[str, list[float]] = {}
    for method, energy in orderings:
        by_method.setdefault(method, []).append(energy)
    drawn: Sequence[float] = by_method.get("random", ())
    if not drawn:
        made = ", ".join(f"{name} {len(found)}" for name, found in by_method.items())
        return None, (
            f"no ordering was drawn at random ({made or 'there are none'}): those are "
            f"chosen, no sample; `random: {FEWEST_DRAWS}` or more in n_orderings draws "
            "some"
        )
    spectrum = OrderingSpectrum(tuple(drawn), atoms=atoms)
    return (None, spectrum.problem) if spectrum.problem else (spectrum, None)

"""What ions do in a trajectory, and what diffusivities do with temperature."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from pydantic import Field

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.base import Document

KB_EV_PER_K = 8.617333262e-5
"""Boltzmann's constant."""
_NORMAL = 1.959964

TransportVerdict = Literal[
    "diffusive", "not diffusive yet", "too few jumps", "framework moved"
]
"""
What a trajectory allows to say.

``diffusive``: a plateau was read. ``not diffusive yet``: none was found, or it is not
told from zero. ``too few jumps``: fewer than three. ``framework moved``: what should
stand still does not; nothing is read.
"""
Interval = tuple[float, float]


class StridePoint(Document):
    """Diffusivities at one stride: the slope between one and two strides."""

    stride: int = Field(description="In frames.")
    time: float = Field(description="The stride in fs.")
    msd: float = Field(description="Mean squared displacement in that time, Å².")
    tracer: float = Field(description="cm²/s; still with vibrations where it is short.")
    tracer_error: float = Field(description="Standard error, cm²/s.")
    collective: float = Field(description="Of the charge, cm²/s.")
    collective_error: float = Field(description="Standard error, cm²/s.")


class Diffusivity(Document):
    """
    Diffusivity of the mobile ions of one trajectory, relative to its framework.

    Notes
    -----
    An interval holds the truth in 95 of 100 such runs: it speaks of the scatter of
    one trajectory, not of the forces, of the size of the cell, or of orderings.
    """

    verdict: TransportVerdict = Field(description="What can be said.")
    reason: str = Field(description="Why, in a sentence.")
    tracer: float | None = Field(description="D*, cm²/s; none without a plateau.")
    tracer_interval: Interval | None = Field(
        description="95 %, cm²/s; (0, upper bound) without a plateau; none where the "
        "framework moved."
    )
    tensor: tuple[tuple[float, float, float], ...] | None = Field(
        description="Of D*, cm²/s, Cartesian; a third of its trace is D*."
    )
    tensor_error: tuple[tuple[float, float, float], ...] | None = Field(
        description="Standard error of each component, cm²/s."
    )
    collective: float | None = Field(
        description="D_sigma, of the charge, cm²/s; none where it is not told from 0."
    )
    collective_interval: Interval | None = Field(description="95 %, cm²/s.")
    conductivity: float | None = Field(
        description="Nernst-Einstein, from D*, S/cm; none without a temperature or "
        "a cell."
    )
    conductivity_interval: Interval | None = Field(description="95 %, S/cm.")
    charge_conductivity: float | None = Field(
        description="From D_sigma, with what ions do to each other, S/cm."
    )
    charge_conductivity_interval: Interval | None = Field(description="95 %, S/cm.")
    haven_ratio: float | None = Field(description="D* / D_sigma.")
    haven_ratio_interval: Interval | None = Field(description="95 %.")
    jumps: int = Field(
        description="Times that an ion left its place by more than 0.6 jump lengths, "
        "back jumps too."
    )
    plateau: float | None = Field(description="Stride at which D* was read, fs.")
    collective_plateau: float | None = Field(description="Likewise D_sigma, fs.")
    curve: tuple[StridePoint, ...] = Field(description="Every stride.")
    time_needed: float | None = Field(
        description="Length of a run that may have a plateau, or an error of 30 %, fs."
    )
    ions: int = Field(description="Mobile ions.")
    immobile: int = Field(
        description="Of them, ions that never left their place and are so many that "
        "chance does not explain it; the interval is that of the others."
    )
    framework: int = Field(description="Atoms that define the frame of reference.")
    framework_drift: float = Field(
        description="Length of its common displacement, which was subtracted, Å."
    )
    framework_displacement: float = Field(
        description="Root mean square of what its atoms did beside that, from the "
        "first to the last tenth of the run, Å."
    )
    frames: int = Field(description="Frames.")
    time_step: float = Field(description="Between frames, fs.")
    temperature: float | None = Field(description="K.")
    volume: float | None = Field(description="Mean of the cell, Å³.")
    jump_length: float = Field(description="Stated length of a jump, Å.")

    @property
    def relative_error(self) -> float:
        """Half of the interval over D*; infinite where no D* was read."""
        if not self.tracer or self.tracer_interval is None:
            return math.inf
        low, high = self.tracer_interval
        return (high - low) / (2 * self.tracer)

    @property
    def standard_error(self) -> float:
        """Standard error over D*, of an interval as wide; infinite without a D*."""
        return self.relative_error / _NORMAL


ArrheniusVerdict = Literal["single", "kink", "jump", "curved", "undecided"]
"""
How ln D goes with 1/T.

``single``: one line; ``kink``: two that meet; ``jump``: two that do not; ``curved``: a
parabola; ``undecided``: too few temperatures, or scatter that no line and the stated
errors explain.
"""


class Prediction(NamedTuple):
    """A diffusivity that a line predicts."""

    value: float
    """cm²/s."""
    interval: Interval
    """95 %, cm²/s."""


class ArrheniusFit(Document):
    """
    A line through diffusivities, and whether it is one.

    Notes
    -----
    A line is no statement about temperatures where another mechanism rules; the test
    sees breaks only between the temperatures that were measured.
    """

    verdict: ArrheniusVerdict = Field(description="What the data are.")
    activation_energy: float = Field(description="Of the single line, eV.")
    log_prefactor: float = Field(description="ln of the prefactor in cm²/s.")
    covariance: tuple[tuple[float, float], tuple[float, float]] = Field(
        description="Of ln prefactor and activation energy (1, eV; eV, eV²); scaled by "
        "chi squared over its degrees of freedom where the scatter exceeds the errors."
    )
    p_values: dict[str, float] = Field(
        description="Share of straight lines with these temperatures and errors that "
        "look as much like a kink, a jump, a curve; and like any of them."
    )
    break_temperature: float | None = Field(description="Of a kink or a jump, K.")
    activation_energies: tuple[float, float] | None = Field(
        description="Below and above the break, eV."
    )
    power: float = Field(
        description="Share of lines that would be told from single if the activation "
        "energy doubled below the temperature in power_break."
    )
    power_break: float = Field(description="Temperature of that alternative, K.")
    chi_squared: float = Field(description="Of the single line, with stated errors.")
    degrees_of_freedom: int = Field(description="Temperatures less two.")
    warnings: tuple[str, ...] = Field(description="What the numbers do not support.")
    temperatures: tuple[float, ...] = Field(description="K.")
    diffusivities: tuple[float, ...] = Field(description="cm²/s.")
    relative_errors: tuple[float, ...] = Field(description="As stated.")
    simulated: int = Field(description="Straight lines that were simulated.")
    seed: int = Field(description="Seed of their random numbers.")

    @property
    def activation_energy_error(self) -> float:
        """Standard error of the activation energy, eV."""
        return math.sqrt(self.covariance[1][1])

    def factor(self, temperature: float) -> float:
        """Return the factor by which a prediction is uncertain, one standard error."""
        per_ev = 1 / (KB_EV_PER_K * temperature)
        (first, mixed), (_, second) = self.covariance
        return math.exp(math.sqrt(first - 2 * per_ev * mixed + per_ev**2 * second))

    def at(self, temperature: float) -> Prediction:
        """
        Predict the diffusivity at a temperature.

        Parameters
        ----------
        temperature
            In K.

        Raises
        ------
        TrajectoryError
            The data are not a single line, or the temperature is not positive.
        """
        if self.verdict != "single":
            raise TrajectoryError(
                f"the diffusivities are no single line ({self.verdict}): nothing is "
                f"predicted at {temperature:g} K"
            )
        if not temperature > 0:
            raise TrajectoryError(f"temperature {temperature}: above zero, in K")
        value = math.exp(
            self.log_prefactor - self.activation_energy / (KB_EV_PER_K * temperature)
        )
        width = self.factor(temperature) ** _NORMAL
        return Prediction(value, (value / width, value * width))


class SiteKind(Document):
    """What ions do on the sites of one label."""

    label: str = Field(description="Such as 6b, 18e, tetrahedron.")
    sites: int = Field(description="In the cell.")
    occupancy: float = Field(description="Mean share of them that is taken.")
    occupancy_error: float = Field(
        description="Standard error, of blocks in time; none of them sees what takes "
        "longer than the run."
    )
    residence_time: float | None = Field(
        description="Mean time on a site, fs: all time there over all departures; none "
        "where nobody left."
    )
    departures: int = Field(description="Jumps from such a site to another.")


class SiteOccupation(Document):
    """Where the mobile ions of a trajectory are, and between which sites they jump."""

    kinds: tuple[SiteKind, ...] = Field(description="By label.")
    jumps: dict[str, dict[str, int]] = Field(
        description="From label, to label: number of jumps."
    )
    concerted_share: float | None = Field(
        description="Share of jumps with another one, of another ion, within the "
        "window and the distance; none without jumps."
    )
    concerted_by_chance: float | None = Field(
        description="What that share would be if ions jumped when they like."
    )
    window: float = Field(description="Jumps so close in time are concerted, fs.")
    distance: float = Field(description="And so close in space, Å.")
    core_radius: float = Field(
        description="An ion has arrived once it is so near to a site, Å."
    )
    unassigned: float = Field(
        description="Share of ions and frames before an ion first was on a site."
    )

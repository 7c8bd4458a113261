"""Arrhenius lines: activation energy, and whether there is one line at all."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.transport import KB_EV_PER_K, ArrheniusFit
from hts_battery.transport.break_test import (
    CHOICE,
    KINDS,
    LEVEL,
    SIMULATED,
    BreakTest,
    Nulls,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hts_battery.schemas.transport import ArrheniusVerdict
    from hts_battery.transport.break_test import Found

    Floats = NDArray[np.float64]

_FEWEST, _ENOUGH = 3, 5  # temperatures for a line, and for a break
_WEAK = 0.5  # power below which a warning says so
_TOO_GOOD = 0.975


def arrhenius(
    temperatures: ArrayLike,
    diffusivities: ArrayLike,
    relative_errors: ArrayLike,
    *,
    seed: int = 0,
) -> ArrheniusFit:
    r"""
    Fit ln D = ln D0 - Ea/kT, and test whether the data are one line.

    A kink, a jump and a curve are each compared with straight lines of the same
    temperatures and errors that are simulated, so that one straight line in twenty is
    called something else, whatever the grid and the errors.

    Parameters
    ----------
    temperatures
        In K, three or more different ones; five to see a break.
    diffusivities
        In cm²/s, or any unit that is not negative.
    relative_errors
        One standard error over the value, one or one each.
    seed
        Of the simulated lines.

    Returns
    -------
    ArrheniusFit
        Energies in eV; ``at(temperature)`` predicts where there is one line.

    Raises
    ------
    TrajectoryError
        Numbers that are not positive and finite, or too few temperatures.

    Examples
    --------
    >>> kelvin = np.linspace(600, 1500, 8)
    >>> line = 1e-3 * np.exp(-0.25 / (8.617333262e-5 * kelvin))
    >>> found = arrhenius(kelvin, line, 0.1)
    >>> found.verdict, round(found.activation_energy, 4)
    ('single', 0.25)
    >>> f"{found.at(300.0).value:.2e}"
    '6.31e-08'
    """
    kelvin, values, errors = _checked(temperatures, diffusivities, relative_errors)
    parameters, covariance, chi = _line(kelvin, np.log(values), errors)
    freedom = len(kelvin) - 2
    warnings = _warnings_on_errors(chi, freedom)
    if chdtrc(freedom, chi) < LEVEL:
        covariance = covariance * (chi / freedom)
    tested = _Tested(kelvin, np.log(values), errors, parameters[1], seed)
    return ArrheniusFit(
        verdict=tested.verdict,
        activation_energy=float(parameters[1]),
        log_prefactor=float(parameters[0]),
        covariance=_square(covariance),
        p_values=tested.p_values,
        break_temperature=tested.break_temperature,
        activation_energies=tested.activation_energies,
        power=tested.power,
        power_break=tested.power_break,
        chi_squared=chi,
        degrees_of_freedom=freedom,
        warnings=(*warnings, *tested.warnings),
        temperatures=tuple(kelvin.tolist()),
        diffusivities=tuple(values.tolist()),
        relative_errors=tuple(errors.tolist()),
        simulated=SIMULATED,
        seed=seed,
    )


def _checked(
    temperatures: ArrayLike, diffusivities: ArrayLike, relative_errors: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Sort by temperature, and refuse what cannot be fitted."""
    kelvin = np.atleast_1d(np.asarray(temperatures, dtype=float))
    values = np.atleast_1d(np.asarray(diffusivities, dtype=float))
    errors = np.atleast_1d(np.asarray(relative_errors, dtype=float))
    if errors.shape == (1,):
        errors = np.repeat(errors, len(kelvin))
    if kelvin.ndim != 1 or not kelvin.shape == values.shape == errors.shape:
        raise TrajectoryError(
            f"{kelvin.size} temperatures, {values.size} diffusivities, {errors.size} "
            "relative errors: as many of each are needed"
        )
    for name, numbers in (
        ("temperatures", kelvin),
        ("diffusivities", values),
        ("relative errors", errors),
    ):
        if not (np.isfinite(numbers) & (numbers > 0)).all():
            raise TrajectoryError(
                f"{name} {numbers.tolist()}: positive numbers are needed; leave out "
                "temperatures without a diffusivity"
            )
    if len(np.unique(kelvin)) < _FEWEST:
        raise TrajectoryError(
            f"{len(np.unique(kelvin))} different temperatures: a line needs {_FEWEST}"
        )
    order = np.argsort(kelvin, kind="stable")
    return kelvin[order], values[order], errors[order]


def _line(
    kelvin: Floats, logarithms: Floats, errors: Floats
) -> tuple[Floats, Floats, float]:
    """Return ln prefactor and energy, their covariance, and chi squared."""
    design = np.stack([np.ones_like(kelvin), -1 / (KB_EV_PER_K * kelvin)], axis=1)
    scaled = design / errors[:, None]
    covariance = np.asarray(np.linalg.inv(scaled.T @ scaled), dtype=float)
    parameters = covariance @ (scaled.T @ (logarithms / errors))
    rest = (logarithms - design @ parameters) / errors
    return parameters, covariance, float(rest @ rest)


def _warnings_on_errors(chi: float, freedom: int) -> list[str]:
    """Say where the scatter contradicts the stated errors."""
    chance = float(chdtrc(freedom, chi))
    numbers = f"chi squared {chi:.3g} with {freedom} degrees of freedom"
    if chance < LEVEL:
        sentence = f"scatter exceeds the stated errors ({numbers}): they are too small,"
        return [f"{sentence} or it is no line; the covariance is scaled up"]
    if chance > _TOO_GOOD:
        return [f"scatter is far below the stated errors ({numbers}): too large"]
    return []


class _Tested:
    """The test of one data set, and what follows from it."""

    def __init__(
        self,
        kelvin: Floats,
        logarithms: Floats,
        errors: Floats,
        energy: float,
        seed: int,
    ) -> None:
        self.verdict: ArrheniusVerdict = "undecided"
        self.p_values: dict[str, float] = {}
        self.break_temperature: float | None = None
        self.activation_energies: tuple[float, float] | None = None
        self.power = 0.0
        middle = (1 / kelvin[0] + 1 / kelvin[-1]) / 2
        self.power_break = float(1 / middle)
        self.warnings: list[str] = []
        if len(np.unique(kelvin)) < _ENOUGH:
            self.warnings = [f"fewer than {_ENOUGH} temperatures: no break can be seen"]
            return
        self._kelvin, self._logarithms, self._errors = kelvin, logarithms, errors
        self._test, scatter, null, nulls = _simulated(
            tuple(kelvin.tolist()), tuple(errors.tolist()), seed
        )
        found = self._test.evaluate((logarithms / errors)[None])
        each, either = nulls.p_values(self._test.statistics(found))
        self.p_values = dict(zip(KINDS, map(float, each[0]), strict=True))
        self.p_values["any"] = float(either[0])
        self._decide(found, null)
        self._estimate_power(scatter, nulls, energy)

    def _decide(self, found: Found, null: Found) -> None:
        """Choose what fits best, where a straight line is not to be believed."""
        self.verdict = "single"
        if self.p_values["any"] > LEVEL:
            return
        rest, freedom = self._test.rest(found)
        kind = int((rest[0] + 2 * CHOICE).argmin())
        if chdtrc(max(int(freedom[kind]), 1), float(rest[0, kind])) < LEVEL:
            # The stated errors explain no alternative either: only the scatter counts.
            bare = Nulls.of(self._test.statistics(null, trust=1e-9))
            _, chance = bare.p_values(self._test.statistics(found, trust=1e-9))
            if chance[0] > LEVEL:
                self.verdict = "undecided"
                self.warnings.append(
                    "no line, kink, jump or curve explains the scatter: larger errors "
                    "would, and then there is no sign of a break"
                )
                return
        self.verdict = KINDS[kind]  # type: ignore[assignment] # they are among them
        self._break(found, kind)

    def _break(self, found: Found, kind: int) -> None:
        """Note where a kink or a jump is, and the two energies."""
        if KINDS[kind] == "curved":
            return
        test, place = self._test, found.places[0, kind]
        if KINDS[kind] == "jump":
            where = float(test.middles[place])
            parts = (test.x > where, test.x < where)
            low, high = (
                _line(*(each[part] for each in self._data))[0][1] for part in parts
            )
        else:
            where = float(test.knots[place])
            columns = (np.ones_like(test.x), -test.x, -np.maximum(test.x - where, 0))
            design = np.stack(columns, axis=1) / self._errors[:, None]
            target = self._logarithms / self._errors
            high, more = np.linalg.lstsq(design, target, rcond=None)[0][1:]
            low = high + more
        self.break_temperature = 1 / (KB_EV_PER_K * where)
        self.activation_energies = float(low), float(high)

    @property
    def _data(self) -> tuple[Floats, Floats, Floats]:
        """Temperatures, logarithms, errors."""
        return self._kelvin, self._logarithms, self._errors

    def _estimate_power(self, scatter: Floats, nulls: Nulls, energy: float) -> None:
        """Bend the simulated lines: the energy doubles below the middle."""
        test = self._test
        knot = 1 / (KB_EV_PER_K * self.power_break)
        bent = -abs(energy) * np.maximum(test.x - knot, 0) / self._errors
        lines = test.evaluate(scatter[::5] + bent)
        _, chance = nulls.p_values(test.statistics(lines))
        self.power = float((chance <= LEVEL).mean())
        if self.verdict == "single" and self.power < _WEAK:
            self.warnings.append(
                f"an activation energy that doubles below {self.power_break:.0f} K "
                f"would be seen in {self.power:.0%} of such data only"
            )


@lru_cache(maxsize=4)
def _simulated(
    kelvin: tuple[float, ...], errors: tuple[float, ...], seed: int
) -> tuple[BreakTest, Floats, Found, Nulls]:
    """Simulate straight lines once for the same temperatures and errors."""
    test = BreakTest(np.array(kelvin), np.array(errors))
    random = np.random.default_rng(seed)
    scatter = random.standard_normal((SIMULATED, len(errors)))
    null = test.evaluate(scatter)
    return test, scatter, null, Nulls.of(test.statistics(null))


def _square(matrix: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """Write a two by two matrix as tuples."""
    (a, b), (c, d) = matrix.tolist()
    return (a, b), (c, d)

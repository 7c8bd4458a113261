"""Diffusivity, conductivity and Haven ratio of a trajectory, with honest errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.constants import elementary_charge
from scipy.special import stdtrit

from hts_battery.errors import TrajectoryError
from hts_battery.schemas.transport import (
    KB_EV_PER_K,
    Diffusivity,
    Interval,
    StridePoint,
)
from hts_battery.transport.jumps import count_jumps, most_jumps, never_moved
from hts_battery.transport.strides import (
    TOLD_FROM_ZERO,
    Stride,
    plateau,
    strides,
    tensors,
)
from hts_battery.transport.unwrapping import mobile_ways

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from hts_battery.schemas.transport import TransportVerdict
    from hts_battery.transport.unwrapping import Ways

    Floats = NDArray[np.float64]
    Tensor = tuple[tuple[float, float, float], ...]

CM2_PER_S = 0.1
"""One Å²/fs in cm²/s."""

_CM3 = 1e24  # Å³
_FEWEST_JUMPS = 3
_MOVED_SHARE = 0.1  # of the framework, that left its places
_MOVED_LENGTH = 1.0  # Å, root mean square of the framework
_TARGET = 0.3  # relative error
_DIMENSIONS = 3


def diffusivity(  # noqa: PLR0913 - what a trajectory is
    positions: ArrayLike,
    lattices: ArrayLike | None,
    *,
    mobile: Sequence[int],
    time_step: float,
    temperature: float | None = None,
    charges: ArrayLike | None = None,
    jump_length: float = 3.0,
) -> Diffusivity:
    r"""
    Diffusivity, conductivity and Haven ratio of a trajectory.

    The covariance-based estimator is evaluated on strides 1, 2, 4 … frames and read
    where three of them agree. Its error is the larger of the scatter between ions
    and that between blocks in time.

    .. math:: \sigma = \frac{\sum_i z_i^2 e^2}{V k T} D

    Parameters
    ----------
    positions
        Cartesian, frames x atoms x 3, in Å.
    lattices
        One cell (3, 3) or one a frame (frames, 3, 3), in Å: every step is the shortest.
        None: positions are unwrapped already; there is no volume, so no conductivity.
    mobile
        Indices of the ions that move. All other atoms are the framework, whose mean
        motion is subtracted; without framework atoms nothing is.
    time_step
        Between frames, in fs.
    temperature
        In K; without it there is no conductivity.
    charges
        Of the mobile ions, or of all atoms, in elementary charges; 1 if not given.
    jump_length
        Length of a jump in Å, for counting jumps.

    Returns
    -------
    Diffusivity
        In cm²/s and S/cm, each with its 95 % interval, and a verdict.

    Raises
    ------
    TrajectoryError
        Shapes that do not fit, numbers that are not finite or not positive, frames too
        far apart to follow an atom through the periodic images.

    References
    ----------
    C. L. Vestergaard, P. C. Blainey, H. Flyvbjerg, Phys. Rev. E 89, 022726 (2014),
    10.1103/PhysRevE.89.022726.

    Examples
    --------
    >>> random = np.random.default_rng(1)
    >>> steps = random.normal(scale=0.1, size=(4000, 30, 3))
    >>> found = diffusivity(
    ...     np.cumsum(steps, axis=0), None, mobile=range(30), time_step=10.0
    ... )
    >>> low, high = found.tracer_interval
    >>> found.verdict, low < 0.1**2 / 2 / 10 * 0.1 < high
    ('diffusive', True)
    """
    for name, value in (("time_step", time_step), ("jump_length", jump_length)):
        _positive(name, value)
    if temperature is not None:
        _positive("temperature", temperature)
    ways = mobile_ways(positions, lattices, mobile)
    numbers = _charges(charges, mobile, np.shape(positions)[1])
    counts = count_jumps(ways.mobile, jump_length)
    run = _Run(ways, numbers, counts, time_step, temperature, jump_length)
    return run.document()


def _positive(name: str, value: float) -> None:
    """Refuse a number that is not positive and finite."""
    if not (np.isfinite(value) and value > 0):
        raise TrajectoryError(f"{name} {value}: a positive number is needed")


def _charges(charges: ArrayLike | None, mobile: Sequence[int], atoms: int) -> Floats:
    """Return the charges of the mobile ions."""
    ions = len(mobile)
    given = np.atleast_1d(np.asarray(1.0 if charges is None else charges, dtype=float))
    if given.shape == (atoms,):
        given = given[np.asarray(mobile)]
    if given.shape not in {(1,), (ions,)} or not np.isfinite(given).all():
        raise TrajectoryError(
            f"{given.size} charges: one for each of {ions} mobile ions, or of "
            f"{atoms} atoms"
        )
    if not given.any():
        raise TrajectoryError("every charge is zero: no charge is carried")
    return np.broadcast_to(given, (ions,))


class _Run:
    """One trajectory on its way to a document."""

    def __init__(
        self,
        ways: Ways,
        charges: Floats,
        counts: NDArray[np.int64],
        time_step: float,
        temperature: float | None,
        jump_length: float,
    ) -> None:
        self.ways, self.charges, self.jumps = ways, charges, int(counts.sum())
        self.time_step, self.temperature = time_step, temperature
        self.jump_length = jump_length
        self.still = never_moved(counts)
        self.strides = strides(ways.mobile, ~self.still)
        weights = charges / np.sqrt(np.square(charges).sum())
        charge = np.einsum("tik,i->tk", ways.mobile, weights)
        self.collective = strides(charge[:, None])
        self.unit = CM2_PER_S / time_step
        """Of Å² a frame, in cm²/s."""

    def document(self) -> Diffusivity:
        """Read the plateaus and write all of it down."""
        read = plateau(self.strides)
        rms, moved = self._framework()
        verdict, reason = self._verdict(read, moved)
        charge = plateau(self.collective)
        if verdict != "diffusive":
            return self._write(verdict, reason, rms, None, None)
        told = charge is not None and _told(charge)
        return self._write(verdict, reason, rms, read, charge if told else None)

    def _framework(self) -> tuple[float, str]:
        """Return what the framework's atoms did beside its drift, and a complaint."""
        atoms = self.ways.framework
        if not atoms.shape[1]:
            return 0.0, ""
        tenth = max(len(atoms) // 10, 1)
        shift = atoms[-tenth:].mean(axis=0) - atoms[:tenth].mean(axis=0)
        lengths = np.linalg.norm(shift, axis=1)
        rms = float(np.sqrt(np.square(lengths).mean()))
        left = float((lengths > self.jump_length / 2).mean())
        if rms <= _MOVED_LENGTH and left <= _MOVED_SHARE:
            return rms, ""
        return rms, (
            f"the framework moved by {rms:.2f} Å (root mean square), {left:.0%} of its "
            "atoms left their places: it is molten or another phase"
        )

    def _verdict(self, read: Stride | None, moved: str) -> tuple[TransportVerdict, str]:
        """Say what the run allows to say, and why."""
        if moved:
            return "framework moved", moved
        if self.jumps < _FEWEST_JUMPS:
            return "too few jumps", (
                f"{self.jumps} jumps of {self.jump_length:g} Å were seen; "
                f"{_FEWEST_JUMPS} are needed for more than an upper bound"
            )
        if read is None:
            return "not diffusive yet", (
                "no three strides agree: the slope of the mean squared displacement "
                f"still changes with time; longest stride "
                f"{self._longest() * self.time_step:g} fs"
            )
        if not _told(read):
            return "not diffusive yet", (
                f"{self.jumps} jumps, but the slope is not told from zero: ions "
                "jump back, or there are too few"
            )
        return "diffusive", (
            f"strides of {read.length // 4}, {read.length // 2} and {read.length} "
            "frames agree"
        )

    def _longest(self) -> int:
        """Return the longest stride in frames."""
        return self.strides[-1].length if self.strides else 0

    def _bound(self, verdict: TransportVerdict) -> Interval | None:
        """Return what interval is left without a plateau, cm²/s."""
        if verdict == "framework moved":
            return None
        frames, ions, _ = self.ways.mobile.shape
        time = max(frames - 1, 1) * self.time_step
        length = most_jumps(self.jumps) * self.jump_length**2
        bound = length / (6 * ions * time) * CM2_PER_S
        if verdict == "not diffusive yet" and self.strides:
            bound = self.strides[-1].interval[1] * self.unit
        return 0.0, bound

    def _time_needed(self, verdict: TransportVerdict) -> float | None:
        """Return the length of a run that may do, in fs."""
        if verdict in {"diffusive", "framework moved"}:
            return None
        time = (len(self.ways.mobile) - 1) * self.time_step
        known = float(self.jumps)
        if verdict == "not diffusive yet" and self.strides:
            last = self.strides[-1]
            known = max(last.value / last.error, 0) ** 2 if last.error else known
        return time * max(2.0, 1 / (_TARGET**2 * max(known, 0.5)))

    def _write(
        self,
        verdict: TransportVerdict,
        reason: str,
        rms: float,
        read: Stride | None,
        charge: Stride | None,
    ) -> Diffusivity:
        """Write the document."""
        tensor, tensor_error = self._tensor(read)
        haven, haven_interval = _haven(read, charge)
        tracer, tracer_interval = self._in_cm2(read)
        collective, collective_interval = self._in_cm2(charge)
        factor = self._conductivity_factor()
        return Diffusivity(
            verdict=verdict,
            reason=reason,
            tracer=tracer,
            tracer_interval=tracer_interval or self._bound(verdict),
            tensor=tensor,
            tensor_error=tensor_error,
            collective=collective,
            collective_interval=collective_interval,
            conductivity=_times(tracer, factor),
            conductivity_interval=_both_times(tracer_interval, factor),
            charge_conductivity=_times(collective, factor),
            charge_conductivity_interval=_both_times(collective_interval, factor),
            haven_ratio=haven,
            haven_ratio_interval=haven_interval,
            jumps=self.jumps,
            plateau=read.length * self.time_step if read else None,
            collective_plateau=charge.length * self.time_step if charge else None,
            curve=self._curve(),
            time_needed=self._time_needed(verdict),
            ions=self.ways.mobile.shape[1],
            immobile=int(self.still.sum()),
            framework=self.ways.framework.shape[1],
            framework_drift=self.ways.drift,
            framework_displacement=rms,
            frames=len(self.ways.mobile),
            time_step=self.time_step,
            temperature=self.temperature,
            volume=self.ways.volume,
            jump_length=self.jump_length,
        )

    def _in_cm2(self, read: Stride | None) -> tuple[float | None, Interval | None]:
        """Return value and interval in cm²/s."""
        if read is None:
            return None, None
        low, high = read.interval
        return read.value * self.unit, (low * self.unit, high * self.unit)

    def _conductivity_factor(self) -> float | None:
        """Return the conductivity over the diffusivity, S s/cm³."""
        if self.temperature is None or self.ways.volume is None:
            return None
        density = float(np.square(self.charges).sum()) / self.ways.volume
        return nernst_einstein(density, self.temperature)

    def _tensor(self, read: Stride | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the tensor and its standard errors, cm²/s."""
        if read is None:
            return None, None
        each = tensors(self.ways.mobile, read.length)
        trace = np.trace(each.mean(axis=0)) / _DIMENSIONS
        # Averages over blocks and over the run weigh the ends a little differently.
        mean = each.mean(axis=0) * (read.value / trace)
        moving = each[~self.still]
        spread = np.zeros((3, 3))
        if len(moving) > 1:
            spread = moving.std(axis=0, ddof=1) * np.sqrt(len(moving)) / len(each)
        return _rows(mean * self.unit), _rows(spread * self.unit)

    def _curve(self) -> tuple[StridePoint, ...]:
        """Return every stride in cm²/s."""
        return tuple(
            StridePoint(
                stride=one.length,
                time=one.length * self.time_step,
                msd=one.msd,
                tracer=one.value * self.unit,
                tracer_error=one.error * self.unit,
                collective=all_of_it.value * self.unit,
                collective_error=all_of_it.error * self.unit,
            )
            for one, all_of_it in zip(self.strides, self.collective, strict=True)
        )


def nernst_einstein(density: float, temperature: float) -> float:
    """
    Return the conductivity over the diffusivity, in S s/cm³.

    Parameters
    ----------
    density
        Squared charges in a volume, in e²/Å³.
    temperature
        In K.

    Examples
    --------
    >>> round(nernst_einstein(0.01, 300.0) * 1e-8, 6)
    0.00062
    """
    return density * _CM3 * elementary_charge / (KB_EV_PER_K * temperature)


def _told(read: Stride) -> bool:
    """Return whether a diffusivity is told from zero."""
    return read.value > 0 and read.value**2 > TOLD_FROM_ZERO * read.error**2


def _haven(
    read: Stride | None, charge: Stride | None
) -> tuple[float | None, Interval | None]:
    """Return D*/D_sigma; blocks in time left out one by one give the interval."""
    if read is None or charge is None:
        return None, None
    blocks = min(len(read.cells), len(charge.cells))
    tracer, collective = (
        _left_out(one.cells.mean(axis=1), blocks) for one in (read, charge)
    )
    if min(tracer.min(), collective.min()) <= 0:
        return read.value / charge.value, None
    logarithms = np.log(tracer / collective)
    error = np.sqrt((blocks - 1) * logarithms.var())
    width = np.exp(float(stdtrit(blocks - 1, 0.975)) * error)
    ratio = read.value / charge.value
    return ratio, (float(ratio / width), float(ratio * width))


def _left_out(values: Floats, blocks: int) -> Floats:
    """Return means with one block in time left out."""
    parts = np.array([part.mean() for part in np.array_split(values, blocks)])
    return np.asarray((parts.sum() - parts) / (blocks - 1))


def _times(value: float | None, factor: float | None) -> float | None:
    """Multiply what is known."""
    return None if value is None or factor is None else value * factor


def _both_times(value: Interval | None, factor: float | None) -> Interval | None:
    """Multiply both ends."""
    if value is None or factor is None:
        return None
    return value[0] * factor, value[1] * factor


def _rows(values: Floats) -> Tensor:
    """Write a matrix as tuples."""
    return tuple((float(a), float(b), float(c)) for a, b, c in values)

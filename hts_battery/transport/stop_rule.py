"""When a run of molecular dynamics is long enough, and when it never will be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hts_battery.schemas.dynamics import FS_PER_PS

if TYPE_CHECKING:
    from hts_battery.schemas.dynamics import DynamicsOptions, RunEnding
    from hts_battery.schemas.transport import Diffusivity

_ROUNDING = 1e-9


class Ending(NamedTuple):
    """Why a run ends, in a word and in a sentence."""

    kind: RunEnding
    reason: str


def ending(found: Diffusivity, options: DynamicsOptions) -> Ending | None:
    """
    Say why a run ends with what it has sampled; None if another chunk is worth it.

    A relative error falls with the root of the length of the run.

    Parameters
    ----------
    found
        What all frames so far say.
    options
        Target, budget.

    Examples
    --------
    >>> from hts_battery.schemas.dynamics import DynamicsOptions
    >>> from hts_battery.transport import diffusivity
    >>> steps = np.random.default_rng(1).normal(scale=0.2, size=(2000, 20, 3))
    >>> run = diffusivity(steps.cumsum(axis=0), None, mobile=range(20), time_step=20.0)
    >>> ending(run, DynamicsOptions(target_error=0.2)).kind
    'target reached'
    """
    spent = (found.frames - 1) * found.time_step / FS_PER_PS
    if found.verdict == "framework moved":
        return Ending("framework moved", found.reason)
    error, target = found.standard_error, options.target_error
    if error <= target:
        return Ending(
            "target reached",
            f"error {error:.0%} after {spent:g} ps, {target:.0%} asked",
        )
    needed = time_for(found, target)
    words = f"{spent:g} ps of {options.budget:g} ps; about {needed:.3g} ps are needed"
    if spent >= options.budget * (1 - _ROUNDING):
        return Ending("budget spent", words)
    if spent >= options.budget / 2 and needed > options.hopeless * options.budget:
        return Ending("hopeless", words)
    return None


def time_for(found: Diffusivity, target: float) -> float:
    """
    Return the length of a run that may reach a relative standard error, in ps.

    Of a run without a diffusivity it is what the run itself says it needs, for an error
    of 30 %, and the target more.
    """
    spent = (found.frames - 1) * found.time_step
    if np.isfinite(found.standard_error):
        return float(spent * (found.standard_error / target) ** 2 / FS_PER_PS)
    needed = found.time_needed or 2 * spent
    return float(needed * max(1.0, (0.3 / target) ** 2) / FS_PER_PS)

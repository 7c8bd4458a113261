"""When a run ends: every rule with a run that it is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hts_battery.schemas.dynamics import DynamicsOptions
from hts_battery.transport import diffusivity
from hts_battery.transport.stop_rule import ending, time_for

if TYPE_CHECKING:
    from hts_battery.schemas.transport import Diffusivity


def walk(frames: int, *, chance: float = 1.0, seed: int = 0) -> Diffusivity:
    """20 ions, frames of 100 fs; a jump of 3 Å along an axis with some chance."""
    random = np.random.default_rng(seed)
    jumps = random.random((frames, 20, 3)) < chance / 3
    steps = 3.0 * jumps * random.choice([-1, 1], jumps.shape)
    places = steps.cumsum(axis=0) + 0.2 * random.normal(size=jumps.shape)
    return diffusivity(places, None, mobile=range(20), time_step=100.0)


def options(budget: float, **more: float) -> DynamicsOptions:
    return DynamicsOptions.model_validate({"budget": budget, "chunk": 1.0, **more})


def test_the_target_ends_a_run() -> None:
    found = walk(500, chance=0.1)
    end = ending(found, options(1000.0, target_error=0.2))
    assert end is not None
    assert end.kind == "target reached"
    assert ending(found, options(1000.0, target_error=0.02)) is None


def test_the_budget_ends_a_run() -> None:
    found = walk(500, chance=0.01)
    end = ending(found, options(49.9, target_error=0.01))
    assert end is not None
    assert end.kind == "budget spent"
    assert "ps are needed" in end.reason


def test_a_hopeless_run_ends_half_way() -> None:
    still = walk(500, chance=0.0)
    assert still.verdict == "too few jumps"
    assert ending(still, options(120.0)) is None
    end = ending(still, options(60.0))
    assert end is not None
    assert end.kind == "hopeless"
    assert ending(still, options(60.0, hopeless=1000.0)) is None


def test_a_molten_framework_ends_a_run() -> None:
    random = np.random.default_rng(0)
    places = random.normal(scale=0.3, size=(400, 20, 3)).cumsum(axis=0)
    found = diffusivity(places, None, mobile=range(5), time_step=100.0)
    end = ending(found, options(1000.0))
    assert end is not None
    assert end.kind == "framework moved"


@pytest.mark.parametrize("target", [0.3, 0.1])
def test_the_time_that_is_needed_holds(target: float) -> None:
    """A run as long as that has about the error asked for."""
    short = walk(1000, chance=0.005, seed=3)
    needed = time_for(short, target)
    longer = walk(int(needed * 10), chance=0.005, seed=4)
    assert longer.standard_error == pytest.approx(target, rel=0.6)

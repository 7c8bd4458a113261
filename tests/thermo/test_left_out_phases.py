from __future__ import annotations

from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.thermo import Hull
from hts_battery.thermo.left_out_phases import left_out_phases

NAMES = ("Li-bcc", "Mn-alpha", "O2", "Li2O", "MnO", "MnO-2", "LiMnO2")
FORMULAS = ("Li", "Mn", "O2", "Li2O", "MnO", "MnO", "LiMnO2")
ENERGIES = (0.0, 0.0, 0.0, -2.0, -1.95, -1.94, -2.1)


@pytest.fixture
def hull() -> Hull:
    return Hull(FORMULAS, ENERGIES, ids=NAMES)


def products(
    hull: Hull, formula: str, exclude: tuple[str, ...] = ()
) -> dict[str, float]:
    return dict(hull.decomposition(formula, exclude=exclude).phases)


def test_another_form_takes_the_place_of_a_phase(hull: Hull) -> None:
    phases = products(hull, "LiMn2O3", exclude=("LiMnO2",))
    assert "MnO" in phases
    found = {
        one.phase_id: one
        for one in left_out_phases(
            hull, "LiMn2O3", -1.7, phases=phases, exclude=("LiMnO2",)
        )
    }
    monoxide = found["MnO"]
    assert monoxide.decomposition["MnO"] == pytest.approx(phases["MnO"])
    assert monoxide.energy_above_hull is not None
    assert monoxide.energy_above_hull_without_composition is not None
    assert monoxide.energy_above_hull > monoxide.energy_above_hull_without_composition
    assert monoxide.stable_without is False


def test_an_only_source_of_an_element_cannot_go() -> None:
    hull = Hull(["Li", "O2", "Li2O"], [0, 0, -2.0])
    found = left_out_phases(hull, "Li3O", -1.0, phases={"Li": 0.25, "Li2O": 0.75})
    lithium, oxide = found
    assert lithium.energy_above_hull is None
    assert lithium.stable_without is None
    assert "Li" in str(lithium.reason)
    assert oxide.reason is None
    assert oxide.stable_without is True


def test_entropy_counts_and_a_stable_candidate_needs_nothing(hull: Hull) -> None:
    phases = products(hull, "Li3Mn5O9")
    cold = left_out_phases(hull, "Li3Mn5O9", -1.9, phases=phases)
    hot = left_out_phases(hull, "Li3Mn5O9", -1.9, phases=phases, entropy_term=-0.5)
    for before, after in zip(cold, hot, strict=True):
        assert after.least_error == 0
        if before.energy_above_hull is not None:
            assert isclose(after.energy_above_hull or 0, before.energy_above_hull - 0.5)


def test_a_product_that_is_no_reference_is_not_in_the_table(hull: Hull) -> None:
    found = left_out_phases(hull, "LiMnO2", -2.0, phases={"candidate:x": 1.0})
    assert found == ()


@given(
    st.lists(st.floats(-2.5, 0), min_size=4, max_size=4),
    st.floats(-2.5, 0),
)
def test_no_smaller_error_makes_it_stable(energies: list[float], own: float) -> None:
    """The bound of the docstring: a phase raised by less leaves it above the hull."""
    formulas = ["Li", "O2", "Mn", "Li2O", "MnO", "Li2MnO3", "LiMnO2"]
    known = [0.0, 0.0, 0.0, *energies]
    hull = Hull(formulas, known)
    mixture = hull.decomposition("Li4Mn3O8")
    above = own - mixture.energy
    for one in left_out_phases(hull, "Li4Mn3O8", own, phases=mixture.phases):
        assert one.least_error is not None
        raised = np.array(known)
        raised[formulas.index(one.phase_id)] += 0.99 * one.least_error
        after = own - Hull(formulas, raised).decomposition("Li4Mn3O8").energy
        assert after > -1e-9 or above <= 0
        if one.energy_above_hull is not None:
            assert one.energy_above_hull <= above + 1e-9
            assert one.stable_without == (one.energy_above_hull <= 0)

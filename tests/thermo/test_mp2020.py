"""Where oxidation states decide a correction, and where they do not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from hts_battery.thermo.mp2020 import check_potentials, mp2020_adjustments
from hts_battery.thermo.vasp_corrections import VaspEnergy, correct_vasp_energies

U = {"V": 3.25, "Cr": 3.7, "Mn": 3.9, "Fe": 5.3, "Co": 3.32, "Ni": 6.2, "Mo": 4.38}
OXIDE, IRON, FLUORINE, NITROGEN = -0.687, -2.256, -0.462, -0.361


def stateless(formula: str, **changes: object) -> VaspEnergy:
    elements = {el.symbol for el in Composition(formula).elements}
    hubbards = U if elements & {"O", "F"} else {}
    given: dict[str, object] = {
        "entry_id": formula,
        "formula": formula,
        "energy": -10.0,
        "run_type": "GGA+U" if elements & set(U) and hubbards else "GGA",
        "hubbards": {one: hubbards[one] for one in elements & set(hubbards)},
    } | changes
    return VaspEnergy(**given)  # type: ignore[arg-type]


def total(energy: VaspEnergy) -> float:
    return sum(one.value for one in mp2020_adjustments(energy))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Li6P2", 0.0),
        ("Fe4P4", 0.0),
        ("Li40Fe8O32", 32 * OXIDE + 8 * IRON),
        ("Li12P12O36", 36 * OXIDE),
        # No guess is found, and none is needed.
        ("Fe23Li1O32", 32 * OXIDE + 23 * IRON),
        ("Li2F2", 2 * FLUORINE),
        ("Fe2O1F4", OXIDE + 4 * FLUORINE + 2 * IRON),
        # A cation beside oxygen, whether stated or not.
        ("Li4Si1O4", 4 * OXIDE),
        ("Li1N1O3", 3 * OXIDE),
        ("Li1O1H1", OXIDE),
        # The most electronegative element is the anion.
        ("Mg2Si1", 0.071),
        ("Li3N1", NITROGEN),
        ("Li2S1", -0.503),
        ("Na1B1H4", 4 * -0.179),
    ],
)
def test_what_depends_on_no_state_is_corrected_without(
    formula: str, expected: float
) -> None:
    assert total(stateless(formula)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("N1H4Cl1", "N"),  # nitride beside chloride, or ammonium that MP2020 corrects
        ("Mg1S1O4", "S"),
        ("Mn1O1Cl1", "Cl"),
    ],
)
def test_what_depends_on_a_state_says_so(formula: str, names: str) -> None:
    (rejected,) = correct_vasp_energies([stateless(formula)]).rejected
    assert "state them in data.oxidation_states" in rejected.reason
    assert names in rejected.reason


def test_a_state_that_cannot_be_guessed_and_matters_is_asked_for() -> None:
    # Too many sites for a guess; without one nothing tells what silicon is.
    energy = stateless("Li7Si5O19")
    with pytest.raises(ValueError, match="the correction of Si depends on"):
        mp2020_adjustments(energy)


def test_missing_states_are_flagged_and_stated_ones_are_used() -> None:
    (bare,) = correct_vasp_energies([stateless("Li4O2")]).used
    assert "oxidation_states_not_stated" in bare.flags
    assert "oxidation_states_not_neutral" not in bare.flags
    stated = {"N": -3.0, "H": 1.0, "Cl": -1.0}
    (said,) = correct_vasp_energies(
        [stateless("N1H4Cl1", oxidation_states=stated)]
    ).used
    assert "oxidation_states_not_stated" not in said.flags
    assert sum(one.value for one in said.adjustments) == pytest.approx(-0.361 - 0.614)


@pytest.mark.parametrize(
    ("kind", "expected"), [("sulfate", 4 * OXIDE), ("sulfide", 4 * OXIDE - 0.503)]
)
def test_a_stated_kind_of_sulfur_decides_where_states_are_none(
    kind: str, expected: float
) -> None:
    # With the guess S6+ a sulfate; only a statement of sulfate agrees with it.
    energy = stateless("Mg1S1O4", sulfide_type=kind)
    if kind == "sulfide":
        with pytest.raises(ValueError, match="depends on them"):
            mp2020_adjustments(energy)
    else:
        assert total(energy) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=4, max_size=4))
def test_oxides_of_metals_and_phosphorus_need_no_states(amounts: list[int]) -> None:
    lithium, iron, phosphorus, oxygen = amounts
    formula = f"Li{lithium}Fe{iron}P{phosphorus}O{oxygen}"
    expected = oxygen * OXIDE + iron * IRON
    assert total(stateless(formula)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hubbards": {}}, "U value of Fe is 0 eV, .* it is 5.3 eV"),
        ({"run_type": "GGA"}, "run type GGA, but a U is stated"),
        ({"oxide_type": "mixed"}, "oxide type 'mixed' is none of"),
    ],
)
def test_settings_that_the_scheme_was_not_fitted_to_are_refused(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        mp2020_adjustments(stateless("Fe2O3", **changes))


def test_pseudopotentials_are_named_when_they_are_others() -> None:
    check_potentials({"Li_sv", "O"}, Composition("Li2O"))
    with pytest.raises(ValueError, match=r"pseudopotentials Li, O, .* Li_sv, O"):
        check_potentials({"Li", "O"}, Composition("Li2O"))

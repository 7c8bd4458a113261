from __future__ import annotations

from fractions import Fraction
from math import isnan
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError
from hts_battery.learning import composition_descriptors
from hts_battery.learning.descriptors import neutral_species, species_without_radius
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species

if TYPE_CHECKING:
    import pandas as pd


def test_a_mixture_by_hand() -> None:
    found = composition_descriptors("Na2MgTi(SO4)(PO4)2")  # 0.72 and 0.605 angstrom
    assert found["metal_radius_mean"] == pytest.approx(0.6625, abs=1e-12)
    assert found["metal_radius_spread"] == pytest.approx(0.0575, abs=1e-12)
    assert found["metal_radius_range"] == pytest.approx(0.115, abs=1e-12)
    assert found["metal_electronegativity_mean"] == pytest.approx(1.425, abs=1e-12)
    assert found["metal_charge_spread"] == 1.0
    assert found["polyanion_charge_spread"] == pytest.approx(2**0.5 / 3)
    assert found["polyanion_electronegativity_spread"] == pytest.approx(
        (2.58 - 2.19) * 2**0.5 / 3
    )
    assert found["carrier_amount"] == 2.0


def test_amounts_are_for_twelve_oxygen_and_exact() -> None:
    one, other = (
        composition_descriptors("Na6Hf3MgSi2(PO6)4"),
        composition_descriptors(
            {
                "Na": Fraction(3),
                "Hf": Fraction(3, 2),
                "Mg": Fraction(1, 2),
                "Si": 1,
                "P": 2,
            }
            | {"O": Fraction(12)}
        ),
    )
    assert one == other
    # Twenty-one rows of the published table are exactly 1.55: none may fall below.
    assert composition_descriptors("ZrIn(PO4)3Na2")["metal_electronegativity_mean"] == (
        1.555
    )


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_formula_written_larger_is_the_same(sodium: int, times: int) -> None:
    formula = {"Na": Fraction(sodium, 40), "Zr": 2, "Si": Fraction(sodium, 40)} | {
        "P": 3 - Fraction(sodium, 40),
        "O": 12,
    }
    formula["Na"] = Fraction(1) + formula["Si"]
    larger = {element: amount * times for element, amount in formula.items()}
    assert composition_descriptors(formula) == composition_descriptors(larger)


@pytest.mark.physics
def test_columns_of_the_published_table(
    published: pd.DataFrame, nasicon: pd.DataFrame
) -> None:
    """782 rows were computed from truncated amounts; all others are met."""
    ours = {
        "RDiffLst": nasicon.metal_radius_range,
        "RDiffStdLst": nasicon.metal_radius_spread,
        "RDiffNaLst": nasicon.metal_radius_mean - 1.02,
        "EleNegStdLst": nasicon.metal_electronegativity_spread,
        "XWithNaLst": nasicon.metal_electronegativity_mean - 0.93,
        "ChgStdLst": nasicon.metal_charge_spread,
        "AnionChgStdLst": nasicon.polyanion_charge_spread,
        "AnionXStdLst": nasicon.polyanion_electronegativity_spread,
        "NNaLst": nasicon.carrier_amount,
    }
    wrong = np.zeros(len(published), dtype=bool)
    for name, values in ours.items():
        differs = (published[name] - values).abs().to_numpy() > 1e-6
        if name in ("RDiffLst", "RDiffNaLst", "XWithNaLst", "NNaLst"):
            assert not differs.any()
        wrong |= differs
    assert wrong.sum() == 782


def test_oxidation_states_follow_the_potentials() -> None:
    def species(text: str) -> dict[str, Fraction]:
        return neutral_species(parse_formula(text))

    assert species("LiNi0.5Mn0.5O2")["Mn4+"] == Fraction(1, 2)
    assert species("LiFePO4") == {"Li+": 1, "P5+": 1, "O2-": 4, "Fe2+": 1}
    assert species("Li2Fe3O4F2")["Fe2+"] + species("Li2Fe3O4F2")["Fe3+"] == 3
    assert "S2-" in species("LiTiS2")
    assert "S6+" in species("Li2SO4")
    assert species("PbO2")["Pb4+"] == 1  # not in the species table
    for text in ("LiO", "Na5ZrO2", "HeO"):
        with pytest.raises(CompositionError, match=r"neutral|oxidation state"):
            species(text)


@given(
    st.dictionaries(
        st.sampled_from(["Li", "Mg", "Ti", "V", "Mn", "Fe", "Co", "Ni", "Nb", "Mo"]),
        st.integers(1, 30),
        min_size=2,
    ),
    st.integers(1, 60),
)
def test_states_add_up_and_keep_the_elements(metals: dict[str, int], o: int) -> None:
    amounts = {one: Fraction(n, 10) for one, n in metals.items()} | {
        "O": Fraction(o, 10)
    }
    try:
        found = neutral_species(amounts)
    except CompositionError:
        return
    assert sum(parse_species(one).charge * n for one, n in found.items()) == 0
    for element, amount in amounts.items():
        held = [n for one, n in found.items() if parse_species(one).element == element]
        assert sum(held) == amount
        assert min(held) > 0


def test_what_has_no_value_is_said() -> None:
    ferrate = {"Na+": Fraction(2), "Fe6+": Fraction(1), "O2-": Fraction(4)}
    found = composition_descriptors(ferrate)
    assert isnan(found["metal_radius_mean"])
    assert isnan(found["metal_radius_range"])
    assert found["metal_electronegativity_mean"] == 1.83
    assert species_without_radius(ferrate) == ("Fe6+",)
    assert species_without_radius({"Mn3+": 1, "O2-": Fraction(3, 2)}) == ()
    borate = composition_descriptors("LiFeBO3")  # boron is no metal
    assert borate["metal_radius_mean"] == pytest.approx(0.78)
    lithia = composition_descriptors("Li2O")
    assert isnan(lithia["metal_radius_mean"])
    assert lithia["polyanion_charge_spread"] == 0.0
    with pytest.raises(CompositionError, match="no oxygen"):
        composition_descriptors("LiTiS2")
    with pytest.raises(CompositionError, match="not an element"):
        composition_descriptors("Xx2O3")


def test_species_are_taken_as_they_are_given() -> None:
    mixed = composition_descriptors(
        {"Li+": Fraction(13, 10), "Mn2+": Fraction(1, 10), "Mn3+": Fraction(1, 10)}
        | {"O2-": Fraction(2)}
    )
    assert mixed["metal_charge_spread"] == 0.5
    assert mixed["metal_radius_range"] == pytest.approx(0.83 - 0.645)
    assert mixed["metal_electronegativity_spread"] == 0.0

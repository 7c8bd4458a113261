"""Capacity from the composition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.electrochemistry import capacity
from hts_battery.electrochemistry.capacities import ABOVE_CEILING
from hts_battery.electrochemistry.carriers import other_alkali, table_rows
from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import ELEMENTS

if TYPE_CHECKING:
    from fractions import Fraction


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "carrier", "metal"),
    [
        ("Li1.2Mn0.4Ti0.4O2", 394.865, 131.622),
        ("Li2MnO2F", 447.373, 223.686),
        ("Li2Mn2/3Nb1/3O2F", 404.632, 269.755),
        ("LiCoO2", 273.839, 273.839),
        ("LiFePO4", 169.891, 169.891),
        ("Li2MnO3", 458.858, 0.0),
        ("Li1.211Mo0.467Cr0.3O2", 321.967, 321.967),
    ],
)
def test_known_cathodes(formula: str, carrier: float, metal: float) -> None:
    """Theoretical capacities as papers give them, by hand from masses."""
    found = capacity(formula)
    assert found.carrier == pytest.approx(carrier, abs=5e-4)
    assert found.metal_redox == pytest.approx(metal, abs=5e-4)
    assert found.oxygen_redox == pytest.approx(carrier - metal, abs=1e-3)
    assert found.flags == ()


def test_the_conservative_table_keeps_chromium_at_three() -> None:
    formula = "Li1.211Mo0.467Cr0.3O2"
    conservative = capacity(formula, ceilings="conservative")
    assert conservative.metal_redox == pytest.approx(242.738, abs=5e-4)
    assert conservative.carrier == capacity(formula).carrier
    different = {
        row["element"]
        for row in table_rows("ceilings.csv")
        if row["reachable"] != row["conservative"]
    }
    assert different == {"Cr", "Fe", "Cu"}


def test_of_another_carrier() -> None:
    assert capacity("Na3V2(PO4)3", "Na").carrier == pytest.approx(176.416, abs=5e-4)
    # Lithium stays inside where sodium moves, but gave its electron all the same.
    mixed = capacity("NaLiMnO2", "Na")
    assert (mixed.carriers, mixed.electrons) == (1, 4 + 2 - 4)
    # Two electrons an ion.
    assert capacity("MgMn2O4", "Mg").carriers == 2
    assert other_alkali("NaLiMnO2", "Na") == ("Li",)
    assert other_alkali("NaMnO2", "Na") == ()


def test_a_valence_above_its_ceiling_is_flagged_and_gives_no_electron() -> None:
    found = capacity("LiFeO2", ceilings={"Fe": 2})
    assert (found.electrons, found.flags) == (-1, (ABOVE_CEILING,))
    assert found.metal_redox == 0
    assert found.oxygen_redox == found.carrier > 0


def test_an_own_table_replaces_what_it_names() -> None:
    assert capacity("LiFeO2", ceilings={"Fe": 3}).electrons == 0
    assert capacity("LiFeO2", ceilings={"Fe": 3}).ceilings == "own"
    assert capacity("LiTiS2", ceilings={"S": -2}).electrons == 1


def test_without_carriers_it_is_zero() -> None:
    found = capacity("FePO4")
    assert (found.carrier, found.metal_redox, found.oxygen_redox) == (0, 0, 0)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("LiKrO2", "LiKrO2: no highest charge of Kr in the table 'reachable'"),
        ("Li2S", "Li2S holds no anion of the table 'reachable'"),
        ("Li3", "Li3 holds no anion"),
    ],
)
def test_what_the_table_does_not_know_is_named(formula: str, message: str) -> None:
    with pytest.raises(CompositionError, match=message):
        capacity(formula)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="carrier 'Fe': give one of Li, Na"):
        capacity("LiFePO4", "Fe")
    with pytest.raises(ValueError, match="'high': give reachable or conservative"):
        capacity("LiFePO4", ceilings="high")
    with pytest.raises(ValueError, match="'Xx' is no element"):
        capacity("LiFePO4", ceilings={"Xx": 3})
    with pytest.raises(ValueError, match=r"ceiling of Fe is 2\.5: give a whole number"):
        capacity("LiFePO4", ceilings={"Fe": 2.5})  # type: ignore[dict-item] - wrong


def test_the_tables_name_elements_once_each_with_a_source() -> None:
    rows = table_rows("ceilings.csv")
    named = [row["element"] for row in rows]
    assert len(set(named)) == len(named)
    assert ELEMENTS.issuperset(named)
    assert all(row["source"] in {"G", "S", "C", "E"} for row in rows)
    assert all(int(row["conservative"]) <= int(row["reachable"]) for row in rows)


AMOUNTS = st.fractions(0, 3, max_denominator=60)


@given(
    st.dictionaries(st.sampled_from(["Li", "Mn", "Ti", "Cr", "Mo", "P"]), AMOUNTS),
    st.integers(1, 7),
)
def test_multiples_of_a_formula_have_one_capacity(
    amounts: dict[str, Fraction], units: int
) -> None:
    one = "".join(f"{el}{n}" for el, n in amounts.items()) + "O2F1"
    many = "".join(f"{el}{n * units}" for el, n in amounts.items())
    many += f"O{2 * units}F{units}"
    first, second = capacity(one), capacity(many)
    assert second.electrons == units * first.electrons
    assert second.metal_redox == pytest.approx(first.metal_redox, rel=1e-12)
    assert first.carrier == pytest.approx(first.metal_redox + first.oxygen_redox)
    assert 0 <= first.metal_electrons <= first.carriers

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.formula import ELEMENTS
from hts_battery.schemas.species import VACANCY, Species, parse_species
from hts_battery.schemas.species_table import (
    METAL_ROLES,
    Spin,
    octahedral_spin_state,
    read_species_table,
    species_properties,
    species_table,
)


@given(
    st.sampled_from(sorted(ELEMENTS)), st.integers(-9, 9).filter(lambda charge: charge)
)
def test_species_come_back(element: str, charge: int) -> None:
    species = Species(element, charge)
    assert parse_species(str(species)) == species


@pytest.mark.parametrize("text", ["Mn", "Mn3", "3+", "Xx2+", "Mn0+", "Mn+3", "", "vac"])
def test_what_is_no_species_is_refused(text: str) -> None:
    with pytest.raises(CompositionError, match="is not a species"):
        parse_species(text)


def test_a_vacancy_has_no_charge() -> None:
    assert parse_species(VACANCY) == Species(VACANCY, 0)
    assert species_properties(VACANCY).role is None


def test_the_table_covers_twenty_metals_and_is_consistent() -> None:
    table = species_table()
    metals = {one.element for one in table.values() if one.role in METAL_ROLES}
    assert len(metals) >= 20
    ranks: dict[str, list[int]] = {}
    for text, one in table.items():
        assert str(parse_species(text)) == text
        assert one.source
        if one.role in METAL_ROLES:
            ranks.setdefault(one.element, []).append(one.preference)
    for found in ranks.values():
        assert len(set(found)) == len(found)
        assert 0 in found


@pytest.mark.parametrize(
    ("species", "spin", "unpaired"),
    [
        ("Mn2+", "high", 5), ("Mn3+", "high", 4), ("Mn4+", None, 3),
        ("Co2+", "high", 3), ("Co3+", "low", 0), ("Ni2+", None, 2),
        ("Ni3+", "low", 1), ("Ni4+", "low", 0), ("Fe3+", "high", 5),
        ("Cr3+", None, 3), ("Ti4+", None, 0), ("Nb5+", None, 0), ("V3+", None, 2),
    ],
)  # fmt: skip
def test_octahedral_spin_states(species: str, spin: str | None, unpaired: int) -> None:
    found = species_properties(species)
    assert (found.spin, found.unpaired_electrons) == (spin, unpaired)


def test_unpaired_electrons_agree_with_the_crystal_field_of_pymatgen() -> None:
    from pymatgen.core import Species as Ion  # noqa: PLC0415 - slow to import

    checked = 0
    for one in species_table().values():
        ion = Ion(one.element, one.charge)
        # pymatgen knows the 3d and 4d metals with electrons in their outer s shell.
        known = ion.is_transition_metal and ion.Z < 48 and one.element != "Pd"
        if one.role not in METAL_ROLES or not known:
            continue
        spin = ion.get_crystal_field_spin(spin_config=one.spin or "high")
        assert spin == one.unpaired_electrons, one
        checked += 1
    assert checked > 30


def test_a_double_entry_is_refused() -> None:
    table = "species,role,spin,unpaired_electrons,preference,source\nMn3+,,,4,0,x\n"
    assert read_species_table(table)["Mn3+"].role is None
    with pytest.raises(SpecError) as caught:
        read_species_table(f"{table}# again\nMn3+,,,4,0,y\n", name="mine.csv")
    assert str(caught.value) == (
        "mine.csv:4: species: Mn3+ stands in this table twice: leave one of them out"
    )


HEADING = "species,role,spin,unpaired_electrons,preference,source"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("", f"nothing stands in this table: its heading is {HEADING},potential"),
        (
            f"{HEADING},moment\nMn3+,,,4,0,x,4",
            (
                f"1: moment: no such field here; check its spelling: there are "
                f"{HEADING.replace(',', ', ')}, potential"
            ),
        ),
        (
            HEADING.replace("unpaired_electrons", "unpairedElectrons"),
            "1: unpairedElectrons: no such field here: write unpaired_electrons",
        ),
        (
            "species,role\nMn3+,anion",
            (
                "1: the columns spin, unpaired_electrons, preference, source are missing: "
                f"the heading is {HEADING},potential"
            ),
        ),
        (f"{HEADING},role\n", "1: role: this column stands here twice"),
        (
            HEADING.replace(",", ";"),
            "1: the columns of this table are separated by commas",
        ),
        (
            f"{HEADING}\nMn3+,redox center,low,2,0,x",
            (
                "2: role: 'redox center' is none of charge carrier, redox centre, charge "
                "compensator, polyanion centre, anion: write redox centre"
            ),
        ),
        (
            f"{HEADING}\nMn3+,,LS,2,0,x",
            "2: spin: 'LS' is none of high, low",
        ),
        (f"{HEADING}\nMn+3,,,4,0,x", "2: species: 'Mn+3' is not a species: write Mn3+"),
        (
            f"{HEADING}\nMn3+,,,-4,0,x",
            "2: unpaired_electrons: '-4' is too small: it must be at least 0",
        ),
        (
            f"{HEADING}\nMn3+,,,4,0,by me, and you",
            (
                "2: 7 cells stand here, and 6 in the heading: put what holds a comma in "
                "quotation marks"
            ),
        ),
        (
            f"{HEADING},potential\nMn3+,,,4,0,x,1.5 V",
            (
                "2: potential: '1.5 V' is not a whole number: write 1500 (in mV, without "
                "the unit)"
            ),
        ),
        (f'{HEADING}\n"Mn3+,,,4,0,x', "2: not a table: unexpected end of data"),
    ],
)
def test_a_wrong_table_is_answered_with_line_and_column(table: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_species_table(table)
    assert str(caught.value) == says


@pytest.mark.parametrize("spin", ["high", "low"])
def test_both_spin_states_agree_with_the_crystal_field_of_pymatgen(spin: Spin) -> None:
    from pymatgen.core import Species as Ion  # noqa: PLC0415 - slow to import

    checked = 0
    for element in ("V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu"):
        for charge in range(1, 6):
            text = f"{element}{charge if charge > 1 else ''}+"
            try:
                state = octahedral_spin_state(text, spin)
            except CompositionError:
                continue
            expected = Ion(element, charge).get_crystal_field_spin(spin_config=spin)
            assert state.unpaired_electrons == expected, text
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("species", ["Li+", "Ti4+", "Mn4+", "Ni2+", "O2-", "Zn2+"])
def test_a_spin_without_choice_is_refused(species: str) -> None:
    with pytest.raises(CompositionError, match=r"no high and low spin state"):
        octahedral_spin_state(species, "high")

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.schemas.species_table import species_table
from hts_battery.schemas.structure import MagneticOrder
from hts_battery.structures import generate_orderings
from hts_battery.structures.decoration import species_signs, starting_moments

if TYPE_CHECKING:
    from hts_battery.schemas.candidate import Candidate

MAGNETIC = sorted(k for k, p in species_table().items() if p.unpaired_electrons)
FERRI = MagneticOrder.FERRIMAGNETIC


@pytest.mark.physics
def test_spin_states_are_those_of_octahedral_sites() -> None:
    species = ["Mn2+", "Fe3+", "Cr3+", "Co2+", "Co3+", "Ni2+", "Ni3+", "Ti4+", "Vac"]
    assert starting_moments(species) == (5, 5, 3, 3, 0, 2, 1, 0, 0)


def test_another_spin_state_takes_the_place_of_the_tables() -> None:
    species = ["Co3+", "Ni3+", "Mn3+"]
    moments = starting_moments(species, overrides={"Co3+": 4, "Ni3+": 3, "Fe2+": 0})
    assert moments == (4, 3, 4)


def test_a_negative_number_of_electrons_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Co3\+ must not be negative"):
        starting_moments(["Co3+"], overrides={"Co3+": -4})


def test_the_rule_makes_the_moment_of_the_cell_small() -> None:
    cell = ["Mn3+"] * 4 + ["Cr3+"] * 2 + ["Fe3+"] * 2 + ["Li+"] * 12
    moments = starting_moments(cell, order=FERRI)
    # 16 against 6 + 10: the smallest there is.
    assert sum(moments) == 0
    assert moments[0] == -moments[6] / 5 * 4
    assert {abs(m) for m in moments} == {4, 3, 5, 0}


def test_one_magnetic_species_cannot_be_reversed() -> None:
    cell = ["Mn3+", "Ti4+", "Mn3+", "O2-"]
    assert starting_moments(cell, order=FERRI) == starting_moments(cell)


def test_nothing_magnetic_has_no_signs() -> None:
    assert species_signs({"Li+": 0, "O2-": 0}) == {}
    assert starting_moments(["Li+", "F-"], order=FERRI) == (0, 0)


@given(
    st.dictionaries(
        st.sampled_from([*MAGNETIC, "Li+", "Ti4+", "Vac"]),
        st.integers(1, 8),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(MagneticOrder),
    st.integers(0, 1000),
)
def test_every_ordering_of_a_composition_starts_in_one_magnetic_state(
    counts: dict[str, int], order: MagneticOrder, seed: int
) -> None:
    cell = [k for k, n in counts.items() for _ in range(n)]
    shuffled = list(cell)
    Random(seed).shuffle(shuffled)  # noqa: S311 - a shuffle, no secret
    by_species = dict(zip(cell, starting_moments(cell, order=order), strict=True))
    found = dict(zip(shuffled, starting_moments(shuffled, order=order), strict=True))
    assert found == by_species
    # A cell twice as large has the same state, too.
    larger = dict(zip(cell * 2, starting_moments(cell * 2, order=order), strict=True))
    assert larger == by_species
    for species, moment in by_species.items():
        known = species_table().get(species)
        assert abs(moment) == (known.unpaired_electrons if known else 0)
    if order is FERRI:
        assert abs(sum(starting_moments(cell, order=order))) <= sum(
            starting_moments(cell)
        )


def test_orderings_of_all_methods_start_in_one_magnetic_state(
    six_metals: Candidate,
) -> None:
    cells = generate_orderings(
        six_metals,
        n_orderings={"sqs": 1, "electrostatic": 1, "random": 1},
        iterations=100,
        magnetic_order="ferrimagnetic",
    )
    states = set()
    for cell in cells:
        sites = cell.to_structure().site_properties
        moments = zip(sites["parent_site"], sites["magmom"], strict=True)
        states.add(frozenset((cell.decoration[k], m) for k, m in moments if m))
    # 3 + 4 - 5 - 3 is the smallest in the table's order Cr3+, Mn3+, Mn2+, Co2+.
    expected = {("Cr3+", 3.0), ("Mn3+", 4.0), ("Mn2+", -5.0), ("Co2+", -3.0)}
    assert states == {frozenset(expected)}

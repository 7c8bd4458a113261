from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.errors import OrderingError
from hts_battery.structures import representation
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.representation import represent

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

ROCKSALT, NASICON = load_prototype("rocksalt"), load_prototype("nasicon")


def test_what_a_cell_holds_exactly_does_not_deviate(drx: Candidate) -> None:
    found = represent(drx.assignment, ROCKSALT, atoms=80)
    assert found.deviation == {}
    assert found.largest_deviation == 0
    assert found.assignment == drx.assignment
    assert found.amounts == drx.amounts


def test_twelve_metals_are_not_exact_in_forty_atoms(twelve_metals: Candidate) -> None:
    assert len(twelve_metals.amounts) >= 14
    with pytest.raises(
        OrderingError, match=r"40 atoms holds.*nearest neutral.*off by .* max_dev"
    ):
        represent(twelve_metals.assignment, ROCKSALT, atoms=40)
    found = represent(
        twelve_metals.assignment, ROCKSALT, atoms=40, max_deviation=Fraction(1, 2)
    )
    assert set(found.amounts) == set(twelve_metals.amounts)
    assert Fraction(1, 100) < found.largest_deviation <= Fraction(1, 2)
    for element, amount in twelve_metals.amounts.items():
        assert found.amounts[element] - amount == found.deviation.get(element, 0)


def test_a_larger_cell_comes_nearer(twelve_metals: Candidate) -> None:
    deviations = [
        represent(
            twelve_metals.assignment, ROCKSALT, atoms=n, max_deviation=Fraction(1)
        ).largest_deviation
        for n in (40, 80, 200, 400)
    ]
    assert deviations == sorted(deviations, reverse=True)
    assert deviations[-1] < Fraction(1, 50)


def test_the_tolerance_is_met_exactly(make_candidate: Callable[..., Candidate]) -> None:
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.15", "Mn3+": "0.85"},
        anion={"O2-": "1.7", "F-": "0.3"},
    )
    found = represent(
        candidate.assignment, ROCKSALT, atoms=40, max_deviation=Fraction("0.1")
    )
    assert found.largest_deviation == Fraction("0.1")
    with pytest.raises(
        OrderingError,
        match=r"Li1.1Mn0.9O1.8F0.2 in 40 atoms, off by -1/10 F per formula unit, more "
        r"than max_deviation 99/1000; "
        r"sizes that fit: 80",
    ):
        represent(
            candidate.assignment, ROCKSALT, atoms=40, max_deviation=Fraction("0.099")
        )


def test_without_a_size_the_smallest_exact_cell_is_taken(drx: Candidate) -> None:
    found = represent(drx.assignment, ROCKSALT, atoms=None, max_deviation=Fraction(1))
    assert found.formula_units == 10
    assert not found.deviation


def test_without_a_size_the_smallest_cell_within_the_tolerance_is_next(
    make_candidate: Callable[..., Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    third = Fraction(1, 3)
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": 1 + third / 7, "Mn3+": 1 - third / 7},
        anion={"O2-": 2 - 2 * third / 7, "F-": 2 * third / 7},
    )
    monkeypatch.setattr(representation, "LARGEST_CELL", 40)
    with pytest.raises(
        OrderingError, match=r"up to 40 atoms.*nearest neutral one.*sizes that fit: 42"
    ):
        represent(candidate.assignment, ROCKSALT, atoms=None)
    found = represent(
        candidate.assignment, ROCKSALT, atoms=None, max_deviation=Fraction(1, 9)
    )
    assert 0 < found.largest_deviation <= Fraction(1, 9)
    # Cells below twenty cations, which would be near enough, are compounds.
    assert found.formula_units == 10
    near = represent(
        candidate.assignment, ROCKSALT, atoms=28, max_deviation=Fraction(1, 2)
    )
    assert near.largest_deviation <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("cation", "anion", "cations"),
    [
        ({"Li+": "1.2", "Mn3+": "0.4", "Ti4+": "0.4"}, {"O2-": 2}, 20),
        ({"Li+": 1, "Co3+": 1}, {"O2-": 2}, 20),
        ({"Li+": "1.25", "Mn3+": "0.25", "Ti4+": "0.5"}, {"O2-": 2}, 24),
        # The smallest exact cell is larger than that by itself.
        ({"Li+": "1.05", "Mn3+": "0.95"}, {"O2-": "1.9", "F-": "0.1"}, 40),
        # Nothing mixes: one formula unit of a compound is that compound.
        ({"Mg2+": 2}, {"O2-": 2}, 1),
    ],
)
def test_without_a_size_a_rocksalt_cell_has_twenty_cations(
    make_candidate: Callable[..., Candidate],
    cation: dict[str, object],
    anion: dict[str, object],
    cations: int,
) -> None:
    candidate = make_candidate("hedrx", cation=cation, anion=anion)
    found = represent(candidate.assignment, ROCKSALT, atoms=None)
    assert not found.deviation
    assert found.formula_units * ROCKSALT.sublattices["cation"].sites == cations


def test_a_nasicon_cell_stays_the_smallest_that_holds_the_member(
    make_candidate: Callable[..., Candidate],
) -> None:
    candidate = make_candidate(
        "nasicon",
        alkali={"Na+": 2, "Vac": 2},
        metal={"Zr4+": 1, "Hf4+": 1},
        polyanion={"Si4+": 1, "P5+": 2},
        oxygen={"O2-": 12},
    )
    found = represent(candidate.assignment, NASICON, atoms=None)
    assert found.formula_units == NASICON.formula_units == 2


def test_no_cell_at_all_is_said(
    make_candidate: Callable[..., Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(representation, "LARGEST_CELL", 2)
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.15", "Mn3+": "0.85"},
        anion={"O2-": "1.7", "F-": "0.3"},
    )
    with pytest.raises(
        OrderingError, match=r"up to 2 atoms holds anything like.*sizes"
    ):
        represent(candidate.assignment, ROCKSALT, atoms=None)
    monkeypatch.setattr(representation, "LARGEST_CELL", 1)
    with pytest.raises(OrderingError, match=r"up to 1 atoms holds anything like"):
        represent(candidate.assignment, ROCKSALT, atoms=None)


def test_more_species_than_sites_are_refused_with_the_sizes_that_have_room(
    make_candidate: Callable[..., Candidate],
) -> None:
    metals = ("Mg2+", "Ca2+", "Ni2+", "Co2+", "Zn2+")
    candidate = make_candidate(
        "hedrx", cation={m: Fraction(2, 5) for m in metals}, anion={"O2-": 2}
    )
    with pytest.raises(
        OrderingError,
        match=r"8 atoms.*cation has 4 sites .* for 5 elements; sizes that fit: 10, 20",
    ):
        represent(candidate.assignment, ROCKSALT, atoms=8, max_deviation=Fraction(1))


def test_too_small_a_cell_is_refused_with_the_next_that_has_room(
    twelve_metals: Candidate,
) -> None:
    with pytest.raises(
        OrderingError,
        match=r"20 atoms .*cation has 10 sites .* for 13 elements; "
        r"the next larger cell that can holds Li.* atoms, off by",
    ):
        represent(
            twelve_metals.assignment, ROCKSALT, atoms=20, max_deviation=Fraction(1)
        )


def test_vacancies_make_the_size_a_wish(
    make_candidate: Callable[..., Candidate],
) -> None:
    # 41 atoms in the primitive cell; 40 were asked for.
    candidate = make_candidate(
        "nasicon",
        alkali={"Na+": "3.5", "Vac": "0.5"},
        metal={"Zr4+": 2},
        polyanion={"Si4+": "2.5", "P5+": "0.5"},
        oxygen={"O2-": 12},
    )
    found = represent(candidate.assignment, NASICON, atoms=40)
    assert found.formula_units == 2
    assert found.counts["alkali"] == {"Na+": 7, "Vac": 1}


def test_a_size_between_cells_is_refused(drx: Candidate) -> None:
    for atoms in (41, 0, -40):
        with pytest.raises(OrderingError, match=rf"{atoms} atoms .* fit: 40, 80"):
            represent(drx.assignment, ROCKSALT, atoms=atoms, max_deviation=Fraction(1))


def test_a_sublattice_without_sites_or_species_is_refused() -> None:
    two = Fraction(2)
    with pytest.raises(OrderingError, match=r"has the sublattices .*interstitial"):
        represent(
            {
                "cation": {"Mg2+": two},
                "anion": {"O2-": two},
                "interstitial": {"Li+": Fraction(1)},
            },
            ROCKSALT,
            atoms=40,
        )
    with pytest.raises(OrderingError, match=r"sublattice cation .* fills 0"):
        represent({"cation": {}, "anion": {"O2-": two}}, ROCKSALT, atoms=40)


def test_a_charged_composition_is_refused() -> None:
    two = Fraction(2)
    with pytest.raises(OrderingError, match=r"itself has charge -2"):
        represent({"cation": {"Li+": two}, "anion": {"O2-": two}}, ROCKSALT, atoms=4)

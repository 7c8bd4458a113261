from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.sizes import (
    atoms_per_formula_unit,
    cell_sizes,
    formula_units_of_cell,
    site_counts,
    smallest_cell,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hts_battery.schemas.candidate import Candidate

ROCKSALT = load_prototype("rocksalt")


def layered_amounts(lithium: Fraction, metal: Fraction) -> dict[str, dict]:
    rest = 2 - lithium - metal
    return {
        "cation": {"Li+": lithium, "Mn3+": metal, "Ti4+": rest},
        "anion": {"O2-": Fraction(2)},
    }


@given(
    denominator=st.integers(1, 60),
    data=st.data(),
    multiple=st.integers(1, 4),
)
def test_every_size_holds_whole_numbers_and_nothing_smaller_does(
    denominator: int, data: st.DataObject, multiple: int
) -> None:
    first = data.draw(st.integers(1, 2 * denominator))
    second = data.draw(st.integers(0, 2 * denominator - first))
    amounts = layered_amounts(
        Fraction(first, denominator), Fraction(second, denominator)
    )
    smallest = smallest_cell(amounts, ROCKSALT)
    counts = site_counts(amounts, multiple * smallest)
    assert sum(counts["cation"].values()) == 2 * multiple * smallest
    # Half a formula unit is the primitive cell; no smaller multiple of it fits.
    unit = ROCKSALT.formula_units
    assert not any(
        all(
            (amount * unit * n).denominator == 1
            for occupation in amounts.values()
            for amount in occupation.values()
        )
        for n in range(1, int(smallest / unit))
    )


def test_a_tenth_per_formula_unit_needs_forty_atoms(drx: Candidate) -> None:
    assert cell_sizes(drx, limit=200) == (40, 80, 120, 160, 200)


def test_a_metal_fraction_grid_needs_larger_cells(
    make_candidate: Callable[..., Candidate],
) -> None:
    # Li1.3M0.7O2 with tenths of the metal content: hundredths per formula unit.
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.3", "Mn4+": "0.21", "Nb5+": "0.35", "V3+": "0.14"},
        anion={"O2-": 2},
    )
    assert cell_sizes(candidate) == (400,)
    assert cell_sizes(candidate, limit=399) == ()


def test_vacancies_are_sites_but_not_atoms() -> None:
    assignment = {"sodium": {"Na+": Fraction(3), "Vac": Fraction(1)}}
    assert atoms_per_formula_unit(assignment) == 3


def test_an_impossible_size_is_refused_with_those_that_fit(drx: Candidate) -> None:
    with pytest.raises(OrderingError, match=r"44 atoms .* sizes that fit: 40, 80, 120"):
        formula_units_of_cell(drx.assignment, ROCKSALT, atoms=44)
    with pytest.raises(OrderingError, match=r"20 atoms"):
        formula_units_of_cell(drx.assignment, ROCKSALT, atoms=20)
    with pytest.raises(OrderingError, match=r"0 atoms"):
        formula_units_of_cell(drx.assignment, ROCKSALT, atoms=0)


def test_a_composition_beyond_the_limit_is_refused_with_its_size() -> None:
    amounts = layered_amounts(Fraction(1), Fraction(1, 997))
    with pytest.raises(OrderingError, match=r"smallest cell that fits has 3988 atoms"):
        formula_units_of_cell(amounts, ROCKSALT, atoms=None)


def test_no_size_asked_for_takes_the_smallest(drx: Candidate) -> None:
    assert formula_units_of_cell(drx.assignment, ROCKSALT, atoms=None) == 10


def test_wrong_sublattices_are_refused() -> None:
    with pytest.raises(OrderingError, match=r"has the sublattices .*anion.*cation"):
        cell_sizes({"metal": {"Li+": Fraction(2)}}, ROCKSALT)
    with pytest.raises(OrderingError, match=r"2 sites per formula unit.*fills 1"):
        cell_sizes(
            {"cation": {"Li+": Fraction(1)}, "anion": {"O2-": Fraction(2)}}, ROCKSALT
        )


def test_an_assignment_alone_needs_a_prototype() -> None:
    with pytest.raises(ValueError, match=r"prototype"):
        cell_sizes({"cation": {"Li+": Fraction(2)}})


def test_a_cell_too_small_for_the_amounts_is_refused(drx: Candidate) -> None:
    with pytest.raises(OrderingError, match=r"not a whole number"):
        site_counts(drx.assignment, Fraction(3))


def test_sizes_load_no_heavy_library() -> None:
    code = (
        "import sys; import hts_battery.structures.sizes, hts_battery.structures; "
        "import hts_battery.structures.prototypes; "
        "print([m for m in ('numpy', 'pymatgen', 'sqsgenerator') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"

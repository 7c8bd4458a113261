from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import atoms_per_formula_unit
from hts_battery.structures import order_candidate
from hts_battery.structures.prototypes import load_prototype
from hts_battery.structures.representation import (
    cell_sizes,
    exact_sizes_hint,
    is_too_small,
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
    counts = [amount * multiple * smallest for amount in amounts["cation"].values()]
    assert all(count.denominator == 1 for count in counts)
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
    assert cell_sizes(drx.assignment, ROCKSALT, limit=200) == (40, 80, 120, 160, 200)


@pytest.mark.parametrize(("atoms", "small"), [(10, True), (20, True), (40, False)])
def test_a_cell_of_few_cations_is_too_small_for_a_random_solution(
    make_candidate: Callable[..., Candidate], atoms: int, small: bool
) -> None:
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.2", "Mn3+": "0.4", "Ti4+": "0.4"},
        anion={"O2-": 2},
    )
    assert is_too_small(order_candidate(candidate, atoms=atoms, iterations=50)) is small


def test_a_compound_and_a_nasicon_cell_are_never_too_small(
    make_candidate: Callable[..., Candidate],
) -> None:
    compound = make_candidate("hedrx", cation={"Mg2+": 2}, anion={"O2-": 2})
    assert not is_too_small(order_candidate(compound, atoms=2, iterations=50))
    nasicon = make_candidate(
        "nasicon",
        alkali={"Na+": 1, "Vac": 3},
        metal={"Zr4+": 2},
        polyanion={"P5+": 3},
        oxygen={"O2-": 12},
    )
    assert not is_too_small(order_candidate(nasicon, atoms=None, iterations=50))


def test_a_metal_fraction_grid_needs_larger_cells(
    make_candidate: Callable[..., Candidate],
) -> None:
    # Li1.3M0.7O2 with tenths of the metal content: hundredths per formula unit.
    candidate = make_candidate(
        "hedrx",
        cation={"Li+": "1.3", "Mn4+": "0.21", "Nb5+": "0.35", "V3+": "0.14"},
        anion={"O2-": 2},
    )
    assert cell_sizes(candidate.assignment, ROCKSALT) == (400,)
    assert cell_sizes(candidate.assignment, ROCKSALT, limit=399) == ()


def test_vacancies_are_sites_but_not_atoms() -> None:
    assignment = {"sodium": {"Na+": Fraction(3), "Vac": Fraction(1)}}
    assert atoms_per_formula_unit(assignment) == 3


def test_a_composition_beyond_the_limit_is_named_with_its_size(drx: Candidate) -> None:
    amounts = layered_amounts(Fraction(1), Fraction(1, 997))
    assert exact_sizes_hint(amounts, ROCKSALT) == (
        "the smallest cell that fits has 3988 atoms"
    )
    assert exact_sizes_hint(drx.assignment, ROCKSALT) == (
        "sizes that fit: 40, 80, 120, 160, 200, 240, …"
    )


def test_wrong_sublattices_are_refused() -> None:
    with pytest.raises(OrderingError, match=r"has the sublattices .*anion.*cation"):
        cell_sizes({"metal": {"Li+": Fraction(2)}}, ROCKSALT)
    with pytest.raises(OrderingError, match=r"2 sites per formula unit.*fills 1"):
        cell_sizes(
            {"cation": {"Li+": Fraction(1)}, "anion": {"O2-": Fraction(2)}}, ROCKSALT
        )


def test_sizes_load_no_heavy_library() -> None:
    code = (
        "import sys; import hts_battery.structures; "
        "import hts_battery.structures.representation; "
        "import hts_battery.structures.prototypes; "
        "print([m for m in ('numpy', 'pymatgen', 'sqsgenerator') if m in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own words
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"

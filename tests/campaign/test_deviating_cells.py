from __future__ import annotations

from fractions import Fraction

import pytest

from hts_battery.campaign.deviating_cells import DeviatingCells
from hts_battery.schemas.campaign import StructureSpec
from hts_battery.schemas.candidate import Candidate

TWO = Fraction(2)


def oxide(cation: dict[str, Fraction], **amounts: Fraction) -> Candidate:
    return Candidate(
        "hedrx",
        amounts | {"O": TWO},
        sites={"cation": TWO, "anion": TWO},
        assignments=({"cation": cation, "anion": {"O2-": TWO}},),
    )


ONE = Fraction(1)
MIXED = oxide({"Li+": ONE, "Co3+": ONE}, Li=ONE, Co=ONE)
COMPOUND = oxide({"Mg2+": TWO}, Mg=TWO)


@pytest.mark.parametrize(
    ("atoms", "too_small"), [(4, 1), (20, 1), (40, 0), (80, 0), (None, 0)]
)
def test_cells_too_small_for_a_random_solution_are_counted(
    atoms: int | None, too_small: int
) -> None:
    cells = DeviatingCells(StructureSpec(atoms=atoms))
    for candidate in (MIXED, COMPOUND):
        cells.add(candidate)
    assert cells.too_small == cells.as_dict()["too_small"] == too_small
    said = list(cells.lines())
    assert len(said) == too_small
    assert all("1 candidates are ordered in cells too small" in line for line in said)


F = Fraction


def drx(cations: dict[str, str]) -> Candidate:
    assignment = {
        "cation": {species: F(amount) for species, amount in cations.items()},
        "anion": {"O2-": F(2)},
    }
    amounts = {
        species.rstrip("+-0123456789"): amount
        for held in assignment.values()
        for species, amount in held.items()
    }
    return Candidate(
        "hedrx",
        amounts,
        sites={"cation": F(2), "anion": F(2)},
        assignments=(assignment,),
    )


EXACT = drx({"Li+": "1.2", "Mn3+": "0.4", "Nb5+": "0.2", "V3+": "0.2"})
BETWEEN = drx({"Li+": "1.2", "Mn3+": "0.45", "Nb5+": "0.2", "V3+": "0.15"})


def test_it_says_how_many_how_far_and_who_shares_a_cell() -> None:
    cells = DeviatingCells(StructureSpec(atoms=40, max_deviation="1/10"))
    for candidate in (EXACT, BETWEEN):
        cells.add(candidate)
    (found,) = cells.found
    assert found.formula == BETWEEN.formula
    assert found.calculated_formula != found.formula
    assert found.deviation == 0.05
    text = "\n".join(cells.lines())
    assert "1 candidates are calculated in a cell of another composition" in text
    assert f"{found.formula} ≈ {found.calculated_formula} (off 0.05)" in text
    # Both directions are equally near; what is chosen is what the cells say.
    both = found.calculated_formula == EXACT.formula
    assert cells.shared == ([[EXACT.formula, BETWEEN.formula]] if both else [])
    assert ("share 1 cells" in text) == both


def test_where_every_cell_is_exact_nothing_is_said() -> None:
    cells = DeviatingCells(StructureSpec(atoms=40))
    cells.add(EXACT)
    assert not list(cells.lines())
    assert cells.as_dict() == {"deviating": [], "shared_cells": [], "too_small": 0}

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
        cells.look_at(candidate)
    assert cells.too_small == cells.as_dict()["too_small"] == too_small
    said = list(cells.lines())
    assert len(said) == too_small
    assert all("1 candidates are ordered in cells too small" in line for line in said)

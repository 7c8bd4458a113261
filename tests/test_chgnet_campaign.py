"""The table of docs/chgnet_campaign.md, what the page says of it, and its figures."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from programs import run_program

from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.species import parse_species

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs" / "chgnet_campaign.md").read_text("utf-8")


@pytest.fixture(scope="module")
def program() -> dict[str, Any]:
    return run_program("workflows/chgnet_campaign.py")


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return run_program("workflows/chgnet_page.py")


@pytest.fixture(scope="module")
def table(program: dict[str, Any]) -> pd.DataFrame:
    found: pd.DataFrame = pd.read_csv(program["TABLE"])
    return found


@pytest.fixture(scope="module")
def before(program: dict[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the table assessed with the library of the campaign."""
    found: pd.DataFrame = program["assessed"](table, program["hull_before"]())
    return found


def test_every_ordering_stands_once(table: pd.DataFrame) -> None:
    assert not table.duplicated(["campaign", "index", "ordering_id"]).any()
    assert (table.state == "used").equals(table.energy_per_atom.notna())
    assert (table.state == "rejected").equals(table.reason.notna())


def test_every_row_says_the_species_of_its_cell(
    program: dict[str, Any], table: pd.DataFrame
) -> None:
    cells = table[["index", "assignment"]].drop_duplicates()
    assert cells["index"].is_unique
    for formula, text in table[["formula", "assignment"]].itertuples(index=False):
        species = [
            (parse_species(name), Fraction(amount))
            for name, amount in re.findall(r"(\S+[+-]) (\S+?)(?:;|$| )", text)
        ]
        elements: dict[str, Fraction] = {}
        for one, amount in species:
            elements[one.element] = elements.get(one.element, Fraction(0)) + amount
        assert elements == parse_formula(formula)
        assert sum(one.charge * amount for one, amount in species) == 0
    parts = {"cation": {"Mn3+": "9/10", "Li+": "11/10"}, "anion": {"O2-": "2"}}
    assert program["assignment_text"](parts) == "cation: Li+ 1.1 Mn3+ 0.9; anion: O2- 2"


def test_the_page_states_what_the_table_holds(
    program: dict[str, Any], table: pd.DataFrame
) -> None:
    one = program["candidates_of"](table, program["ONE"])
    four = program["candidates_of"](table, program["FOUR"])
    assert len(one) >= 300
    assert len(four) >= 20
    stable = int((one.hot <= 0).sum())
    assert f"{stable} of {len(one)}" in PAGE
    for number, group in one.groupby("n_metals"):
        share = 100 * (group.hot <= 0).mean()
        line = (
            f"| {number} | {len(group)} | {group.cold.median():.0f} | "
            f"{group.hot.median():.0f} | {share:.0f} |"
        )
        assert line in PAGE


def test_the_page_says_what_the_table_says(
    page: dict[str, Any], table: pd.DataFrame, before: pd.DataFrame
) -> None:
    assert page["filled"](PAGE, page["numbers"](table, before)) == PAGE
    with pytest.raises(ValueError, match="headline"):
        page["filled"]("no marks", {"headline": "text"})


def test_the_table_is_judged_with_the_phases_that_ship(
    program: dict[str, Any], table: pd.DataFrame
) -> None:
    again = program["assessed"](table, program["shipped_hull"]())
    assert list(again.columns) == list(table.columns)
    for column in table.columns:
        if table[column].dtype.kind == "f":
            wrong = (again[column].astype(float) - table[column]).abs().max()
            assert wrong < 1e-4, column
        elif column == "decomposition":  # halves of a last digit fall either way
            for found, right in zip(again[column], table[column], strict=True):
                assert amounts(found) == pytest.approx(amounts(right), abs=1.5e-3)
        elif column not in ("n_references", "n_orderings", "open_1473K"):
            assert (
                again[column].fillna("").tolist() == table[column].fillna("").tolist()
            )


def amounts(text: object) -> dict[str, float]:
    """Read a decomposition as the table writes it."""
    if not isinstance(text, str):
        return {}
    parts = (part.split() for part in text.split(" + "))
    return {formula: float(amount) for amount, formula in parts}


@pytest.mark.physics
def test_one_campaign_is_judged_by_its_own_orderings(
    program: dict[str, Any], table: pd.DataFrame, before: pd.DataFrame
) -> None:
    one = program["candidates_of"](before, program["ONE"])
    assert (one.n_orderings == 1).all()
    assert (one.hot - one.upper).abs().max() < 1e-9
    assert ((one.hot <= 0).sum(), (one.cold <= 0).sum()) == (418, 1)
    assert (round(one.cold.median()), round(one.hot.median())) == (75, -19)
    shares = one.groupby("n_metals").hot.apply(
        lambda hot: round(100 * (hot <= 0).mean())
    )
    assert shares.tolist() == [53, 69, 87, 85, 96]
    at = one.formula.str.contains("Li1.3")
    fluorine = one.formula.str.contains("F0.3")
    for chosen, cold, hot in ((at & ~fluorine, 72, -1), (at & fluorine, 100, -2)):
        group = one[chosen]
        assert (round(group.cold.median()), round(group.hot.median())) == (cold, hot)
    alone = program["assessed"](
        table[table.campaign == program["ONE"]], program["hull_before"]()
    )
    other = program["candidates_of"](alone, program["ONE"])
    assert other.hot.tolist() == pytest.approx(one.hot.tolist(), abs=1e-6)


def test_bounds_hold_every_lowest_energy(
    program: dict[str, Any], table: pd.DataFrame
) -> None:
    four = program["candidates_of"](table, program["FOUR"])
    lower, upper = four.energy_above_hull_1473K, four.energy_above_hull_1473K_upper
    assert (lower <= upper + 1e-9).all()
    used = table[(table.campaign == program["FOUR"]) & (table.state == "used")]
    lowest = used.groupby("index").energy_per_atom.min()
    stated = four.set_index("index").eval("hull_energy + energy_above_hull")
    assert (lowest - stated[lowest.index]).abs().max() < 1e-4


def test_figures_are_drawn(
    program: dict[str, Any], table: pd.DataFrame, tmp_path: Path
) -> None:
    program["draw"](table, tmp_path)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(
        path.name for path in (PROJECT / "docs" / "images").glob("chgnet-*.png")
    )

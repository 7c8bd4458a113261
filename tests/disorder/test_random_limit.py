"""Compositions whose carriers stand at random."""

from __future__ import annotations

import pytest

from hts_battery.disorder.parents import parent_lattice, parent_names
from hts_battery.disorder.random_limit import carrier_filling, cells_along, random_limit
from hts_battery.disorder.torus import torus
from hts_battery.errors import OrderingError
from hts_battery.schemas.formula import parse_formula

QUICK = {"cations": 4_000, "samples": 20}


@pytest.mark.physics
@pytest.mark.parametrize(
    ("formula", "share"),
    [("Li1.2Mn0.4Ti0.4O2", 0.711), ("Li1.3Mn0.4Ti0.3O1.7F0.3", 0.841)],
)
def test_rock_salts(formula: str, share: float) -> None:
    found = random_limit(parse_formula(formula), cations=8_000, samples=40)
    assert (found.parent, found.rule, found.carrier) == ("rocksalt", "0tm", "Li")
    assert found.accessible == pytest.approx(share, abs=0.015)
    assert found.excess == pytest.approx(
        found.carriers_per_formula_unit - 2 * found.threshold
    )
    assert found.threshold == pytest.approx(1.0862 / 2, abs=4 * found.threshold_error)
    assert found.accessible_per_formula_unit == pytest.approx(
        found.accessible * found.carriers_per_formula_unit
    )
    assert "short-range order" in found.caveat


def test_a_formula_is_counted_by_its_units() -> None:
    one = random_limit(parse_formula("Li1.2Mn0.4Ti0.4O2"), **QUICK)
    ten = random_limit(parse_formula("Li12Mn4Ti4O20"), **QUICK)
    assert ten.accessible == one.accessible
    assert ten.excess == pytest.approx(10 * one.excess)


def test_nasicon_fills_6b_first() -> None:
    held = carrier_filling(parse_formula("Na3Zr2Si2PO12"), "nasicon")
    assert (held.carrier, held.amount, held.sites, held.given) == ("Na", 3, 3, 1)
    found = random_limit(parse_formula("Na3Zr2Si2PO12"), **QUICK)
    assert found.filling == pytest.approx(2 / 3)
    assert found.accessible > 0.99
    poor = random_limit(parse_formula("NaZr2P3O12"), **QUICK)
    assert (poor.filling, poor.accessible) == (0, 0)
    assert poor.excess == pytest.approx(-3 * poor.threshold)


def test_all_sodium_sites_at_random_count_all_four() -> None:
    held = random_limit(parse_formula("Na2Zr2SiP2O12"), rule="nasicon_all", **QUICK)
    assert held.filling == pytest.approx(2 / 4)
    assert held.sites_per_formula_unit == pytest.approx(4)
    assert held.excess == pytest.approx(2 - 4 * held.threshold)


def test_no_carrier_gives_nothing_accessible() -> None:
    found = random_limit(parse_formula("MnO"), **QUICK)
    assert (found.accessible, found.accessible_per_formula_unit) == (0, 0)


@pytest.mark.parametrize(
    ("formula", "options", "message"),
    [
        ("Li3MnO2", {}, "4 cations and 2 anions; rocksalt has as many sites"),
        ("Na5Zr2P3O12", {}, "room for four Na"),
        ("LiMnO2", {"parent": "nasicon"}, "no sites for the rule|six|NASICON|room"),
        ("LiMnO2", {"parent": "perovskite"}, "no parent lattice"),
        ("LiMnO2", {"rule": "2tm"}, "no rule '2tm'"),
        ("LiMnO2", {"rule": "bond"}, "no composition has that"),
    ],
)
def test_what_cannot_be_is_refused(
    formula: str, options: dict[str, str], message: str
) -> None:
    if options.get("parent") == "nasicon":
        formula = "Na9O2"
    with pytest.raises(OrderingError, match=message):
        random_limit(parse_formula(formula), **options, **QUICK)


@pytest.mark.parametrize("parent", parent_names())
def test_a_cell_has_about_the_sites_asked_for(parent: str) -> None:
    sites = torus(cells_along(parent, 32_000)).size * len(parent_lattice(parent).sites)
    assert 24_000 < sites < 42_000

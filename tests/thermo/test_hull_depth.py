"""How deep the hull of a library is, against hulls built in the plain way."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hts_battery.thermo import Hull
from hts_battery.thermo.hull_depth import (
    Depth,
    HullDepth,
    KnownComposition,
    above_others,
    competitive,
    known_compositions,
    known_compositions_digest,
    lowest_phases,
)
from hts_battery.thermo.reference_changes import DepthChanges, StoredDepth

PROJECT = Path(__file__).resolve().parents[2]
LIBRARY = PROJECT / "tests" / "data" / "references_chgnet_837.csv"
"""The 837 phases of an older library with their CHGNet energies."""

KNOWN = tuple(
    KnownComposition(formula, energy, reported, "invented")
    for formula, energy, reported in (
        ("Li", 0.0, True),
        ("Mn", 0.0, True),
        ("O", 0.0, True),
        ("Li2O", -2.0, True),
        ("LiO", -1.55, False),
        ("MnO", -2.0, True),
        ("MnO2", -1.8, False),
        ("LiMnO2", -2.2, True),
        ("Li2MnO3", -2.25, False),
        ("LiMn2O4", -2.1, False),
    )
)
NAMES = [row.formula for row in KNOWN]
COMPOUNDS = [name for name in NAMES if name not in {"Li", "Mn", "O"}]
ASKED = ["Li1.2Mn0.8O2", "LiMnO2", "Li3MnO4", "MnO1.5", "Li2MnO3"]


def plain(names: set[str], formula: str) -> float:
    """Hull energy by the hull itself, own composition left out."""
    rows = [row for row in KNOWN if row.formula in names]
    hull = Hull([row.formula for row in rows], [row.formation_energy for row in rows])
    energy = hull.lower_energies([formula], exclude=[hull.ids_at(formula)])[0]
    return float(energy)


@given(st.sets(st.sampled_from(COMPOUNDS)))
@settings(max_examples=40, deadline=None)
def test_depth_is_the_difference_of_two_hulls(library: set[str]) -> None:
    held = library | {"Li", "Mn", "O"}
    reported = held | {row.formula for row in KNOWN if row.reported}
    answers = HullDepth(sorted(library), known=KNOWN).at(ASKED)
    for formula, answer in zip(ASKED, answers, strict=True):
        low = plain(held, formula)
        assert answer.risk == pytest.approx(low - plain(set(NAMES), formula), abs=1e-9)
        assert answer.risk_reported == pytest.approx(
            low - plain(reported, formula), abs=1e-9
        )
        assert answer.risk >= answer.risk_reported >= 0
        assert (answer.risk > 0) <= bool(answer.missing)
        assert library.isdisjoint(answer.missing)


def test_nothing_is_missing_where_the_library_holds_everything() -> None:
    for answer in HullDepth(NAMES, known=KNOWN).at(ASKED):
        assert (answer.risk, answer.risk_reported) == (0.0, 0.0)
        assert (answer.missing, answer.systems) == ({}, ())


def test_own_composition_and_what_is_left_out_take_no_part() -> None:
    depth = HullDepth(["Li2O", "MnO", "LiMnO2"], known=KNOWN)
    own, without, with_own = (
        depth.at(["Li4Mn2O6"])[0],
        depth.at(["Li2MnO3"], exclude=[["LiMnO2", "LiXeO2"]])[0],
        depth.at(["Li2MnO3"], with_own=True)[0],
    )
    assert "Li2MnO3" not in own.missing
    assert "LiMnO2" not in without.missing
    assert with_own.missing == {"Li2MnO3": 1.0}
    assert with_own.risk > own.risk


def test_an_element_of_no_known_composition_is_named() -> None:
    found = HullDepth(["Li2O"], known=KNOWN).at(["LiRhO2", "Li2O2"])
    assert found[0] == Depth(None, None, reason="no listed composition holds Rh")
    assert found[1].risk is not None


def test_phases_of_no_known_composition_fill_their_chemical_system() -> None:
    lacking = HullDepth(["Li2O", "MnO"], known=KNOWN).at(["LiMnO2"])[0]
    assert lacking.systems == ("Li-Mn-O",)
    assert (
        HullDepth(["Li2O", "MnO", "Li5MnO5"], known=KNOWN).at(["LiMnO2"])[0].systems
        == ()
    )


def test_the_depth_survives_a_pickle() -> None:
    depth = HullDepth(["Li2O"], known=KNOWN)
    again = pickle.loads(pickle.dumps(depth))  # noqa: S301 - our own
    assert again.at(ASKED) == depth.at(ASKED)


def says_the_same(one: Depth, other: Depth) -> bool:
    """Whether two answers differ by no more than the last digits of another basis."""
    return (
        (one.reason, one.systems) == (other.reason, other.systems)
        and one.missing == pytest.approx(other.missing, abs=1e-9)
        and one.risk == pytest.approx(other.risk, abs=1e-9)
        and one.risk_reported == pytest.approx(other.risk_reported, abs=1e-9)
    )


@given(st.sets(st.sampled_from(COMPOUNDS)), st.sets(st.sampled_from(COMPOUNDS)))
@example(before={"Li2O", "LiMnO2", "LiO"}, now={"Li2O", "LiMn2O4", "LiMnO2", "MnO"})
@settings(max_examples=40, deadline=None)
def test_a_change_of_the_library_touches_the_answers_it_changes(
    before: set[str], now: set[str]
) -> None:
    old = HullDepth(sorted(before), known=KNOWN).at(ASKED)
    depth = HullDepth(sorted(now), known=KNOWN)
    stored = {
        formula: StoredDepth(formula, answer)
        for formula, answer in zip(ASKED, old, strict=True)
    }
    expected = {
        formula
        for formula, answer, new in zip(ASKED, old, depth.at(ASKED), strict=True)
        if not says_the_same(answer, new)
    }
    changes = DepthChanges.between(sorted(before), sorted(now), depth)
    assert changes.affected(stored) == expected


def test_phases_compete_with_other_compositions() -> None:
    formulas = ["Li", "O2", "Li2O", "Li2O", "Li4O2", "LiO2"]
    energies = [0.0, 0.0, -1.9, -2.0, -1.7, -0.9]
    lowest = lowest_phases(formulas, energies)
    assert lowest == {"Li": 0.0, "O2": 0.0, "Li2O": -2.0, "LiO2": -0.9}
    heights = above_others(lowest)
    assert heights["Li2O"] == pytest.approx(-2.0 + 0.5 * 0.9)
    assert heights["LiO2"] == pytest.approx(0.1)
    assert set(competitive(formulas, energies)) == {"Li", "O2", "Li2O"}
    assert "LiO2" in competitive(formulas, energies, within=0.2)


def test_the_shipped_table_is_sound() -> None:
    rows = known_compositions()
    assert len({row.formula for row in rows}) == len(rows) > 10_000
    pure = [row for row in rows if row.source == "Roost; element"]
    assert {row.formation_energy for row in pure} == {0.0}
    assert all(row.source.startswith("Roost") for row in rows)
    assert all(("; " in row.source) == row.reported for row in rows)
    assert len(known_compositions_digest()) == 16


@pytest.fixture(scope="module")
def energies() -> dict[str, float]:
    lines = [
        line
        for line in LIBRARY.read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    used = [row for row in csv.DictReader(lines) if not row.get("rejected")]
    return lowest_phases(
        [row["formula"] for row in used],
        [float(row["energy_per_atom"]) for row in used],
    )


@pytest.mark.physics
def test_585_of_673_compositions_of_the_older_library_compete(
    energies: dict[str, float],
) -> None:
    assert len(energies) == 673
    assert len(competitive(list(energies), list(energies.values()))) == 585


@pytest.mark.physics
def test_a_spinel_without_a_phase_of_its_system_is_named(
    energies: dict[str, float],
) -> None:
    """The library lacked any phase of Li-Mn-Ni-O; the hull may be much deeper."""
    depth = HullDepth(energies)
    found = depth.at(["LiMn1.5Ni0.5O4", "LiCoO2", "Li1.3Mn0.4Ti0.3O1.7F0.3"])
    assert "Li-Mn-Ni-O" in found[0].systems
    assert found[0].risk > 0.03
    assert found[1].systems == ()
    below = depth.at(["Li4MoO5", "Li4WO5"], with_own=True)
    np.testing.assert_allclose([one.risk for one in below], [0.077, 0.085], atol=2e-3)

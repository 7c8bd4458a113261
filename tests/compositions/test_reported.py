"""Compounds that were made: the shipped table, tables of users, radii near theirs."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.compositions.candidate_descriptors import (
    DESCRIPTORS,
    candidate_descriptors,
)
from hts_battery.compositions.filters import load_filters
from hts_battery.compositions.reported import (
    distance_to_reported,
    nearest_reported,
    read_reported,
    reported_compounds,
    reported_pairs,
    reported_species,
)
from hts_battery.errors import ConfigurationError, SpecError
from hts_battery.schemas.candidate import Candidate

if TYPE_CHECKING:
    from pathlib import Path

HEADING = "formula,structure_type,doi\n"


def test_every_shipped_compound_has_a_source_and_neutral_species() -> None:
    known = reported_compounds()
    assert len(known) == len({one.formula for one in known}) == 45
    assert sum(one.structure_type == "NASICON" for one in known) == 32
    for one in known:
        assert one.doi.startswith("10.")
        assert one.species
        assert not one.metals & {"Li", "Na", "Si", "P", "S", "O", "F"}


def test_shipped_nasicons_are_those_known_from_experiment(shared_data: Path) -> None:
    folder = shared_data / "nasicon_2021"
    lists = json.loads((folder / "experimental.json").read_text(encoding="utf-8"))
    formulas = {one.formula for one in reported_compounds()}
    assert formulas >= {*lists["reported_exp_comps"], *lists["new_exp_comps"]}


def test_pairs_are_counted_once_a_compound() -> None:
    pairs = reported_pairs(reported_compounds())
    assert pairs[frozenset(("Mn", "Ti"))] == 5
    assert frozenset(("Si", "Zr")) not in pairs
    assert frozenset(("Na", "Zr")) not in pairs


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(f"# mine\n{HEADING}\nLiXO2,spinel,10.1/1\n")
    with pytest.raises(SpecError, match=r"mine.csv:4: formula: .*X"):
        read_reported(file)
    file.write_text(f"{HEADING}LiMn2O4,spinel,\n")
    with pytest.raises(SpecError, match=r"mine.csv:2: doi: every compound needs"):
        read_reported(file)
    file.write_text("formula,doi\nLiMn2O4,10.1/1\n")
    with pytest.raises(SpecError, match="no column structure_type"):
        read_reported(file)
    file.write_text(HEADING)
    with pytest.raises(SpecError, match="no compound"):
        read_reported(file)
    file.write_text("doi,note,structure_type,formula\n10.1/1,x,spinel,LiMn2O4\n")
    (found,) = read_reported(file)
    assert (found.structure_type, found.metals) == ("spinel", frozenset(["Mn"]))
    file.write_text(f"{HEADING}Mn2Ti20O5,odd,10.1/1\n")  # cannot be neutral
    (found,) = read_reported(file)
    assert (found.species, found.metals) == ({}, frozenset(("Mn", "Ti")))


def test_distances_keep_redox_centres_and_compensators_apart() -> None:
    assert "Mn3+" in reported_species("redox centre")
    assert "Mn3+" not in reported_species("charge compensator")
    assert nearest_reported("Y3+", ["Sc3+", "In3+"]) == ("In3+", 0.1)
    assert nearest_reported("Fe6+", ["Sc3+"]) is None
    assert distance_to_reported(["Ti4+"], "redox centre", ["Mn3+"]) == 0
    assert distance_to_reported(["Fe6+"], "charge compensator", ["Ti4+"]) is None
    with pytest.raises(ValueError, match="no role of metals"):
        distance_to_reported(["Ti4+"], "anion", ["Mn3+"])


def test_the_filter_takes_the_shipped_table_where_none_is_given() -> None:
    (rule,) = load_filters(
        [{"rule": "reported-radius", "role": "charge compensator", "tolerance": 0.02}]
    )
    kept, lost = (
        Candidate(
            "hedrx",
            {element: Fraction(1), "O": Fraction(2)},
            sites={"all": Fraction(3)},
            assignments=({"all": {species: Fraction(1), "O2-": Fraction(2)}},),
        )
        for element, species in (("Zr", "Zr4+"), ("La", "La3+"))
    )
    assert rule.invalid_reason(kept) is None
    reason = rule.invalid_reason(lost)
    assert reason is not None
    assert "La3+ has a radius of 1.032 angstrom, 0.032 from Ca2+" in reason
    with pytest.raises(ConfigurationError):
        load_filters([{"rule": "reported-radius", "role": "anion", "tolerance": 0}])


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 40))
def test_descriptors_do_not_hang_on_the_formula_unit(a: int, b: int, k: int) -> None:
    one = {"Li+": Fraction(1), "Mn3+": Fraction(a, 7), "Ti4+": Fraction(b, 11)}
    one |= {"O2-": Fraction(2), "Zr4+": Fraction(1, 3)}
    found = candidate_descriptors(one)
    assert found == candidate_descriptors({s: n * k / 13 for s, n in one.items()})
    assert tuple(found) == DESCRIPTORS

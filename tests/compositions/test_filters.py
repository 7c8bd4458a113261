from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.compositions.descriptors import composition_descriptors
from hts_battery.compositions.filters import (
    FilterReport,
    load_filters,
)
from hts_battery.compositions.radii import octahedral_radius, size_mismatch
from hts_battery.compositions.sampling import filtered
from hts_battery.errors import SpecError
from hts_battery.schemas.candidate import Candidate

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.compositions.space import CompositionSpace


@pytest.fixture
def space() -> CompositionSpace:
    return load_space(
        {
            "family": "hedrx",
            "basis": "formula-unit",
            "step": 0.1,
            "sublattices": {
                "cation": {
                    "sites": 2,
                    "species": ["Li+", "Mn2+", "Mn3+", "Ti4+", "Zr4+", "Co3+", "La3+"],
                },
                "anion": {"sites": 2, "species": ["O2-"]},
            },
            "contents": {"Li": [1.2]},
        }
    )


@pytest.mark.parametrize(
    ("block", "says"),
    [
        (
            {"rule": "redox-compatibility", "pairs": [["Mn2+", "Co3+"]]},
            "Mn2+ and Co3+ react with each other",
        ),
        (
            {"rule": "radius-window", "reference": ["Mn2+", "Co3+"]},
            "La3+ has a radius of 1.032 angstrom, outside 0.545 to 0.830",
        ),
        ({"rule": "redox-compatibility"}, "Mn2+ and Co3+ react with each other"),
        (
            {"rule": "redox-centres", "minimum": 0.2},
            "0.1 redox centres per formula unit, fewer than 0.2",
        ),
        ({"rule": "size-mismatch", "maximum": 0.05}, "size mismatch"),
        ({"rule": "electronegativity-window", "maximum": 0.4}, "La and"),
    ],
)
def test_each_rule_keeps_some_and_says_why_it_removes_others(
    space: CompositionSpace, block: dict[str, object], says: str
) -> None:
    report = FilterReport()
    found = list(filtered(enumerate(space), load_filters([block]), report))
    removed = [one for one in found if one.rule]
    assert len(found) == report.examined == space.count
    assert report.removed == {block["rule"]: len(removed)}
    assert 0 < report.kept < space.count
    assert any(says in (one.reason or "") for one in removed)
    assert [one.index for one in found] == list(range(space.count))


def test_a_member_with_one_compatible_assignment_is_kept(
    space: CompositionSpace,
) -> None:
    (rule,) = load_filters(
        [{"rule": "redox-compatibility", "pairs": [["Mn2+", "Ti4+"]]}]
    )
    assert rule.invalid_reason(space[space.index("Li1.2Mn0.4Ti0.4O2")]) is None


def test_redox_centres_are_counted_exactly(space: CompositionSpace) -> None:
    (rule,) = load_filters([{"rule": "redox-centres", "minimum": 0.2}])
    amounts = Counter()
    for member in space:
        centres = member.amounts.get("Mn", 0) + member.amounts.get("Co", 0)
        assert (rule.invalid_reason(member) is None) is (centres >= Fraction(1, 5))
        amounts[centres] += 1
    assert amounts[Fraction(1, 5)]
    assert amounts[Fraction(1, 10)]


def test_pairs_follow_the_redox_couples_of_the_space(tmp_path: Path) -> None:
    table = "species,role,spin,unpaired_electrons,preference,potential,source\n"
    level = "Co3+,redox centre,low,0,1,1500,mine\n"
    (tmp_path / "mine.csv").write_text(table + level)
    (tmp_path / "space.yaml").write_text(
        "{species_table: mine.csv, family: hedrx, basis: formula-unit, step: 0.1,\n"
        "sublattices: {cation: {sites: 2, species: [Li+, Mn2+, Co3+, Ti4+]},\n"
        "anion: {sites: 2, species: [O2-]}}}\n"
    )
    space = load_space(tmp_path / "space.yaml")
    member = next(one for one in space if len(one.amounts) == 5)
    block = {"rule": "redox-compatibility"}
    (packaged,) = load_filters([block])
    assert packaged.invalid_reason(member) == "Mn2+ and Co3+ react with each other"
    (own,) = load_filters([block], redox=space.redox)
    assert own.invalid_reason(member) is None


def test_known_size_mismatch_and_low_spin_radius() -> None:
    assert size_mismatch([1, 1], [0.9, 1.1]) == pytest.approx(0.1)
    assert size_mismatch([], []) == 0
    assert octahedral_radius("Mn2+") == 0.83
    assert octahedral_radius("Ni3+") == 0.56
    assert octahedral_radius("Li7+") is None


def test_an_unknown_rule_is_refused_in_one_line() -> None:
    with pytest.raises(SpecError, match="radius-window") as caught:
        load_filters([{"rule": "gut-feeling"}])
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match="no octahedral"):
        load_filters([{"rule": "radius-window", "reference": ["Li7+"]}])


def verdicts(space: CompositionSpace, *blocks: dict[str, object]) -> dict[str, str]:
    """Reasons of the members that filters remove."""
    rules = load_filters(blocks)
    return {
        one.candidate.formula: one.reason
        for one in filtered(enumerate(space), rules, FilterReport())
        if one.reason
    }


def test_a_window_of_a_descriptor(space: CompositionSpace) -> None:
    name = "metal_electronegativity_mean"
    window = {"rule": "descriptor-window", "descriptor": name, "minimum": 1.45}
    found = verdicts(space, window | {"maximum": 1.6})
    assert "is below 1.45" in " ".join(found.values())
    assert "is above 1.6" in " ".join(found.values())
    for member in space:
        x = composition_descriptors(member.formula)[name]
        assert (member.formula in found) == (not 1.45 - 1e-9 <= x <= 1.6 + 1e-9)
    for wrong in ({}, {"minimum": 2.0, "maximum": 1.0}):
        with pytest.raises(SpecError, match="minimum"):
            load_filters([{"rule": "descriptor-window", "descriptor": name, **wrong}])
    with pytest.raises(SpecError, match="descriptor"):
        load_filters([window | {"descriptor": "colour"}])
    empty = {
        "rule": "descriptor-window",
        "descriptor": "metal_radius_mean",
        "minimum": 0,
    }
    [rule] = load_filters([empty])
    assert "no value" in str(rule.invalid_reason(_lithia()))


def _lithia() -> Candidate:
    return Candidate(
        "lithia",
        {"Li": Fraction(2), "O": Fraction(1)},
        sites={"cation": Fraction(2), "anion": Fraction(1)},
        assignments=lambda: (
            {"cation": {"Li+": Fraction(2)}, "anion": {"O2-": Fraction(1)}},
        ),
    )


def test_radii_apart_from_every_reported_one(space: CompositionSpace) -> None:
    rule = {"rule": "reported-radius", "role": "redox centre", "tolerance": 0.1}
    found = verdicts(space, rule | {"reported": ["Mn3+"]})
    [reason] = set(found.values())
    assert reason.startswith("Mn2+ has a radius of 0.830 angstrom, 0.185 from Mn3+")
    assert not verdicts(space, rule | {"reported": ["Mn3+", "Mn2+"]})
    both = verdicts(space, rule | {"role": "charge compensator", "reported": ["Ti4+"]})
    assert all(one.startswith(("La3+", "Zr4+")) for one in both.values())
    with pytest.raises(SpecError, match="no octahedral"):
        load_filters([rule | {"reported": ["Fe6+"]}])

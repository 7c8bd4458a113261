from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions import load_space
from hts_battery.compositions.filters import (
    FilterReport,
    judged,
    load_filters,
    octahedral_radius,
    size_mismatch,
)
from hts_battery.errors import SpecError

if TYPE_CHECKING:
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
        ({"rule": "size-mismatch", "maximum": 0.05}, "size mismatch"),
        ({"rule": "electronegativity-window", "maximum": 0.4}, "La and"),
    ],
)
def test_each_rule_keeps_some_and_says_why_it_removes_others(
    space: CompositionSpace, block: dict[str, object], says: str
) -> None:
    report = FilterReport()
    found = list(judged(enumerate(space), load_filters([block]), report))
    removed = [one for one in found if one.rule]
    assert len(found) == report.judged == space.count
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
    assert rule.objection(space[space.index("Li1.2Mn0.4Ti0.4O2")]) is None


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

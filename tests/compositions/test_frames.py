"""Spaces that cannot be counted, each refused with its field; sublattices that fit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from hts_battery.compositions import load_space
from hts_battery.errors import CompositionError, EmptySpaceError, SpecError


def space(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {
        "family": "hedrx",
        "basis": "formula-unit",
        "step": 0.1,
        "sublattices": {
            "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+"]},
            "anion": {"sites": 2, "species": ["O2-", "F-"]},
        },
    } | changes


def lattices(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - likewise
    return {"sublattices": {**space()["sublattices"], **changes}}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        (
            lattices(third={"sites": 1, "species": ["Li+", "Na+"]})
            | {"contents": {"Li": [1]}},
            "contents",
            "Li is on several sublattices",
        ),
        (
            lattices(anion={"sites": 2, "species": ["O2-"]})
            | {"contents": {"Li": [1], "Mn": ["1/2"], "Ti": ["1/4"]}},
            "sublattices.cation.sites",
            "leave 1/4 sites per formula unit of sublattice cation without an element",
        ),
        (
            {"contents": {"Li": [2], "Mn": [1]}},
            "sublattices.cation.sites",
            "need 1 sites per formula unit more than sublattice cation has",
        ),
        ({"step": "3/10"}, "step", "do not divide the 2 sites of sublattice cation"),
        ({"balance": "Li"}, "balance", "shares sublattice cation with one other"),
        (
            lattices(anion={"sites": 2, "species": ["O2-", "S2-"]}) | {"balance": "O"},
            "balance",
            "O2- and S2- have the same charge",
        ),
        (
            {
                "basis": "sublattice-fraction",
                "sublattices": {
                    "one": {"sites": 1, "species": ["Li+", "Mn3+"]},
                    "two": {"sites": 2, "species": ["Mn3+", "Ti4+"]},
                    "anion": {"sites": 3, "species": ["O2-", "F-"]},
                },
            },
            "basis",
            "Mn is on sublattices with different steps",
        ),
        (
            lattices(cation={"sites": 2, "species": ["Li+", "Mn2+", "Mn3+"]})
            | {"contents": {"Mn": ["1/3"]}},
            "contents",
            "Mn 1/3 is not a whole number of steps of 1/10",
        ),
        (
            {"contents": {"Li": [1, 1]}},
            "contents",
            "the same amounts stand here twice",
        ),
    ],
)
def test_a_space_that_cannot_be_is_refused_with_its_field(
    changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load_space(space(**changes))
    assert words in str(caught.value)
    assert caught.value.field == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "cation",
    [
        {"metals": {"minimum": 3}, "species": ["Li+", "Mn3+", "Ti4+"]},
        {"metals": {"amount": {"minimum": 1.5}}, "species": ["Li+", "Mn3+", "Ti4+"]},
        {"metals": {"maximum": 0}, "species": ["Li+", "Mn3+", "Ti4+"]},
    ],
    ids=["too few metals", "too little of a metal", "too many metals"],
)
def test_bounds_that_fixed_amounts_break_leave_no_member(
    cation: dict[str, Any],
) -> None:
    fixed = {"stoichiometries": [{"Li": 1, "Mn": 1, "Ti": 0, "O": 2, "F": 0}]}
    assert load_space(space(**fixed)).count == 1
    with pytest.raises(EmptySpaceError, match=r"metals|stoichiometries"):
        load_space(space(**lattices(cation={"sites": 2, **cation}), **fixed))


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("LiCoO2", "it holds Co"),
        ("Li1.2Mn0.4Ti0.4O2", "Li 1.2 is none of the amounts in contents: 1"),
        ("LiMn0.95Ti0.05O1.95F0.05", "Mn 0.95 is no whole number of steps of 0.1"),
        ("LiMn0.5Ti0.5O2", r"a charge of \+0.5 per formula unit is left"),
    ],
)
def test_what_is_no_member_is_told_why(formula: str, words: str) -> None:
    with pytest.raises(CompositionError, match=words):
        load_space(space(contents={"Li": [1]})).index(formula)


def test_a_balanced_member_is_found_by_its_formula() -> None:
    found = load_space(
        space(
            sublattices={
                "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+"]},
                "anion": {"sites": 2, "species": ["O2-", "F-"]},
            },
            balance="F",
        )
    )
    for index in range(0, found.count, 17):
        one = found[index]
        assert found.index(one.canonical_formula) == index
        assert sum(one.amounts.values(), Fraction(0)) == 4
        assert one in found
        assert one.canonical_formula in found
    assert "Li2O" not in found
    assert 3 not in found  # type: ignore[operator]  # what is no candidate is none

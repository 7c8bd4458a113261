from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hts_battery.compositions import grid
from hts_battery.compositions.grid import GridSpace
from hts_battery.schemas.candidate import CandidateDoc
from hts_battery.schemas.space import SpaceSpec

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

_HERE = Path(__file__).parent
_found = importlib.util.spec_from_file_location("brute_force", _HERE / "brute_force.py")
brute = importlib.util.module_from_spec(_found)
_found.loader.exec_module(brute)

CATIONS = [
    "Li+", "Mn2+", "Mn3+", "Mn4+", "Mo4+", "Mo6+", "Ti4+", "Cr3+", "V3+", "V5+",
    "Mg2+", "Nb5+", "Vac",
]  # fmt: skip


@st.composite
def bounds(draw: DrawFn, top: Fraction) -> dict[str, str]:
    low = draw(st.sampled_from([0, 0, 0, Fraction(1, 3), Fraction(1, 2)]))
    high = draw(st.sampled_from([None, None, top, top / 2]))
    found = {"minimum": str(low)}
    if high is not None:
        found["maximum"] = str(max(high, low))
    return found


@st.composite
def spaces(draw: DrawFn) -> dict[str, object]:
    step = draw(st.sampled_from(["1/2", "1/3"]))
    basis = draw(st.sampled_from(["formula-unit", "sublattice-fraction"]))
    size = {"1/2": 5, "1/3": 4}[step]
    cations = draw(
        st.lists(st.sampled_from(CATIONS), min_size=2, max_size=size, unique=True)
    )
    sites = Fraction(2 if draw(st.booleans()) else 1)
    bounded = {
        text: draw(st.one_of(st.none(), st.none(), bounds(sites))) for text in cations
    }
    metals = {"minimum": draw(st.integers(0, 2))}
    if draw(st.booleans()):
        metals["maximum"] = metals["minimum"] + draw(st.integers(0, 2))
    if draw(st.booleans()):
        metals["amount"] = draw(bounds(sites))
    sublattices = {
        "cation": {"sites": str(sites), "species": bounded, "metals": metals},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    }
    symbols = {text.rstrip("+0123456789") for text in cations} - {"Vac"}
    if draw(st.booleans()):
        extra = draw(
            st.lists(
                st.sampled_from(["Li+", "Mn3+", "Ni2+", "Vac"]),
                min_size=1,
                max_size=2,
                unique=True,
            )
        )
        own = 1 if basis == "formula-unit" else sites
        sublattices["alkali"] = {"sites": str(own), "species": extra}
    spec: dict[str, object] = {
        "family": "test",
        "basis": basis,
        "step": step,
        "sublattices": sublattices,
    }
    if symbols and draw(st.booleans()):
        symbol = draw(st.sampled_from(sorted(symbols)))
        spec["elements"] = {symbol: draw(bounds(sites))}
    if draw(st.booleans()):
        homes = [t for one in sublattices.values() for t in one["species"]]
        names = sorted(symbols | (set(homes) - {"Vac"}))
        pairs = st.lists(st.sampled_from(names), min_size=2, max_size=3, unique=True)
        if len(names) > 1:
            spec["exclusions"] = draw(st.lists(pairs, max_size=2))
    if draw(st.booleans()):
        spec["contents"] = {
            "F": draw(
                st.lists(
                    st.sampled_from(["0", "1", "1/2", "2"]),
                    min_size=1,
                    max_size=2,
                    unique=True,
                )
            )
        }
    return spec


def _is_on_grid(spec: SpaceSpec) -> bool:
    unit = dict.fromkeys(spec.sublattices, spec.step)
    if spec.basis == "sublattice-fraction":
        unit = {name: spec.step * one.sites for name, one in spec.sublattices.items()}
    return all(
        (amount / unit["anion"]).denominator == 1
        for amounts in spec.contents.values()
        for amount in amounts
    )


@settings(max_examples=60, deadline=None)
@given(spaces())
def test_count_equals_brute_force(data: dict[str, object]) -> None:
    spec = SpaceSpec.model_validate(data)
    assume(_is_on_grid(spec))
    expected = brute.brute_force(spec)
    space = GridSpace(spec)
    members = list(space)
    assert space.count == len(members) == len(expected)
    assert space.species_count == sum(expected.values())
    assert {frozenset(one.amounts.items()) for one in members} == set(expected)
    assert len({one.candidate_id for one in members}) == len(members)
    for index, one in enumerate(members):
        assert space.index(one) == index
        assert space[index] == one
        assert len(one.assignments) == expected[frozenset(one.amounts.items())]
    for one in members[:5]:
        CandidateDoc.from_candidate(one).to_candidate()
        assert space.index(one.formula) == space.index(one)


@settings(max_examples=40, deadline=None)
@given(spaces())
def test_both_ways_of_counting_agree(data: dict[str, object]) -> None:
    spec = SpaceSpec.model_validate(data)
    assume(_is_on_grid(spec))
    fast = GridSpace(spec)
    for frame in fast.frames:
        found = grid.interval_choices(frame.mixture)
        if found is None:
            continue
        tables = grid.IntervalTables(frame.mixture, *found, 10**7)
        start = tables.start(frame.target)
        tree = grid.SubsetAutomaton(frame.mixture, frame.target, 10**7)
        left = grid.Walker(tables, start)
        right = grid.Walker(tree, tree.start)
        assert left.count == right.count
        assert tables.species_size(start) == grid.count_species(
            frame.mixture, 10**6
        ).get(frame.target, 0)
        rows = [left.unrank(index) for index in range(left.count)]
        assert rows == [right.unrank(index) for index in range(left.count)]
        assert rows == sorted(rows)
        assert [left.rank(row) for row in rows] == list(range(left.count))
        assert [right.rank(row) for row in rows] == list(range(left.count))


def test_an_exclusion_that_names_an_element_twice_counts_it_once() -> None:
    # "Li" and "Li+" are one thing here; as two bits they once hid each other.
    data = {
        "family": "test",
        "basis": "formula-unit",
        "step": "1/2",
        "sublattices": {
            "cation": {"sites": 1, "species": ["Li+", "Mn2+", "Mn3+"]},
            "anion": {"sites": 2, "species": ["O2-", "F-"]},
        },
        "exclusions": [["F-", "Li", "Li+"]],
    }
    spec = SpaceSpec.model_validate(data)
    space = GridSpace(spec)
    assert space.count == len(brute.brute_force(spec))
    (mixture,) = {frame.mixture for frame in space.frames}
    assert mixture.exclusions == (("F", "Li"),)


def test_balanced_metal_fractions_equal_brute_force() -> None:
    species = ["Mn2+", "Mn3+", "Cr3+", "Ti4+", "Nb5+"]
    lithium = [Fraction(1), Fraction(6, 5), Fraction(13, 10)]
    spec = SpaceSpec.model_validate(
        {
            "family": "test",
            "basis": "metal-fraction",
            "step": "1/5",
            "sublattices": {
                "cation": {
                    "sites": 2,
                    "species": ["Li+", *species],
                    "metals": {"minimum": 2, "maximum": 3},
                },
                "anion": {"sites": 2, "species": ["O2-", "F-"]},
            },
            "contents": {"Li": lithium},
            "balance": "F",
            "elements": {"F": {"minimum": "1/20", "maximum": "1/2"}},
        }
    )
    expected: dict[frozenset[tuple[str, Fraction]], int] = {}
    for content in lithium:
        for units in brute.compositions(5, len(species)):
            amounts = [Fraction(n, 5) * (2 - content) for n in units]
            charge = sum(
                int(text[-2]) * amount
                for text, amount in zip(species, amounts, strict=True)
            )
            fluorine = 4 - content - charge
            total = {"Li": content, "F": fluorine, "O": 2 - fluorine}
            for text, amount in zip(species, amounts, strict=True):
                total[text[:2]] = total.get(text[:2], Fraction(0)) + amount
            key = frozenset((el, n) for el, n in total.items() if n)
            if Fraction(1, 20) <= fluorine <= Fraction(1, 2) and 2 <= len(key) - 3 <= 3:
                expected[key] = expected.get(key, 0) + 1
    space = GridSpace(spec)
    members = list(space)
    assert {frozenset(one.amounts.items()) for one in members} == set(expected)
    assert space.count == len(expected) > 50
    assert space.species_count == sum(expected.values())
    assert [space.index(one) for one in members] == list(range(space.count))
    assert all(
        len(one.assignments) == expected[frozenset(one.amounts.items())]
        for one in members
    )
    assert sum(space.metal_counts.values()) == space.count


def test_a_species_that_no_whole_step_can_hold_leaves_no_member() -> None:
    cations = {"Li+": None, "Mn2+": None, "Mo4+": {"minimum": "1/2", "maximum": "1/2"}}
    sublattices = {
        "cation": {"sites": 1, "species": cations},
        "anion": {"sites": 2, "species": ["O2-", "F-"]},
    }
    data = {"family": "test", "basis": "formula-unit", "step": "1/3"}
    spec = SpaceSpec.model_validate({**data, "sublattices": sublattices})
    space = GridSpace(spec)
    assert space.count == len(list(space)) == len(brute.brute_force(spec))

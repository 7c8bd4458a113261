from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hts_battery.errors import OrderingError
from hts_battery.schemas.candidate import element_amounts
from hts_battery.schemas.species import VACANCY, parse_species
from hts_battery.structures.nearest_counts import nearest_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    Assignment = dict[str, dict[str, Fraction]]
    Counts = dict[str, dict[str, int]]

TWO = Fraction(2)
METALS = ("Mg2+", "Mn2+", "Mn3+", "Ti4+", "Nb5+")


def splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    for choice in product(range(total + 1), repeat=parts - 1):
        if sum(choice) <= total:
            yield (*choice, total - sum(choice))


def every_cell(assignment: Assignment, units: Fraction) -> Iterator[Counts]:
    """All full and neutral cells that keep every element, by trying everything."""
    fillings = [
        [
            dict(zip(species, counts, strict=True))
            for counts in splits(int(sum(species.values()) * units), len(species))
        ]
        for species in assignment.values()
    ]
    wanted = set(element_amounts(assignment))
    for chosen in product(*fillings):
        counts = dict(zip(assignment, chosen, strict=True))
        if charge(counts) == 0 and set(element_amounts(counts)) == wanted:
            yield counts


def charge(counts: Counts) -> int:
    return sum(
        parse_species(text).charge * n
        for species in counts.values()
        for text, n in species.items()
    )


def deviations(
    assignment: Assignment, counts: Counts, units: Fraction
) -> list[Fraction]:
    """The criteria in their order: elements, their squares, species."""
    here, wanted = element_amounts(counts), element_amounts(assignment)
    elements = [here.get(e, Fraction(0)) / units - wanted[e] for e in wanted]
    species = [
        counts[name].get(text, 0) / units - amount
        for name in assignment
        for text, amount in assignment[name].items()
    ]
    return [
        sum(map(abs, elements), Fraction(0)),
        sum((d * d for d in elements), Fraction(0)),
        sum(map(abs, species), Fraction(0)),
    ]


@st.composite
def compositions(draw: st.DrawFn) -> Assignment:
    """Neutral rocksalts of any amounts: lithium, two metals or valences, fluorine."""
    names = draw(st.lists(st.sampled_from(METALS), min_size=1, max_size=2, unique=True))
    weights = [draw(st.integers(1, 30)) for _ in names]
    mean = Fraction(
        sum(w * parse_species(n).charge for n, w in zip(names, weights, strict=True)),
        sum(weights),
    )
    positive = draw(
        st.fractions(min_value="9/4", max_value=min(4, 2 * mean), max_denominator=30)
    )
    metal = (positive - 2) / (mean - 1)
    cation = {"Li+": 2 - metal} if metal < 2 else {}
    for name, weight in zip(names, weights, strict=True):
        cation[name] = metal * weight / sum(weights)
    anion = {"O2-": positive - 2, "F-": 4 - positive}
    return {"cation": cation, "anion": {s: a for s, a in anion.items() if a}}


@settings(max_examples=60, deadline=None)
@given(assignment=compositions(), units=st.integers(2, 4))
def test_nothing_that_trying_everything_finds_is_nearer(
    assignment: Assignment, units: int
) -> None:
    cells = list(every_cell(assignment, Fraction(units)))
    if not cells:
        with pytest.raises(OrderingError):
            nearest_counts(assignment, Fraction(units))
        return
    found = nearest_counts(assignment, Fraction(units))
    best = min(deviations(assignment, cell, Fraction(units)) for cell in cells)
    assert deviations(assignment, found, Fraction(units)) == best
    assert charge(found) == 0


@settings(max_examples=25, deadline=None)
@given(
    silicon=st.fractions(min_value=0, max_value="29/10", max_denominator=30),
    share=st.fractions(min_value="1/20", max_value="19/20", max_denominator=30),
)
def test_the_same_holds_with_vacancies(silicon: Fraction, share: Fraction) -> None:
    # Na(x)(Zr,Sc)2(Si,P)3O12: sodium balances scandium and silicon.
    scandium = share * min(Fraction(2), 3 - silicon)
    sodium = 1 + scandium + silicon
    alkali = {"Na+": sodium, VACANCY: 4 - sodium}
    metal = {"Sc3+": scandium, "Zr4+": 2 - scandium}
    centre = {"Si4+": silicon, "P5+": 3 - silicon}
    assignment = {
        "alkali": alkali,
        "metal": metal,
        "polyanion": {s: a for s, a in centre.items() if a},
        "oxygen": {"O2-": Fraction(12)},
    }
    units = Fraction(2)
    cells = list(every_cell(assignment, units))
    assume(cells)
    found = nearest_counts(assignment, units)
    best = min(deviations(assignment, cell, units) for cell in cells)
    assert deviations(assignment, found, units) == best
    filled = {name: sum(species.values()) for name, species in found.items()}
    assert filled == {"alkali": 8, "metal": 4, "polyanion": 6, "oxygen": 24}


def test_an_exact_composition_is_itself() -> None:
    cation = {"Li+": Fraction("1.3"), "Mn3+": Fraction("0.4"), "Ti4+": Fraction("0.3")}
    anion = {"O2-": Fraction("1.7"), "F-": Fraction("0.3")}
    found = nearest_counts({"cation": cation, "anion": anion}, Fraction(10))
    assert found == {
        "cation": {"Li+": 13, "Mn3+": 4, "Ti4+": 3},
        "anion": {"F-": 3, "O2-": 17},
    }


def test_ties_fall_the_same_way_whatever_the_order_of_species() -> None:
    # Half a site of each of two like metals: either may have it.
    cation = {"Li+": Fraction(1), "Sc3+": Fraction(1, 2), "Y3+": Fraction(1, 2)}
    forward = {"cation": cation, "anion": {"O2-": TWO}}
    backward = {"cation": dict(reversed(cation.items())), "anion": {"O2-": TWO}}
    found = nearest_counts(forward, Fraction(3))
    assert found == nearest_counts(backward, Fraction(3))
    assert found["cation"] == {"Li+": 3, "Sc3+": 1, "Y3+": 2}


def test_a_trace_keeps_a_site() -> None:
    cation = {"Mg2+": Fraction(199, 100), "Ni2+": Fraction(1, 100)}
    found = nearest_counts({"cation": cation, "anion": {"O2-": TWO}}, Fraction(4))
    assert found["cation"] == {"Mg2+": 7, "Ni2+": 1}


def test_one_valence_may_vanish_where_the_element_stays() -> None:
    cation = {
        "Li+": Fraction("1.01"),
        "Mn3+": Fraction("0.97"),
        "Mn4+": Fraction("0.02"),
    }
    anion = {"O2-": TWO}
    found = nearest_counts({"cation": cation, "anion": anion}, Fraction(4))
    assert found["cation"] == {"Li+": 4, "Mn3+": 4}


def test_an_element_on_two_sublattices_counts_once() -> None:
    assignment = {
        "tetrahedral": {"Mg2+": Fraction(3, 4), "Al3+": Fraction(1, 4)},
        "octahedral": {"Al3+": Fraction(7, 4), "Mg2+": Fraction(1, 4)},
        "oxygen": {"O2-": Fraction(4)},
    }
    found = nearest_counts(assignment, Fraction(2))
    assert element_amounts(found) == {"Al": 4, "Mg": 2, "O": 8}


def test_more_elements_than_sites_are_refused() -> None:
    metals = ("Mg2+", "Ca2+", "Ni2+", "Co2+", "Zn2+")
    cation = {name: Fraction(2, 5) for name in metals}
    with pytest.raises(OrderingError, match=r"cation has 4 sites .* for 5 elements"):
        nearest_counts({"cation": cation, "anion": {"O2-": TWO}}, Fraction(2))


def test_a_size_without_a_neutral_cell_is_refused() -> None:
    # One of each is all that two sites can hold, and LiNbO2 is not neutral.
    cation = {"Li+": Fraction("1.5"), "Nb5+": Fraction("0.5")}
    with pytest.raises(OrderingError, match=r"2 cation, 2 anion sites: no whole num"):
        nearest_counts({"cation": cation, "anion": {"O2-": TWO}}, Fraction(1))


def test_an_element_on_two_sublattices_that_cannot_stay_is_refused() -> None:
    # One site each: neutral only as MgO, which would lose lithium.
    assignment = {
        "first": {"Mg2+": Fraction(1, 2), "Li+": Fraction(1, 2)},
        "second": {"O2-": Fraction(3, 4), "Li+": Fraction(1, 4)},
    }
    with pytest.raises(OrderingError, match=r"keep every element"):
        nearest_counts(assignment, Fraction(1))

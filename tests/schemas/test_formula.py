from __future__ import annotations

from fractions import Fraction
from math import gcd

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import (
    ELEMENTS,
    canonical_formula,
    common_divisor,
    display_formula,
    integer_amounts,
    parse_formula,
)

amounts = st.dictionaries(
    st.sampled_from(sorted(ELEMENTS)),
    st.builds(
        Fraction, st.integers(1, 400), st.sampled_from([1, 2, 3, 4, 6, 10, 12, 1000])
    ),
    min_size=1,
    max_size=12,
)


@given(amounts)
def test_formulas_come_back_exactly(given_amounts: dict[str, Fraction]) -> None:
    canonical = canonical_formula(given_amounts)
    assert canonical_formula(parse_formula(canonical)) == canonical
    shown = parse_formula(display_formula(given_amounts))
    assert canonical_formula(shown) == canonical
    integers = integer_amounts(given_amounts)
    ratio = Fraction(integers[min(integers)]) / given_amounts[min(integers)]
    assert all(integers[el] == ratio * n for el, n in given_amounts.items())


@given(amounts, st.randoms(use_true_random=False))
def test_order_of_elements_does_not_matter(
    given_amounts: dict[str, Fraction], random: object
) -> None:
    pairs = list(given_amounts.items())
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert canonical_formula(dict(pairs)) == canonical_formula(given_amounts)
    assert display_formula(dict(pairs)) == display_formula(given_amounts)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("Li4/3Ti2/3O2", "Li2O3Ti1"),
        ("Na0.25Al1/6O1", "Al2Na3O12"),
        ("Na3Zr2(SiO4)2PO4", "Na3O12P1Si2Zr2"),
        ("[Li(OH)]2", "H1Li1O1"),
        ("Li1.3Mn0.4 Ti0.3O1.7F0.3", "F3Li13Mn4O17Ti3"),
        ("NaCaAl(SO4)3", "Al1Ca1Na1O12S3"),
    ],
)
def test_spellings(text: str, canonical: str) -> None:
    assert canonical_formula(parse_formula(text)) == canonical


@pytest.mark.parametrize(
    "text", ["", "Xx2", "Li(", "Li)", "2Li", "Li2 3", "Li1/0", "Li-1", "li", "Li0"]
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(CompositionError):
        parse_formula(text)


@given(amounts)
def test_the_common_divisor_is_the_greatest(given_amounts: dict[str, Fraction]) -> None:
    values = list(given_amounts.values())
    divisor = common_divisor(values)
    counts = [value / divisor for value in values]
    assert all(count.denominator == 1 for count in counts)
    assert gcd(*(int(count) for count in counts)) == 1
    assert common_divisor(iter(values)) == divisor

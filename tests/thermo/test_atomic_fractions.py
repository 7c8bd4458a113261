from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import atomic_fractions, parse_formula
from hts_battery.thermo.envelope import fraction_rows


@given(
    st.dictionaries(
        st.sampled_from(["Li", "Mn", "O", "F", "Nb"]), st.integers(1, 999), min_size=1
    )
)
def test_fast_reading_equals_exact_reading(counts: dict[str, int]) -> None:
    text = "".join(f"{el}{n / 10}" for el, n in counts.items())
    exact = parse_formula(text)
    total = sum(exact.values(), Fraction(0))
    read = atomic_fractions(text)
    assert read == pytest.approx({el: float(n / total) for el, n in exact.items()})


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Na3Zr2(SiO4)2PO4", {"Na": 3, "Zr": 2, "Si": 2, "P": 1, "O": 12}),
        ("Li4/3Ti2/3O2", {"Li": 2, "Ti": 1, "O": 3}),
        ("OLiO", {"Li": 1, "O": 2}),
        ({"Li": Fraction(1, 2), "O": 1, "F": 0}, {"Li": 1, "O": 2}),
    ],
)
def test_brackets_fractions_repeats_and_amounts(
    formula: str, expected: dict[str, int]
) -> None:
    total = sum(expected.values())
    assert atomic_fractions(formula) == pytest.approx(
        {el: n / total for el, n in expected.items()}
    )


def test_an_answer_may_be_changed_without_harm() -> None:
    atomic_fractions("Li2O").clear()
    assert set(atomic_fractions("Li2O")) == {"Li", "O"}


@pytest.mark.parametrize(
    "formula", ["", "Xx", "li2o", "Li2O)", "Li0", {}, {"Li": -1, "O": 2}, {"Q": 1}]
)
def test_what_is_no_composition_is_refused(formula: str) -> None:
    with pytest.raises(CompositionError):
        atomic_fractions(formula)


def test_rows_say_what_lies_outside() -> None:
    rows, inside = fraction_rows(["Li2O", "Fe"], ["O", "Li"])
    assert rows[0].tolist() == pytest.approx([1 / 3, 2 / 3])
    assert inside.tolist() == [True, False]

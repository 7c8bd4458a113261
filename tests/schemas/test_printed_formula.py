"""Formulas as papers print them are read exactly, or refused."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import CompositionError
from hts_battery.schemas.formula import parse_formula

OXIDE = parse_formula("Li1.2Mn0.4Ti0.4O2")
LATP = parse_formula("Li1.3Al0.3Ti1.7P3O12")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Li₁.₂Mn₀.₄Ti₀.₄O₂", OXIDE),
        ("Li_{1.2}Mn_{0.4}Ti_{0.4}O_2", OXIDE),
        (r"$\mathrm{Li_{1.2}Mn_{0.4}Ti_{0.4}O_{2}}$", OXIDE),
        (r"\ce{Li1.2Mn0.4Ti0.4O2}", OXIDE),
        (r"{\rm Li}_{1.2}{\rm Mn}_{0.4}{\rm Ti}_{0.4}{\rm O}_2", OXIDE),
        (r"$\mathrm{Li}_2\mathrm{MnO}_3$", parse_formula("Li2MnO3")),
        (r"\text{LiMnO}_{2}", parse_formula("LiMnO2")),
        (r"\mathrm{Li}(\mathbf{MnO}_2)_2", parse_formula("LiMn2O4")),
        (r"${\rm Li}_2\,{\rm MnO}_3$", parse_formula("Li2MnO3")),
        ("Li$_{1.2}$Mn$_{0.4}$Ti$_{0.4}$O$_2$", OXIDE),
        ("Li1.2 Mn0.4 Ti0.4 O2", OXIDE),
        ("Li\u00a01.2\u2009Mn0.4 Ti0.4 O2", OXIDE),
        ("Li1·2Mn0·4Ti0·4O2", OXIDE),
        ("Li₁·₂Mn₀·₄Ti₀·₄O₂", OXIDE),
        ("Li_{1·2}Mn_{0·4}Ti_{0·4}O2", OXIDE),
        ("Li1,2Mn0,4Ti0,4O2", OXIDE),
        ("Li<sub>1.2</sub>Mn<sub>0.4</sub>Ti<sub>0.4</sub>O<sub>2</sub>", OXIDE),
        ("\uff2c\uff491.2Mn0.4Ti0.4O2", OXIDE),
        ("Li\u200b1.2Mn0.4Ti0.4O2", OXIDE),
        ("[Li1.2]{Mn0.4Ti0.4}O2", OXIDE),
        ("Li₁.₃Al₀.₃Ti₁.₇(PO₄)₃", LATP),
        (r"Li_{1.3}Al_{0.3}Ti_{1.7}(PO_4)_3", LATP),
        ("Li1.3Al0.3Ti1.7{PO4}3", LATP),
        ("0.5Li2MnO3·0.5LiMnO2", parse_formula("Li1.5MnO2.5")),
        ("1/2 Li2MnO3 • 1/2 LiMnO2", parse_formula("Li1.5MnO2.5")),
        ("Li2MnO3·LiMnO2", parse_formula("Li3Mn2O5")),
        ("Li₄\u2044₃Ti₂\u2044₃O₂", parse_formula("Li4/3Ti2/3O2")),
        (r"Li_{\frac{4}{3}}Ti_{2/3}O_2", parse_formula("Li4/3Ti2/3O2")),
        ("Li½Mn½O", parse_formula("Li0.5Mn0.5O")),
    ],
)
def test_a_printed_formula_is_read_exactly(
    text: str, meant: dict[str, Fraction]
) -> None:
    assert parse_formula(text) == meant


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Mn²O3", "holds a superscript: write the formula without charges"),
        ("Mn^{2+}O", "holds a superscript"),
        ("CuSO4·5H2O", "may be a decimal point or join two formulas"),
        ("Li1·2Mn1·8O4", "may be a decimal point or join two formulas"),
        ("Li1½O", "cannot read '½O'"),
        ("Li1.2Mn0.4Ti0.4O2-xFx", "write each amount as a number"),
        ("Li1.2Mn0.4Ti0.4O₂−δ", "write each amount as a number"),  # noqa: RUF001 - as printed
        ("Li1+xMn2O4", "write each amount as a number"),
        ("li2o", "an element begins with a capital letter, like Li"),
        ("LI2O", "'L' in 'LI2O' is not an element"),
        ("Li1 2O", "misplaced amount '2'"),
        ("Li2O.", "cannot read '.'"),
        ("·", "cannot read"),
        ("", "names no element"),
    ],
)
def test_what_may_mean_two_things_is_refused(text: str, says: str) -> None:
    with pytest.raises(CompositionError) as caught:
        parse_formula(text)
    assert says in str(caught.value)


AMOUNTS = st.dictionaries(
    st.sampled_from(["Li", "Mn", "Ti", "Co", "O", "F"]),
    st.integers(1, 9999).map(lambda n: Fraction(n, 100)),
    min_size=1,
)
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


@given(AMOUNTS)
def test_every_way_of_printing_gives_the_same_amounts(
    amounts: dict[str, Fraction],
) -> None:
    parts = [(symbol, f"{float(n):.2f}") for symbol, n in amounts.items()]
    ways = (
        "".join(f"{symbol}{n.translate(SUBSCRIPTS)}" for symbol, n in parts),
        "".join(f"{symbol}_{{{n}}}" for symbol, n in parts),
        " ".join(f"{symbol}{n}" for symbol, n in parts),
        "".join(f"{symbol}{n.replace('.', ',')}" for symbol, n in parts),
        "".join(f"{symbol}<sub>{n}</sub>" for symbol, n in parts),
        "$\\mathrm{" + "".join(f"{symbol}_{{{n}}}" for symbol, n in parts) + "}$",
    )
    for way in ways:
        assert parse_formula(way) == amounts

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hts_battery.errors import ConfigurationError
from hts_battery.learning.expressions import (
    BINARY,
    UNARY,
    Expression,
    allowed,
    column,
    rounded,
)
from hts_battery.learning.units import read_units

COLUMNS = {
    name: np.random.default_rng(number).uniform(0.5, 3, 20)
    for number, name in enumerate("abc")
}
expressions = st.recursive(
    st.sampled_from("abc").map(column),
    lambda inner: (
        st.builds(
            lambda name, one: Expression(name, (one,)),
            st.sampled_from(sorted(UNARY)),
            inner,
        )
        | st.builds(
            lambda name, one, two: Expression(name, (one, two)),
            st.sampled_from(sorted(BINARY)),
            inner,
            inner,
        )
    ),
    max_leaves=4,
)


@given(expressions)
def test_python_source_is_the_expression(expression: Expression) -> None:
    with np.errstate(all="ignore"):
        found = eval(  # noqa: S307 - the source that is tested
            expression.python, {"np": np, "columns": COLUMNS}
        )
    assert np.array_equal(found, expression(COLUMNS), equal_nan=True)
    assert expression.latex.count("{") == expression.latex.count("}")


def test_formulas_as_people_read_them() -> None:
    a, b = column("a"), column("b_2")
    both = Expression("/", (Expression("square", (Expression("+", (a, b)),)), b))
    assert both.text == "(((a + b_2))^2 / b_2)"
    assert r"\mathrm{b\_2}" in both.latex
    assert both.complexity == 3
    assert Expression("inv", (a,)).text == "1/a"
    assert (rounded(1234567.0), rounded(0.0), rounded(-0.000123456789)) == (
        *(1234570.0, 0.0, -0.000123457),
    )


def test_units_add_up_and_allow_or_refuse() -> None:
    units = read_units(
        {"a": "eV", "b": "eV/angstrom^2", "c": "1", "d": "angstrom * angstrom"}
    )
    a, b, c, d = (column(name, units[name]) for name in "abcd")
    product = Expression("*", (b, d))
    assert product.units == a.units
    assert allowed("+", product, a)
    assert not allowed("+", a, b)
    assert not allowed("exp", a)
    assert allowed("exp", Expression("/", (product, a)))
    assert allowed("log", c)
    root = Expression("sqrt", (Expression("cube", (a,)),))
    assert root.units == {"eV": Fraction(3, 2)}
    assert Expression("exp", (c,)).units == {}
    assert allowed("exp", column("x"))  # units not asked about
    for text in ("eV angstrom", "eV^", "/", "3"):
        with pytest.raises(ConfigurationError, match="of a"):
            read_units({"a": text})


def test_what_is_not_defined_is_no_number() -> None:
    columns = {"a": np.array([0.0, -1.0, 4.0])}
    for name in ("log", "sqrt", "inv"):
        found = Expression(name, (column("a"),))(columns)
        assert not np.isfinite(found).all()

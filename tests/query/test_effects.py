from __future__ import annotations

from fractions import Fraction

import pytest

from hts_battery.query.effects import chemistry_terms, composition_terms

F = Fraction
FORMULAS = ["Li1.2Mn0.4Ti0.4O2", "Li1.2Fe0.2Zr0.2Ni0.2Sb0.2O1.8F0.2"]
ASSIGNMENTS = [
    {
        "cation": {"Li+": F("1.2"), "Mn3+": F("0.4"), "Ti4+": F("0.4")},
        "anion": {"O2-": F(2)},
    },
    {
        "cation": {
            "Li+": F("1.2"),
            "Fe2+": F("0.2"),
            "Zr4+": F("0.2"),
            "Ni3+": F("0.2"),
            "Sb5+": F("0.2"),
        },
        "anion": {"O2-": F("1.8"), "F-": F("0.2")},
    },
]


def test_metals_count_among_each_other_only() -> None:
    terms, symbols = composition_terms(FORMULAS)
    assert symbols == ("Fe", "Mn", "Ni", "Sb", "Ti", "Zr")
    assert terms["Li"] == [12, 12]
    assert terms["F"] == [0, 2]
    assert terms["Mn"] == [0.5, 0]
    assert [sum(terms[symbol][row] for symbol in symbols) for row in (0, 1)] == [1, 1]


def test_what_the_chemistry_says() -> None:
    terms = chemistry_terms(FORMULAS, ASSIGNMENTS)
    assert terms["metals"] == [2, 4]
    assert terms["redox"] == pytest.approx([4, 4])
    assert terms["d0"] == pytest.approx([4, 2])
    # Ni3+ takes the electron of Fe2+; Mn3+ and Ti4+ leave each other alone.
    assert terms["incompatible"] == [0, 1]
    # Shannon: Mn3+ 0.645, Ti4+ 0.605 angstrom.
    assert terms["radius"][0] == pytest.approx(62.5)
    assert terms["mismatch"][0] == pytest.approx(100 * 0.02 / 0.625)

"""Filters in OPTIMADE's language: what they mean, and what is refused."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pytest
from filter_meanings import SAME
from hypothesis import given, settings
from hypothesis import strategies as st
from optimade.filterparser import LarkParser
from synthetic_summaries import METALS, fill, synthetic_summaries

from hts_battery.errors import QueryError
from hts_battery.query import ScreeningDatabase
from hts_battery.query.filters import _parser, read_filter
from hts_battery.query.query_fields import FIELDS, query_field

if TYPE_CHECKING:
    from hts_battery.connections.database.stores import Stores

    Summary = dict[str, Any]


@pytest.mark.mongo
def test_filters_mean_what_they_say(stores: Stores) -> None:
    fill(stores, 300)
    docs = list(synthetic_summaries(300))
    screening = ScreeningDatabase(stores)
    texts = dict(SAME)
    draw = random.Random(3)  # noqa: S311 - no secret
    for _ in range(60):
        first, second = draw.sample([text for text in SAME if text], 2)
        one, other = SAME[first], SAME[second]
        texts[f"({first}) AND ({second})"] = lambda doc, one=one, other=other: (
            one(doc) and other(doc)
        )
        texts[f"({first}) OR ({second})"] = lambda doc, one=one, other=other: (
            one(doc) or other(doc)
        )
    for text, meaning in texts.items():
        expected = {doc["candidate_id"] for doc in docs if meaning(doc)}
        found = {row["candidate_id"] for row in screening.table(text, fields=["id"])}
        assert found == expected, text
        assert screening.count(text) == len(expected), text


def test_a_formula_is_found_in_any_spelling() -> None:
    found = read_filter('chemical_formula_reduced = "TiO3Li2"')
    assert read_filter('formula = "Li2TiO3"').equals(found)
    found = read_filter('chemical_system = "Ti-O-Li"')
    assert found.equals(pc.field("chemical_system") == "Li-O-Ti")


REFUSED = {
    "ehul < 1": "near it: e_hull",
    'e_hull = "a"': "number in eV/atom",
    'elements = "Mn"': "HAS",
    'elements HAS "Xx"': "not an element",
    'species HAS "Mn"': "not a species",
    "e_hull <": "cannot read the filter",
    "e_hull < 1 AND": "ends too early",
    "e_hull < 1e999": "too large",
    "n_metals = 5.5": "whole number",
    'label_1473 = "XX"': "GS, LS, US",
    "e_hull < t_mix": "cannot be compared",
    f"{'(' * 21}e_hull < 1{')' * 21}": "brackets",
    'elements:species HAS "Mn":"Ti"': "side by side",
    "e_hull = TRUE": "TRUE or FALSE",
    "open_1473 = 1": "is TRUE or FALSE, not 1",
    "open_1473 > FALSE": "with = or !=",
    "deviation = TRUE": "is a number in atoms per formula unit",
    'elements HAS < "Mn"': "no comparisons",
    'elements HAS ALL < "Mn"': "no comparisons",
    'structures.id = "a"': "no field",
    '"a" = "b"': "name of a field",
    "1 = 1": "name of a field",
    "family > 1": "is text",
    'family = "a" AND family = 1': "quotes",
    "e_hull HAS 1": "no list",
    "e_hull STARTS WITH 1": "not text",
    "family CONTAINS 1": "quotes",
    "family LENGTH 1": "of lists",
    'formula = "Qq2"': "not an element",
    'id = "x\n"': "one line",
    "a" * 2001: "2000 characters",
    "$where = 1": "cannot read",
    "e_hull_999 < 1": "no value is stored at 999 K, only at 0, 1473 K",
}


@pytest.mark.parametrize("text", sorted(REFUSED), ids=lambda text: text[:30])
def test_what_cannot_be_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(QueryError) as err:
        read_filter(text, partial(query_field, temperatures=(0.0, 1473.0)))
    assert REFUSED[text] in str(err.value)


def test_a_property_has_temperatures_of_its_own() -> None:
    at = partial(query_field, temperatures=(0.0, 1473.0))
    # Of what no candidate has a value, it is null at each that is stored.
    assert at("e_hull_boltzmann_1473").name == "e_hull_boltzmann_1473"
    own = partial(at, properties={"e_hull_boltzmann": [1000.0]})
    for name in ("e_hull_boltzmann", "e_hull_boltzmann_uncertainty"):
        assert own(f"{name}_1000").name == f"{name}_1000"
        for find, kelvins in ((own, "1000"), (at, "0, 1473")):
            with pytest.raises(QueryError, match=f"at 1200 K, only at {kelvins} K"):
                find(f"{name}_1200")


WORDS = st.sampled_from(
    [
        *FIELDS,
        *("e_hull_1473", "label_0", "AND", "OR", "NOT", "HAS", "HAS ALL", "HAS ONLY"),
        *("IS KNOWN", "STARTS WITH", "LENGTH", "(", ")", "<", "<=", "=", "!=", ","),
        *('"Mn"', '"Ti"', '"a.*(b+)+$"', '"\\""', "0.1", "-3", "1e308", "7", "$where"),
        *(":", "TRUE", "\\", '"', "{", "[", "9" * 400, "é", "\x00", "\ud800"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_words_are_read_or_refused(text: str) -> None:
    start = time.process_time()
    with suppress(QueryError):
        read_filter(text)
    assert time.process_time() - start < 2


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(QueryError):
        read_filter(text)


def test_the_longest_filters_are_read_at_once() -> None:
    for text in (
        "(" * 20 + "e_hull < 1" + ")" * 20,
        " AND ".join(["e_hull < 1"] * 130),
        " OR ".join(['elements HAS ALL "Mn","Ti"'] * 65),
        "elements HAS ALL " + ",".join(['"Mn"'] * 300),
        'family = "' + "x" * 1900 + '"',
    ):
        start = time.process_time()
        read_filter(text)
        assert time.process_time() - start < 2


# Theirs throws away whether TRUE or FALSE was written.
@pytest.mark.parametrize(
    "text", sorted(text for text in SAME if text and "open_" not in text)
)
def test_our_parser_reads_their_grammar_as_theirs_does(text: str) -> None:
    assert _parser().parse(text) == LarkParser().parse(text)


def test_every_field_says_what_it_is() -> None:
    for name, field in FIELDS.items():
        assert query_field(name) is field
        assert query_field(f"_hts_{name}") is field
        assert field.description
    assert query_field("e_hull_1273_15").path == "energy_above_hull_at.1273_15K"
    assert len(METALS) == len(set(METALS))

from __future__ import annotations

from itertools import combinations
from math import hypot

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.dashboard.chord import (
    MOST_RIBBONS,
    ChordPairs,
    chord_figure,
    pair_name,
)

ELEMENTS = ("Co", "Cr", "Fe", "Mn", "Nb", "Ni", "Ti", "V", "W", "Zr", "Mg", "Al")
PAIRS = [frozenset(pair) for pair in combinations(ELEMENTS, 2)]


@st.composite
def chord_pairs(draw: st.DrawFn) -> ChordPairs:
    predicted = draw(st.dictionaries(st.sampled_from(PAIRS), st.integers(0, 50)))
    reported = draw(st.frozensets(st.sampled_from(PAIRS)))
    return ChordPairs(
        ELEMENTS, predicted, reported, {pair: n // 2 for pair, n in predicted.items()}
    )


@given(chord_pairs())
def test_each_pair_is_predicted_reported_or_both(pairs: ChordPairs) -> None:
    predicted = {pair for pair, count in pairs.predicted.items() if count}
    assert set(pairs.both) == predicted & pairs.reported
    assert set(pairs.new) == predicted - pairs.reported
    assert set(pairs.missing) == pairs.reported - predicted
    counts = [pairs.predicted[pair] for pair in pairs.drawn]
    assert counts == sorted(counts, reverse=True)
    assert len(pairs.drawn) == min(len(predicted), MOST_RIBBONS)


@given(chord_pairs())
@settings(deadline=None, max_examples=25)
def test_a_ribbon_a_pair_and_an_arc_an_element_all_on_the_circle(
    pairs: ChordPairs,
) -> None:
    figure = chord_figure(pairs)
    elements = {element for pair in pairs.drawn for element in pair}
    assert len(figure.data) == len(elements) + len(pairs.drawn)
    assert {one.text for one in figure.layout.annotations} == elements
    for trace in figure.data:
        assert max(map(hypot, trace.x, trace.y)) <= 1.0501
        assert (trace.x[0], trace.y[0]) == (trace.x[-1], trace.y[-1])


def test_an_arc_is_as_wide_as_its_element_is_frequent() -> None:
    first, second = frozenset(("Mn", "Ti")), frozenset(("Mn", "Co"))
    counts = {first: 3, second: 1}
    pairs = ChordPairs(("Co", "Mn", "Ti"), counts, frozenset(), counts)
    arcs = {}
    for trace in chord_figure(pairs).data:
        if trace.text in pairs.elements:
            half = len(trace.x) // 2
            arcs[trace.text] = sum(
                hypot(trace.x[i + 1] - trace.x[i], trace.y[i + 1] - trace.y[i])
                for i in range(half - 1)
            )
    assert arcs["Mn"] / arcs["Co"] == pytest.approx(4, rel=0.02)
    assert arcs["Ti"] / arcs["Co"] == pytest.approx(3, rel=0.02)
    assert pair_name(first) == "Mn-Ti"

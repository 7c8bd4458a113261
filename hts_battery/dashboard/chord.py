"""Chord diagrams of elements: which pairs are predicted, and which were reported."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi, sin
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from hts_battery.dashboard.figures import BLUE, GREY, ORANGE, styled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Pair = frozenset[str]

MOST_RIBBONS = 60

_GAP = 0.03
_RING = (1.0, 1.05)
_LABEL = 1.13
_STEPS = 24


class ChordWords(NamedTuple):
    """What the ribbons of a diagram are of."""

    both: str
    only: str
    counted: str
    """What is counted of a pair, behind the number."""
    shows_certain: bool
    """Whether it says how many of them are certain."""


PREDICTED = ChordWords(
    "predicted and reported", "predicted only", "stable candidates", shows_certain=True
)
REPORTED = ChordWords(
    "reported and predicted", "reported only", "reported compounds", shows_certain=False
)


@dataclass(frozen=True)
class ChordPairs:
    """Pairs of elements of a chord diagram."""

    elements: tuple[str, ...]
    """In the order in which they stand on the circle."""
    predicted: Mapping[Pair, int]
    """Pair → stable candidates that hold both."""
    reported: frozenset[Pair]
    """Pairs that stand together in a reported compound."""
    certain: Mapping[Pair, int]
    """Pair → those of the stable candidates whose label is not open."""

    @property
    def both(self) -> tuple[Pair, ...]:
        """Predicted and reported, the most frequent first."""
        return tuple(pair for pair in self._ranked if pair in self.reported)

    @property
    def new(self) -> tuple[Pair, ...]:
        """Predicted, in no reported compound."""
        return tuple(pair for pair in self._ranked if pair not in self.reported)

    @property
    def missing(self) -> tuple[Pair, ...]:
        """Reported among these elements, in no stable candidate."""
        here = frozenset(self.elements)
        left = (
            pair
            for pair in self.reported
            if pair <= here and not self.predicted.get(pair)
        )
        return tuple(sorted(left, key=sorted))

    def turned(self, counts: Mapping[Pair, int]) -> ChordPairs:
        """
        Return the other diagram: reported pairs by their compounds.

        ``counts``: pair → reported compounds that hold both.
        """
        here = frozenset(self.elements)
        mine = {pair: n for pair, n in counts.items() if pair <= here}
        predicted = frozenset(pair for pair, n in self.predicted.items() if n)
        return ChordPairs(self.elements, mine, predicted, mine)

    @property
    def drawn(self) -> tuple[Pair, ...]:
        """Predicted pairs that are drawn: more would hide each other."""
        return tuple(self._ranked[:MOST_RIBBONS])

    @property
    def _ranked(self) -> list[Pair]:
        some = [pair for pair, count in self.predicted.items() if count > 0]
        return sorted(some, key=lambda pair: (-self.predicted[pair], sorted(pair)))


def pair_name(pair: Pair) -> str:
    """
    Name a pair, alphabetically.

    Examples
    --------
    >>> pair_name(frozenset(("Ti", "Mn")))
    'Mn-Ti'
    """
    return "-".join(sorted(pair))


def chord_figure(pairs: ChordPairs, words: ChordWords = PREDICTED) -> go.Figure:
    """
    Draw elements on a circle and a ribbon for each pair, as wide as it is frequent.

    ``pairs``: what is drawn. ``words``: what its ribbons are called.
    """
    shown = go.Figure()
    arcs, ends = _places(pairs)
    for element, (start, stop) in arcs.items():
        shown.add_scatter(
            **_closed(_arc(_RING[0], start, stop) + _arc(_RING[1], stop, start)),
            fillcolor=GREY,
            hoverinfo="text",
            text=element,
            showlegend=False,
        )
        middle = (start + stop) / 2
        shown.add_annotation(
            x=_LABEL * cos(middle),
            y=_LABEL * sin(middle),
            text=element,
            showarrow=False,
        )
    for group, colour, name in (
        (pairs.both, BLUE, words.both),
        (pairs.new, ORANGE, words.only),
    ):
        for number, pair in enumerate(frozenset(pairs.drawn).intersection(group)):
            first, second = sorted(pair)
            said = f"{pair_name(pair)}: {pairs.predicted[pair]} {words.counted}; {name}"
            if words.shows_certain:
                said += f"; {pairs.certain[pair]} of them certain"
            shown.add_scatter(
                **_closed(_ribbon(ends[pair, first], ends[pair, second])),
                fillcolor=colour,
                opacity=0.55,
                name=name,
                legendgroup=name,
                showlegend=number == 0,
                hoverinfo="text",
                text=said,
            )
    axis = {"visible": False, "range": [-1.25, 1.25]}
    return styled(
        shown,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis=axis,
        yaxis={**axis, "scaleanchor": "x"},
        legend={"orientation": "h", "y": -0.02, "x": 0},
    )


def _places(
    pairs: ChordPairs,
) -> tuple[dict[str, tuple[float, float]], dict[tuple[Pair, str], tuple[float, float]]]:
    """Share the circle among elements, and each arc among its pairs."""
    shown = pairs.drawn
    weights = {
        element: sum(pairs.predicted[pair] for pair in shown if element in pair)
        for element in pairs.elements
    }
    drawn = [element for element in pairs.elements if weights[element]]
    total = sum(weights.values()) or 1
    free = 2 * pi - _GAP * len(drawn)
    arcs = {}
    ends = {}
    angle = pi / 2
    for element in drawn:
        start = angle
        mine = [pair for pair in shown if element in pair]
        for pair in sorted(mine, key=lambda one: _other(one, element, drawn)):
            width = free * pairs.predicted[pair] / total
            ends[pair, element] = (angle, angle - width)
            angle -= width
        arcs[element] = (start, angle)
        angle -= _GAP
    return arcs, ends


def _other(pair: Pair, element: str, drawn: Sequence[str]) -> int:
    """Place of the partner, counted backwards, so that ribbons cross less."""
    (partner,) = pair - {element}
    return (drawn.index(element) - drawn.index(partner)) % len(drawn)


def _arc(radius: float, start: float, stop: float) -> list[tuple[float, float]]:
    angles = [start + (stop - start) * step / _STEPS for step in range(_STEPS + 1)]
    return [(radius * cos(angle), radius * sin(angle)) for angle in angles]


def _ribbon(
    one: tuple[float, float], other: tuple[float, float]
) -> list[tuple[float, float]]:
    """Join two pieces of the circle by curves through its middle."""
    return [
        *_arc(1.0, *one),
        *_curve(one[1], other[0]),
        *_arc(1.0, *other),
        *_curve(other[1], one[0]),
    ]


def _curve(start: float, stop: float) -> list[tuple[float, float]]:
    """Quadratic curve between two points of the circle, drawn towards its middle."""
    points = []
    for step in range(1, _STEPS):
        share = step / _STEPS
        from_start, from_stop = (1 - share) ** 2, share**2
        points.append(
            (
                from_start * cos(start) + from_stop * cos(stop),
                from_start * sin(start) + from_stop * sin(stop),
            )
        )
    return points


def _closed(points: Sequence[tuple[float, float]]) -> dict[str, object]:
    x, y = zip(*[*points, points[0]], strict=True)
    return {
        "x": [round(value, 4) for value in x],
        "y": [round(value, 4) for value in y],
        "mode": "lines",
        "fill": "toself",
        "line": {"width": 0},
        "hoveron": "fills",
    }

"""One figure a line: the printer of every benchmark."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

VALUE_DIGITS = 6
RATIO_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class Printer:
    """
    Prints each figure as soon as it is known: a JSON object, or a line for people.

    Parameters
    ----------
    as_json
        Whether lines are JSON objects, as ``bench.py`` and ``plot.py`` want them.

    Examples
    --------
    >>> Printer()("stable set", 0.0123456789, "s", peer="a scan", ratio=41.234)
    {"figure": "stable set", "value": 0.0123457, "unit": "s", "peer": "a scan", "ratio": 41.2}
    """  # noqa: E501 - a line is a line

    as_json: bool = True

    def __call__(
        self,
        figure: str,
        value: float,
        unit: str,
        peer: str | None = None,
        ratio: float | None = None,
        **also: int,
    ) -> None:
        """
        Print one figure.

        Parameters
        ----------
        figure
            What was measured.
        value
            How much, to six significant digits; a count, which is an int, whole.
        unit
            Of the value, with what else must be known to read it.
        peer
            What the figure is compared with; nothing else.
        ratio
            The peer's figure over ours, to three significant digits: above 1 ours is
            better. Where more is better, as of a rate, ours over the peer's.
        **also
            Further keys of the line, such as the number of candidates.
        """
        line = {
            "figure": figure,
            "value": value if isinstance(value, int) else rounded(value, VALUE_DIGITS),
            "unit": unit,
            "peer": peer,
            "ratio": None if ratio is None else rounded(ratio, RATIO_DIGITS),
            **also,
        }
        sys.stdout.write((json.dumps(line) if self.as_json else text(**line)) + "\n")
        sys.stdout.flush()


def rounded(value: float, digits: int) -> float:
    """Round to some significant digits."""
    return float(f"{value:.{digits}g}")


def text(
    figure: str,
    value: float,
    unit: str,
    peer: str | None,
    ratio: float | None,
    **also: int,
) -> str:
    """Lay a figure out for people."""
    more = "".join(f", {count} {name}" for name, count in also.items())
    over = "" if ratio is None else f" ÷ ours: {ratio:g}"
    beside = "" if peer is None else f"  ({peer}{over})"
    return f"{figure:<58} {value:>12.6g} {unit}{more}{beside}"

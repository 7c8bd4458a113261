"""What one request may ask for; more is refused before it costs anything."""

from __future__ import annotations

import re

from hts_battery.errors import QueryLimitError

LONGEST_FILTER = 1000
DEEPEST_FILTER = 8
MOST_COMPARISONS = 24

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"\b(?:AND|OR|NOT)\b|,")


def check_filter(text: str) -> None:
    """
    Refuse a filter that is too long, too deep, or compares too much.

    Parameters
    ----------
    text
        A filter in OPTIMADE's language.

    Raises
    ------
    QueryLimitError
        Says which limit is exceeded.

    Examples
    --------
    >>> check_filter('elements HAS "Li" AND nelements=4')
    >>> check_filter("(" * 9 + "nelements=4" + ")" * 9)
    Traceback (most recent call last):
    ...
    hts_battery.errors.QueryLimitError: a filter may be nested 8 deep, not 9
    """
    if len(text) > LONGEST_FILTER:
        raise QueryLimitError(
            f"a filter may have {LONGEST_FILTER} characters, not {len(text)}"
        )
    bare = _TEXT.sub('""', text)
    depth = deepest = 0
    for character in bare:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    if deepest > DEEPEST_FILTER:
        raise QueryLimitError(
            f"a filter may be nested {DEEPEST_FILTER} deep, not {deepest}"
        )
    words = len(_WORD.findall(bare))
    if words > MOST_COMPARISONS:
        raise QueryLimitError(
            f"a filter may hold {MOST_COMPARISONS} of AND, OR, NOT and commas, not "
            f"{words}"
        )

"""Raw MongoDB filters: what is let through, and what is not."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hts_battery.errors import QueryError
from hts_battery.query.selection import OPERATORS, mongo_criteria

GOOD = (
    {},
    {"family": "hedrx"},
    {"energy_above_hull_at.1473K": {"$lte": 0.025, "$gt": -1}},
    {"$or": [{"n_metals": {"$in": [4, 5]}}, {"flags": {"$size": 0}}]},
    {"elements": {"$all": ["Mn", "Ti"], "$nin": ["F"]}},
    {"elements": {"$not": {"$elemMatch": {"$nin": ["Li", "O"]}}}},
    {"decomposition": {"$elemMatch": {"formula": "LiF", "amount": {"$gt": 0.2}}}},
    {"mixing_temperature": None},
    {"formula": {"$regex": "^Li1\\.2"}},
    {"mixing_temperature": {"$exists": True, "$ne": None}},
)


@pytest.mark.parametrize("raw", GOOD, ids=json.dumps)
def test_plain_filters_pass_as_they_are(raw: dict[str, object]) -> None:
    assert mongo_criteria(raw) == raw
    assert mongo_criteria(json.dumps(raw)) == raw


BAD = {
    '{"$where": "while(true){}"}': "$where is not let through",
    '{"family": {"$where": "1"}}': "$where is not let through",
    '{"$expr": {"$gt": ["$a", 1]}}': "not let through",
    '{"family": {"$function": {"body": "x"}}}': "not let through",
    '{"$text": {"$search": "a"}}': "not let through",
    '{"$comment": "x"}': "not let through",
    '{"family_name": "hedrx"}': "near it: family",
    '{"password": 1}': "no field",
    '{"family.$where": 1}': "no field",
    '{"formula": {"$regex": "(a+)+$"}}': "literal text",
    '{"formula": {"$regex": ".*.*.*x"}}': "literal text",
    '{"formula": {"$regex": "a|b"}}': "literal text",
    '{"formula": {"$regex": "[A-Z]"}}': "literal text",
    '{"formula": {"$regex": 1}}': "takes text",
    '{"formula": {"$options": "i"}}': "not let through",
    '{"formula": {}}': "empty object",
    '{"n_metals": {"$size": -1}}': "whole number",
    '{"n_metals": {"$in": 4}}': "takes a list",
    '{"n_metals": {"$in": [[1]]}}': "no number",
    '{"n_metals": {"$exists": 1}}': "true or false",
    '{"n_metals": {"$not": 1}}': "takes an object",
    '{"$and": {}}': "list of filters",
    '{"$or": [1]}': "object of fields",
    '{"n_metals": 1e999}': "too large",
    '{"n_metals": 99999999999999999999}': "too large",
    '{"family": "' + "x" * 300 + '"}': "200 characters",
    '{"family": "\\u0000"}': "plain text",
    "[1]": "JSON object",
    "{": "no JSON",
    "[" * 5000: "JSON",
    "x" * 50001: "50000 characters",
    '{"$and": [' * 12 + "{}" + "]}" * 12: "10 levels",
    json.dumps({"n_metals": {"$in": list(range(5000))}}): "5000 parts",
}


@pytest.mark.parametrize("raw", sorted(BAD), ids=lambda raw: raw[:40])
def test_what_could_do_harm_is_refused(raw: str) -> None:
    with pytest.raises(QueryError) as err:
        mongo_criteria(raw)
    assert BAD[raw] in str(err.value)


FORBIDDEN = ("$where", "$expr", "$function", "$accumulator")
NAMES = st.sampled_from(
    [*FORBIDDEN, *sorted(OPERATORS), "family", "elements", "n_metals", "x", "", "roles"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=3))
def test_anything_passes_whole_or_is_refused(raw: dict[str, object]) -> None:
    with suppress(QueryError):
        found = mongo_criteria(raw)
        text = json.dumps(found)
        assert found == raw
        assert not any(f'"{name}":' in text for name in FORBIDDEN)

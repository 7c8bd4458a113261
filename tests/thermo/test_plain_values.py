from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from fractions import Fraction

import numpy as np
import pytest
from pymatgen.core import Composition

from hts_battery.thermo.entry_structures import mapping_of, number_of, plain


class Named:
    """Something that a decoder made of a document."""


class Kind(Enum):
    """An enumeration, as other programs state run types."""

    GGA = "GGA"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"$numberInt": "4"}, 4.0),
        ({"$numberLong": "4"}, 4.0),
        ({"$numberDecimal": "-1.25"}, -1.25),
        ({"$uuid": "a-b"}, "a-b"),
        (np.array([[1.0, 2.0]]), [[1.0, 2.0]]),
        (np.float32(0.5), 0.5),
        (np.array(2), 2),
        ((1, {"a": np.int64(3)}), [1, {"a": 3}]),
        (
            {"@module": "numpy", "@class": "array", "data": [{"$numberInt": "1"}]},
            [1.0],
        ),
        (Composition("Li2O"), {"Li": 2.0, "O": 1.0}),
        ({"@module": "os", "@class": "system"}, {"@module": "os", "@class": "system"}),
        ({1: None}, {"1": None}),
        (Kind.GGA, "GGA"),
        ({"@module": "m", "@class": "RunType", "value": "GGA"}, "GGA"),
        ({"@module": "m", "@class": "MPID", "string": "mp-5", "id": 5}, "mp-5"),
        # A correction's value is a number, and the rest of it counts.
        ({"@class": "Manual", "value": 1.5}, {"@class": "Manual", "value": 1.5}),
    ],
)
def test_values_become_built_in_ones(given: object, expected: object) -> None:
    assert plain(given) == expected


def test_what_is_of_no_known_kind_stays() -> None:
    when, named = datetime.now(UTC), Named()
    assert plain([when, named, Named]) == [when, named, Named]


@pytest.mark.parametrize("value", [2, 2.0, Fraction(2), np.float64(2), np.array(2)])
def test_a_number_of_any_kind_is_read(value: object) -> None:
    assert number_of(value, "x") == 2.0


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "x is no number but NoneType"),
        (True, "x is no number but bool"),
        ("2", "x is no number but str"),
        ([2], "x is no number but list"),
        (float("nan"), "x nan is not a finite number of eV"),
        (10**400, "x is too large a number"),
    ],
)
def test_what_is_no_finite_number_is_refused(value: object, says: str) -> None:
    with pytest.raises((TypeError, ValueError), match=says):
        number_of(value, "x", "eV")


def test_what_is_no_mapping_is_an_empty_one() -> None:
    assert mapping_of({"a": 1}) == {"a": 1}
    assert mapping_of(None) == mapping_of([1]) == mapping_of("a") == {}

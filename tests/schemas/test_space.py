from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from hts_battery.errors import SpecError
from hts_battery.schemas.files import line_of, load_yaml, parse_yaml
from hts_battery.schemas.space import AmountRange, Selection, SpaceSpec

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "family": "hedrx",
    "basis": "formula-unit",
    "step": 0.1,
    "sublattices": {"cation": {"sites": 2, "species": ["Li1+", "Mn3+"]}},
}


def test_amounts_are_the_decimals_written() -> None:
    spec = SpaceSpec.model_validate(GOOD)
    assert spec.step == Fraction(1, 10)
    assert SpaceSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert set(spec.sublattices["cation"].species) == {"Li+", "Mn3+"}


@pytest.mark.parametrize(
    "change",
    [
        {"contents": {"Li": [1]}, "stoichiometries": [{"Li": 1}]},
        {"stoichiometries": [{"Li": 1}, {"Mn": 1}]},
        {"contents": {"Li": [1]}, "balance": "Li"},
        {"balance": "F"},
        {"exclusions": [["Li"]]},
        {"exclusions": [["Li", "V5+"]]},
        {"exclusions": [["Li", "nonsense"]]},
        {"elements": {"Li": {"minimum": 2, "maximum": 1}}},
        {"elements": {"Li": {"minimum": -1}}},
        {"step": "one"},
        {"sublattices": {}},
        {"sublattices": {"cation": {"sites": 0, "species": ["Li+"]}}},
        {"sublattices": {"cation": {"sites": 1, "species": []}}},
        {"sublattices": {"cation": {"sites": 1, "species": "Li+"}}},
        {"sublattices": {"cation": {"sites": 1, "species": [3]}}},
        {"family": "With Space"},
    ],
)
def test_contradictions_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SpaceSpec.model_validate({**GOOD, **change})


def test_a_range_of_amounts_is_exact() -> None:
    found = AmountRange.model_validate({"first": 0, "last": 1, "step": "1/3"})
    assert found.amounts == (0, Fraction(1, 3), Fraction(2, 3), 1)
    with pytest.raises(ValidationError, match="do not reach"):
        AmountRange.model_validate({"first": 0, "last": 1, "step": 0.3})


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "range", "start": 0},
        {"method": "range", "start": 4, "stop": 4},
        {"method": "sample", "count": 3},
        {"method": "all", "seed": 3},
        {"method": "range", "start": 0, "stop": 3, "stratify": "metals"},
        {"method": "sample", "count": 3, "seed": 0, "stratify": []},
        {"method": "sample", "count": 3, "seed": 0, "stratify": "colour"},
        {"method": "sample", "count": 3, "seed": 0, "stratify": ["metals", "metals"]},
        {"method": "formulas"},
        {"method": "guess"},
    ],
)
def test_a_selection_takes_its_own_fields_only(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Selection.model_validate(fields)


def test_lines_of_fields(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\nb:\n  - c: 2\n    d: 3\n")
    data, lines = load_yaml(path)
    assert data == {"a": 1, "b": [{"c": 2, "d": 3}]}
    assert (lines["a"], lines["b.0.c"], lines["b.0.d"]) == (1, 3, 4)
    assert line_of("b.0.missing.deep", lines) == 3
    assert line_of("b", None) is None


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: [1\n", "{a: b: c}", "a: !!x 1"])
def test_bad_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, name="x.yaml")
    assert str(caught.value).startswith("x.yaml:")


def test_empty_text_has_no_lines() -> None:
    assert parse_yaml("") == (None, {})

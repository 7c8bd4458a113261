"""YAML files whose errors know their line: what, where and in which field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hts_battery.errors import SpecError
from hts_battery.schemas.campaign import CampaignSpec
from hts_battery.schemas.files import line_of, load_yaml, parse_yaml, spec_error

if TYPE_CHECKING:
    from pathlib import Path

CAMPAIGN = """\
name: one
space: space.yaml
selection:
  method: sample
  count: 3
  seed: 1
structure:
  atoms: 40
"""


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("a: [1,\n2", "the bracket that opens on this line is not closed", 1),
        ("a: 1\nb: 2\na: 3\n", "a second time", 3),
        ("a:\n  b: 1\n  b: 2\n", "a second time", 3),
        ("a: 1\n b: 2\n", "not YAML", 2),
        ("a: !!python/object:os.system {}\n", "not YAML", 1),
        ("a: *nothing\n", "not YAML", 1),
        ("\t- a\n", "not YAML", 1),
        ("a: 2001-99-99\n", "cannot read this YAML", None),
    ],
)
def test_what_is_no_yaml_is_refused_on_its_line(
    text: str, says: str, line: int | None
) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        parse_yaml(text, name="file.yaml")
    assert caught.value.file == "file.yaml"
    assert caught.value.line == line


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read this file: No such file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="cannot read this file: Is a directory"):
        load_yaml(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="this file is in UTF-16: save it as UTF-8"):
        load_yaml(tmp_path / "bytes.yaml")
    (tmp_path / "empty.yaml").write_text("")
    assert load_yaml(tmp_path / "empty.yaml") == (None, {})


PLAIN = st.recursive(
    st.integers(-9, 9) | st.sampled_from(["a", "b c"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def paths(value: Any, path: str = "") -> set[str]:  # noqa: ANN401 - what YAML holds
    """Name every place of a value, as messages do."""
    found = {path}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        place = f"{path}.{key}" if path else str(key)
        found |= paths(inner, place) if isinstance(inner, dict | list) else {place}
    return found


@given(st.dictionaries(st.sampled_from("abc"), PLAIN, min_size=1))
def test_every_place_of_a_file_has_its_line(content: dict[str, Any]) -> None:
    text = yaml.safe_dump(content, sort_keys=False)
    data, lines = parse_yaml(text)
    assert data == content
    assert set(lines) == paths(content)
    last = len(text.splitlines())
    assert all(1 <= line <= last for line in lines.values())
    for path, line in lines.items():
        assert line_of(path, lines) == line
        # What does not stand in the file is said of the block around it.
        assert line_of(f"{path}.absent" if path else "absent", lines) == line
    assert line_of("a", None) is None


@pytest.mark.parametrize(
    ("old", "new", "says", "field", "line"),
    [
        ("atoms: 40", "atom: 40", "check its spelling", "structure.atom", 8),
        ("atoms: 40", "atoms: 0", "greater than 0", "structure.atoms", 8),
        ("seed: 1", "seed: one", "'one' is not a whole number", "selection.seed", 6),
        ("name: one\n", "", "this field is required", "name", 1),
        ("name: one", "name: Two Words", "write two-words", "name", 1),
        ("  seed: 1\n", "", "method sample needs seed", "selection", 3),
        (
            "space: space.yaml\n",
            "space: [1]\n",
            "write a mapping or a text",
            "space",
            2,
        ),
    ],
)
def test_the_first_complaint_is_named_with_field_and_line(
    old: str, new: str, says: str, field: str, line: int
) -> None:
    assert old in CAMPAIGN
    data, lines = parse_yaml(CAMPAIGN.replace(old, new))
    with pytest.raises(ValidationError) as caught:
        CampaignSpec.model_validate(data)
    error = spec_error(caught.value, file="c.yaml", lines=lines)
    assert says in str(error)
    assert (error.file, error.field, error.line) == ("c.yaml", field, line)


def test_more_complaints_are_counted_and_a_prefix_is_put_before() -> None:
    data, lines = parse_yaml("block:\n  name: 1\n  engine: 2\n")
    with pytest.raises(ValidationError) as caught:
        CampaignSpec.model_validate(data["block"])
    error = spec_error(caught.value, file=None, lines=lines, prefix="block")
    assert "more)" in str(error)
    assert str(error.field).startswith("block.")

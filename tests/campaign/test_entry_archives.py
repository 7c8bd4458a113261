"""Files of entries: packed any way they come, found in any wrapper, or refused."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hts_battery.campaign.reference_import import (
    entries_of,
    read_json,
    subsystems,
)
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

PACK = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
ENTRY = {"energy": -1.9, "composition": {"Li": 1}}
OTHER = {"energy": -4.9, "composition": {"O": 1}}


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    layers=st.lists(st.sampled_from(sorted(PACK)), max_size=3),
    content=st.lists(
        st.dictionaries(st.text("ab", max_size=2), st.integers()), max_size=3
    ),
)
def test_however_often_it_was_packed_it_is_read(
    tmp_path: Path, layers: list[str], content: list[Any]
) -> None:
    packed = json.dumps(content).encode()
    for layer in layers:
        packed = PACK[layer](packed)
    # The name says one packing at most: what counts is what is inside.
    path = tmp_path / f"entries.json{f'.{layers[-1]}' if layers else ''}"
    path.write_bytes(packed)
    assert read_json(path) == content


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("entries.txt", b"[]", "ends with .json"),
        ("entries", b"[]", "ends with .json"),
        ("entries.json", b"[1,", "not JSON"),
        ("entries.json", b"\xff\xfe", "not JSON"),
        ("entries.json.gz", gzip.compress(b"[]", mtime=0)[:-4], "cannot be unpacked"),
        ("entries.json.bz2", b"BZh nothing", "cannot be unpacked"),
        ("entries.json", b"", "not JSON"),
        ("entries.jsonl", b'{"a": 1}\n{"b":', "not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_name(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_a_file_packed_too_often_is_a_trap(tmp_path: Path) -> None:
    packed = b"[]"
    for _ in range(5):
        packed = gzip.compress(packed)
    (tmp_path / "a.json.gz").write_bytes(packed)
    with pytest.raises(ConfigurationError, match="packed more than 4 times"):
        read_json(tmp_path / "a.json.gz")


def test_one_document_a_line_is_a_list(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps(one) for one in (ENTRY, OTHER))
    (tmp_path / "a.jsonl").write_text(f"{lines}\n\n")
    assert read_json(tmp_path / "a.jsonl") == [ENTRY, OTHER]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ([ENTRY, OTHER], [ENTRY, OTHER]),
        (ENTRY, [ENTRY]),
        ({"entries": [ENTRY]}, [ENTRY]),
        ({"all_entries": [ENTRY]}, [ENTRY]),
        ({"computed_data": {"all_entries": [ENTRY, OTHER]}}, [ENTRY, OTHER]),
        ({"data": [{"entries": [ENTRY]}, {"entries": [OTHER]}]}, [ENTRY, OTHER]),
        ([[ENTRY], [OTHER]], [ENTRY, OTHER]),
        ({"Li-O": [ENTRY], "O": [OTHER]}, [ENTRY, OTHER]),
        (
            {"mp-1": ENTRY, "mp-2": {**OTHER, "entry_id": "own"}},
            [{**ENTRY, "entry_id": "mp-1"}, {**OTHER, "entry_id": "own"}],
        ),
        ([ENTRY, "no entry"], [ENTRY, "no entry"]),
        ({"nothing": 1}, None),
        ({}, None),
        ("text", None),
        (7, None),
    ],
)
def test_entries_are_found_where_other_programs_keep_them(
    content: object, found: list[Any] | None
) -> None:
    assert entries_of(content) == found


@given(
    st.lists(st.sets(st.sampled_from(["Li", "Mn", "O", "F", "Ti"])), max_size=5),
    st.integers(1, 4),
)
def test_every_subsystem_stands_once(
    compositions: list[set[str]], largest: int
) -> None:
    found = subsystems(compositions, largest=largest)
    assert list(found) == sorted(set(found))
    for system in found:
        symbols = system.split("-")
        assert symbols == sorted(symbols)
        assert len(symbols) <= largest
        assert any(set(symbols) <= one for one in compositions)
    for one in compositions:
        assert one <= set(found)

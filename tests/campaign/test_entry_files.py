from __future__ import annotations

import bz2
import gzip
import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest
from monty.serialization import dumpfn
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core.entries import ComputedEntry

from hts_battery.campaign.reference_import import entries_of, read_json
from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LITHIUM = ComputedEntry("Li2", -3.8, entry_id="a")
FLUORIDE = ComputedEntry("Li4 F4", -38.8, entry_id="b")
ENTRIES = [LITHIUM.as_dict(), FLUORIDE.as_dict()]
TEXT = json.dumps(ENTRIES).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", TEXT),
        ("a.json", b"\xef\xbb\xbf" + TEXT),
        ("a.json.gz", gzip.compress(TEXT)),
        ("a.json.bz2", bz2.compress(TEXT)),
        ("a.json.xz", lzma.compress(TEXT)),
        ("a.json.lzma", lzma.compress(TEXT, format=lzma.FORMAT_ALONE)),
        ("a.json.bz2.gz", gzip.compress(bz2.compress(TEXT))),
        ("a.gz", gzip.compress(TEXT)),
        # What a file is packed with is read from it, not from its name.
        ("a.json", gzip.compress(TEXT)),
        ("a.json.gz", TEXT),
        ("a.jsonl", b"\n".join(json.dumps(one).encode() for one in ENTRIES) + b"\n"),
        ("a.JSON", TEXT),
    ],
)
def test_a_file_is_read_however_it_is_packed(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert read_json(path) == ENTRIES


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.json.bz2", "a.json.xz"])
def test_what_monty_wrote_is_read(tmp_path: Path, name: str) -> None:
    dumpfn([LITHIUM, FLUORIDE], tmp_path / name)
    found = entries_of(read_json(tmp_path / name))
    assert found is not None
    assert [one["entry_id"] for one in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"[]", "ends with .json"),
        ("a", b"[]", "ends with .json"),
        ("a.json.gz", gzip.compress(TEXT)[:-9], "cannot be unpacked"),
        ("a.json.bz2", b"BZh9xxxx", "cannot be unpacked"),
        ("a.json.xz", b"\xfd7zXZ\x00xx", "cannot be unpacked"),
        ("a.json", b"{", "not JSON"),
        ("a.json", b'{"a": 1}\n{', "not JSON"),
        ("a.json", b"\xff\xfe\x00", "not JSON"),
        ("a.json", b"", "not JSON"),
        ("a.json", b"[" * 200_000, "not JSON"),
    ],
)
def test_a_broken_file_is_said(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        read_json(path)


def test_a_file_packed_without_end_is_no_file_of_entries(tmp_path: Path) -> None:
    content = TEXT
    for _ in range(6):
        content = gzip.compress(content)
    path = tmp_path / "a.json.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="packed more than 4 times"):
        read_json(path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: rows,
        lambda rows: {"entries": rows, "@module": "a", "@class": "EntrySet"},
        lambda rows: {"data": rows, "meta": {}},
        lambda rows: {row["entry_id"]: row for row in rows},
        lambda rows: {"entries": {row["entry_id"]: row for row in rows}},
        # One document a material, as the Materials Project's thermo collection has it.
        lambda rows: [{"entries": {"GGA": row}, "energy_type": "GGA"} for row in rows],
        lambda rows: [
            {"composition": row["composition"], "entries": {"GGA": row}} for row in rows
        ],
        lambda rows: [rows[:1], rows[1:]],
        lambda rows: {"Li": rows[:1], "F-Li": rows[1:]},
    ],
)
def test_entries_are_found_in_every_wrapper(wrap: Callable[[Any], object]) -> None:
    assert entries_of(wrap(ENTRIES)) == ENTRIES


def test_a_phase_diagram_and_a_single_entry_are_wrappers_too() -> None:
    fluorine = ComputedEntry("F2", -3.7, entry_id="c")
    diagram = PhaseDiagram([LITHIUM, FLUORIDE, fluorine]).as_dict()
    found = entries_of(json.loads(json.dumps(diagram, default=str)))
    assert found is not None
    assert {one["entry_id"] for one in found} == {"a", "b", "c"}
    assert entries_of(ENTRIES[0]) == ENTRIES[:1]


def test_an_entry_of_a_mapping_is_named_by_its_key() -> None:
    bare = {"energy": -3.8, "composition": {"Li": 2}}
    assert entries_of({"mp-1": bare}) == [bare | {"entry_id": "mp-1"}]


@pytest.mark.parametrize("content", [{}, {"a": 1}, None, 3, "x", {"entries": None}])
def test_what_holds_no_entries_is_none(content: object) -> None:
    assert entries_of(content) is None


def test_what_is_no_entry_is_left_for_the_import_to_reject() -> None:
    assert entries_of([3, {"odd": 1}, None]) == [3, {"odd": 1}, None]

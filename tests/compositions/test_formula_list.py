"""Formulas from files: text, tables with other separators, and what is no list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hts_battery.compositions.formula_list import read_formula_list
from hts_battery.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path


def listed(path: Path, column: str | None = None) -> list[tuple[str, int]]:
    return [(one.text, one.line) for one in read_formula_list(path, column=column)]


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("a.txt", "# mine\n\nLi2O\n  LiF  \n", None),
        ("a.csv", "# mine\nformula\nLi2O\nLiF\n", None),
        ("a.csv", "id,Composition\n\n1,Li2O\n2,LiF\n", None),
        ("a.csv", "\ufeffid;mine;note\n# no\n1;Li2O;a\n2;LiF\n", "Mine"),
        ("a.tsv", "id\tformula\n\n1\tLi2O\n2\tLiF\n", None),
        ("a.dat", "id,mine\r\n\r\n1,Li2O\r\n2,LiF\r\n", "mine"),
        ("a.csv", "# one column, no heading\n\nLi2O\nLiF\n", None),
    ],
)
def test_lists_are_read_with_their_lines(
    tmp_path: Path, name: str, text: str, column: str | None
) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert listed(path, column) == [("Li2O", 3), ("LiF", 4)]


@pytest.mark.parametrize(
    ("name", "text", "column", "says"),
    [
        ("a.txt", "# nothing\n\n", None, "a.txt: no formula stands in this file"),
        ("a.csv", "", None, "a.csv: no formula stands in this file"),
        ("a.csv", "formula\n", None, "a.csv: no formula stands in this file"),
        (
            "a.csv",
            "id,mine\n1,Li2O\n",
            None,
            (
                "a.csv:1: say which column holds the formulas (column: …): there are "
                "id, mine"
            ),
        ),
        (
            "a.csv",
            "id,mine\n1,Li2O\n",
            "yours",
            "a.csv:1: there is no column 'yours': there are id, mine",
        ),
        (
            "a.csv",
            "formula,formula\nLi2O,LiF\n",
            None,
            "a.csv:1: the column formula stands here twice",
        ),
        (
            "a.csv",
            "formula\nLi1,2Mn0,8O2\n",
            None,
            (
                "a.csv:2: 3 cells stand here, and 1 in the heading: put what holds a "
                "separator in quotation marks"
            ),
        ),
        (
            "a.csv",
            'formula\n"Li2O\n',
            None,
            "a.csv:2: not a table: unexpected end of data",
        ),
    ],
)
def test_what_is_no_list_is_refused(
    tmp_path: Path, name: str, text: str, column: str | None, says: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        listed(path, column)
    assert str(caught.value) == f"{tmp_path}/{says}"


def test_a_spreadsheet_is_to_be_exported(tmp_path: Path) -> None:
    path = tmp_path / "mine.xlsx"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(SpecError, match="an archive: export it as CSV"):
        listed(path)

"""Formulas in a CSV or text file, each with the line on which it stands."""

from __future__ import annotations

import csv
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.errors import CompositionError, SpecError
from hts_battery.schemas.formula import parse_formula
from hts_battery.schemas.text_files import read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from hts_battery.compositions.space import CompositionSpace

_COMMENT = "#"
_DELIMITERS = ",;\t"
_TABLES = {".csv", ".tsv", ".tab"}
_HEADINGS = ("formula", "composition", "compound", "name")
"""Columns that hold formulas where none is named, in any case."""


class ListedFormula(NamedTuple):
    """A formula as it is written somewhere."""

    text: str
    line: int
    """Counted from 1."""


def read_formula_list(
    path: Path, *, column: str | None = None
) -> tuple[ListedFormula, ...]:
    """
    Read formulas: one a line, or a column of a table with a heading.

    Empty lines and what follows a ``#`` at the beginning of a line are left out. A file
    is a table if it ends in csv or tsv, or a column is asked for; its cells are
    separated by commas, semicolons or tabs.

    Parameters
    ----------
    path
        The file, in UTF-8.
    column
        Heading of the column; by default formula, composition, compound or name, or
        the only column there is.

    Raises
    ------
    SpecError
        If it cannot be read, has no such column, or holds no formula.
    """
    lines = [
        "" if line.lstrip().startswith(_COMMENT) else line
        for line in read_text(path).splitlines(keepends=True)
    ]
    if column is None and path.suffix.lower() not in _TABLES:
        found = [
            ListedFormula(one.strip(), n)
            for n, one in enumerate(lines, 1)
            if one.strip()
        ]
    else:
        found = list(_column(lines, column, str(path)))
    if not any(one.text for one in found):
        raise SpecError("no formula stands in this file", file=str(path))
    return tuple(found)


class BadFormula(NamedTuple):
    """A formula that cannot be screened, and why."""

    file: str
    line: int | None
    text: str
    reason: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.text or '(empty)'}: {self.reason}"


class ListedMembers(NamedTuple):
    """The members of a space that a list names."""

    indices: tuple[int, ...]
    """In the order of the list, each once."""
    bad: tuple[BadFormula, ...]
    """What is no member, or a member that was named before."""


def listed_members(
    space: CompositionSpace, formulas: Iterable[ListedFormula], *, file: str
) -> ListedMembers:
    """
    Find the members that some formulas name; every one that names none is kept.

    ``file``: where the formulas stand, for messages.

    Examples
    --------
    >>> from hts_battery.compositions import load_space
    >>> space = load_space({
    ...     "family": "hedrx", "basis": "formula-unit", "step": 0.1,
    ...     "sublattices": {
    ...         "cation": {"sites": 2, "species": ["Li+", "Mn3+", "Ti4+"]},
    ...         "anion": {"sites": 2, "species": ["O2-"]},
    ...     },
    ... })
    >>> listed = [ListedFormula("LiMnO2", 1), ListedFormula("Li1.2Mn0.4Ti0.3O2", 2)]
    >>> found = listed_members(space, listed, file="mine.txt")
    >>> found.indices, str(found.bad[0])
    ((0,), 'mine.txt:2: Li1.2Mn0.4Ti0.3O2: the cations add up to 1.9 per formula unit, \
not 2')
    """
    places: dict[int, ListedFormula] = {}
    bad: list[BadFormula] = []
    for one in formulas:
        if not one.text:
            bad.append(BadFormula(file, one.line, "", "no formula stands here"))
            continue
        try:
            index = space.index(one.text)
        except CompositionError as err:
            reason = str(err).removeprefix(f"{one.text} is not in {space.name}: ")
            bad.append(BadFormula(file, one.line, one.text, reason))
            continue
        first = places.setdefault(index, one)
        if first is not one:
            reason = f"it stands here twice: on line {first.line} as {first.text}"
            bad.append(BadFormula(file, one.line, one.text, reason))
    return ListedMembers(tuple(places), tuple(bad))


def _column(
    lines: Sequence[str], column: str | None, name: str
) -> Iterator[ListedFormula]:
    """Yield the cells of one column of a table with a heading."""
    rows = _rows(lines, name)
    number, heading = next(rows, (1, []))
    if not heading:
        return
    place = _place(heading, column, name, number)
    if place is None:  # a single column that begins with a formula
        place = 0
        yield ListedFormula(heading[0], number)
    width = max(len(heading), 1)
    for line, cells in rows:
        if len(cells) > width:
            raise SpecError(
                f"{len(cells)} cells stand here, and {width} in the heading: put what "
                "holds a separator in quotation marks",
                file=name,
                line=line,
            )
        yield ListedFormula(cells[place] if place < len(cells) else "", line)


def _rows(lines: Sequence[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table that hold anything, with their first line."""
    first = next((line for line in lines if line.strip()), "")
    counts = Counter(one for one in first if one in _DELIMITERS)
    delimiter = counts.most_common(1)[0][0] if counts else ","
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if any(row):
                # Empty lines and comments before it were rows of their own.
                yield start, row
            start = reader.line_num + 1
    except csv.Error as err:
        raise SpecError(f"not a table: {err}", file=name, line=start) from err


def _place(
    heading: Sequence[str], column: str | None, name: str, line: int
) -> int | None:
    """Find a column; none where there is one column and no heading."""
    bare = [one.lower() for one in heading]
    wanted = (column.strip().lower(),) if column else _HEADINGS
    for one in wanted:
        if bare.count(one) > 1:
            raise SpecError(f"the column {one} stands here twice", file=name, line=line)
        if one in bare:
            return bare.index(one)
    if column is None and len(heading) == 1:
        return None if _is_formula(heading[0]) else 0
    there = ", ".join(one or "(empty)" for one in heading) or "none"
    if column:
        message = f"there is no column {column!r}: there are {there}"
    else:
        message = f"say which column holds the formulas (column: …): there are {there}"
    raise SpecError(message, file=name, line=line)


def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except CompositionError:
        return False
    return True

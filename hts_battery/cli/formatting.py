"""Everything the command line prints: lines, tables, JSON, progress bars."""

from __future__ import annotations

import io
import json
import re
import sys
from contextlib import contextmanager
from math import floor, log10
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from hts_battery.campaign.local_run import Progress

# Without emoji, or :x: inside a JSON text would become a picture.
_OUT = Console(highlight=False, soft_wrap=True, emoji=False)
_TABLES = Console(highlight=False, emoji=False)
_ERR = Console(stderr=True, highlight=False, emoji=False)
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_DIGITS = 3
_THREE_DIGITS_ABOVE = 10


def line(text: str) -> None:
    """Print one line of plain text."""
    _OUT.print(text, markup=False)


def note(text: str) -> None:
    """Print one line for people on standard error, so that JSON stays clean."""
    _ERR.print(text, markup=False, style="dim", soft_wrap=True)


def error(text: str) -> None:
    """Print one red line on standard error."""
    _ERR.print(f"error: {text}", markup=False, style="bold red", soft_wrap=True)


def json_line(value: object) -> None:
    """Print one JSON value on a line of its own."""
    _OUT.print(json.dumps(value, default=str, ensure_ascii=False), markup=False)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    least: Mapping[str, int] | None = None,
    padding: int = 1,
) -> None:
    """
    Print a table.

    Parameters
    ----------
    columns
        Headings.
    rows
        Cells; a float is printed as it is, format it before.
    title
        Line above the table.
    right
        Headings of the columns of numbers.
    least
        Heading → characters below which its column is not squeezed.
    padding
        Blanks on the left of a cell.
    """
    grid = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, padding),
    )
    for column in columns:
        grid.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in right,
            min_width=(least or {}).get(column),
        )
    for row in rows:
        grid.add_row(*(_cell(value) for value in row))
    _TABLES.print(grid)


def width() -> int:
    """Return the characters of a line of a table."""
    return _TABLES.width


def amount(value: float) -> str:
    """
    Write a number with two or three significant digits.

    Examples
    --------
    >>> [amount(value) for value in (0, 0.01234, 3.14159, 271.8, 18_810.2)]
    ['0', '0.012', '3.1', '272', '18,800']
    """
    if not value:
        return "0"
    digits = _DIGITS - 1 if abs(value) < _THREE_DIGITS_ABOVE else _DIGITS
    places = digits - 1 - floor(log10(abs(value)))
    return f"{round(value, places):,.{max(0, places)}f}"


def fields(values: Mapping[str, object]) -> None:
    """Print a document, one field a line."""
    width = max(len(name) for name in values)
    for name, value in values.items():
        text = (
            json.dumps(value, default=str) if isinstance(value, dict | list) else value
        )
        line(f"{name:<{width}}  {text}")


def raw(text: str) -> None:
    """Print text as it is, without a further line end."""
    _OUT.print(text, markup=False, end="")


def _cell(value: object) -> Text:
    return Text("" if value is None else str(value))


@contextmanager
def live(picture: Path | None = None) -> Iterator[Callable[[RenderableType], None]]:
    """
    Show something that changes, in its place on the terminal.

    Parameters
    ----------
    picture
        SVG file into which what was shown last is drawn, as wide as the terminal.

    Yields
    ------
    callable
        Shows its argument instead of what stands there.
    """
    from rich.live import Live

    console = Console(highlight=False, emoji=False)
    last: list[RenderableType] = []
    with Live(console=console, auto_refresh=False) as shown:

        def show(what: RenderableType) -> None:
            last[:] = [what]
            shown.update(what, refresh=True)

        try:
            yield show
        finally:
            if picture is not None and last:
                drawn = Console(
                    record=True, width=console.width, file=io.StringIO(), emoji=False
                )
                drawn.print(last[0])
                text = drawn.export_svg(title="hts campaign status --watch")
                # No fonts from elsewhere: any monospaced one will do.
                picture.write_text(_FONT_FACE.sub("", text), encoding="utf-8")


@contextmanager
def progress() -> Iterator[Progress]:
    """
    Show progress bars on standard error while a block works.

    What is left is reckoned from everything done since a bar was opened: what takes
    minutes each, on several processes, comes too unevenly for the last half minute.

    Yields
    ------
    Progress
        ``total(stage, n)`` opens a bar, ``advance(stage, what)`` moves it by one,
        ``begin(stage, what)`` says what is being done, ``problem(text)`` is printed.
    """
    from rich import progress as rich_progress

    from hts_battery.campaign.local_run import Progress

    bars = rich_progress.Progress(
        rich_progress.TextColumn("{task.description:<10}"),
        rich_progress.BarColumn(bar_width=32),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeElapsedColumn(),
        rich_progress.TextColumn("{task.fields[pace]}"),
        rich_progress.TextColumn("{task.fields[what]}"),
        # A console of its own, bound to the terminal now: jobs redirect their output.
        console=Console(file=sys.stderr, highlight=False),
    )
    tasks: dict[str, rich_progress.TaskID] = {}

    def total(stage: str, count: int) -> None:
        if stage in tasks:
            bars.update(tasks[stage], total=count)
        elif count:
            tasks[stage] = bars.add_task(stage, total=count, what="", pace="")

    def advance(stage: str, what: str) -> None:
        bars.update(tasks[stage], advance=1, what=what)
        task = bars.tasks[tasks[stage]]
        if task.total:
            found = pace(task.completed, task.total, task.elapsed or 0.0)
            bars.update(tasks[stage], pace=found)

    def begin(stage: str, what: str) -> None:
        bars.update(tasks[stage], what=what)

    def problem(text: str) -> None:
        bars.console.print(f"error: {text}", markup=False, style="red", soft_wrap=True)

    with bars:
        yield Progress(total, advance, begin, problem)


def pace(done: float, total: float, seconds: float) -> str:
    """
    Write how many come in a minute, and how long the rest takes at that pace.

    Examples
    --------
    >>> pace(2, 8, 100.0)
    '1.2 a minute, 5 min left'
    >>> pace(3000, 8000, 60.0)
    '3,000 a minute, 2 min left'
    >>> pace(8, 8, 100.0)
    '4.8 a minute'
    """
    if not done or not seconds:
        return ""
    rate = f"{amount(60 * done / seconds)} a minute"
    left = seconds * (total - done) / done
    if not left:
        return rate
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        if left >= length:
            return f"{rate}, {left / length:.0f} {unit} left"
    return f"{rate}, 1 s left"

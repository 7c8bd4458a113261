"""Code blocks of the pages, and the commands in them."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from hts_battery.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).resolve().parents[2]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
    *sorted((PROJECT / "launchpad_configs").rglob("*.md")),
]
_FENCE = re.compile(
    r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_HEREDOC = re.compile(r"<<'(?P<end>\w+)'")
_SETTING = re.compile(r"^[A-Z_]+=")
_JOINTS = {"&&", "||", ";", "&", "|"}


class Block(NamedTuple):
    """What stands between two fences."""

    page: str
    line: int
    language: str
    text: str


class Command(NamedTuple):
    """One command of a shell block: its words, quotes taken off."""

    page: str
    line: int
    words: tuple[str, ...]

    @property
    def is_ours(self) -> bool:
        return self.words[0] == "hts"


def blocks() -> list[Block]:
    """Read the blocks of every page."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        name = page.relative_to(PROJECT).as_posix()
        found += [
            Block(
                name,
                text.count("\n", 0, match.start()) + 1,
                match["language"],
                match["text"],
            )
            for match in _FENCE.finditer(text)
        ]
    return found


def commands(block: Block) -> Iterator[Command]:
    """Read the commands of a shell block; what stands in a heredoc is none."""
    for number, line in _lines(block):
        lexer = shlex.shlex(
            line.replace("2>&1", ""), posix=True, punctuation_chars="&|;"
        )
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _JOINTS:
                words.append(word)
                continue
            called = _called(words)
            if called:
                yield Command(block.page, number, called)
            words = []


def _lines(block: Block) -> Iterator[tuple[int, str]]:
    """Yield the lines of a block, continued ones joined, without heredocs."""
    end, held = None, ""
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        if end is not None:
            end = None if line == end else end
            continue
        if line.endswith("\\"):
            held += line[:-1]
            continue
        if (match := _HEREDOC.search(line)) is not None:
            end = match["end"]
        yield number, held + line
        held = ""


def _called(words: list[str]) -> tuple[str, ...]:
    """Take off what stands before a command, and where its output goes."""
    while words and (_SETTING.match(words[0]) or words[0] in ("!", "nohup")):
        words = words[1:]
    ends = [i for i, word in enumerate(words) if re.match(r"^\d?[<>]", word)]
    words = words[: ends[0]] if ends else words
    return tuple(word.removeprefix(".venv/bin/") for word in words)


def parsed(words: tuple[str, ...]) -> str:
    """
    Parse a command with the real command line, strictly.

    Returns
    -------
    str
        Its name, such as ``hts query find``.
    """
    found: Any = typer.main.get_command(app)
    name, rest = "hts", list(words[1:])
    while inner := getattr(found, "commands", None):
        assert rest, f"{name} needs a command"
        assert rest[0] in inner, f"{name} has no command {rest[0]}"
        found, name = inner[rest[0]], f"{name} {rest[0]}"
        rest = rest[1:]
    found.make_context(name, rest)
    return name


def options() -> set[str]:
    """Name every option of every command."""
    waiting: list[Any] = [typer.main.get_command(app)]
    found = set()
    while waiting:
        one = waiting.pop()
        waiting += getattr(one, "commands", {}).values()
        for parameter in one.params:
            found.update((*parameter.opts, *parameter.secondary_opts))
    return found


def run_python(source: str, scope: dict[str, Any], where: str) -> None:
    """
    Run a block; a comment after a `print` says how its output begins or ends.

    In ``print(x)  # 469, exactly`` the comment begins with the output; where the
    output of a loop has several lines, comment lines follow it.
    """
    tree = ast.parse(source)
    lines = source.splitlines()
    for statement in tree.body:
        code = compile(ast.Module([statement], []), where, "exec")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(code, scope)  # noqa: S102 - the page's own text
        printed = out.getvalue().splitlines()
        said = _said(lines, statement)
        if printed and said:
            assert len(said) == len(printed), f"{where}: {printed}"
            for comment, line in zip(said, printed, strict=True):
                assert comment.startswith(line), f"{where}: {line} is not {comment}"


def _said(lines: list[str], statement: ast.stmt) -> list[str]:
    """Comments that say what a statement prints."""
    last = statement.end_lineno or statement.lineno
    own = lines[last - 1][statement.end_col_offset or 0 :].strip()
    if own.startswith("#"):
        return [own.removeprefix("#").strip()]
    said = []
    for line in lines[last:]:
        if not line.startswith("# "):
            break
        said.append(line.removeprefix("# ").strip())
    return said

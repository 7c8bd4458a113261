"""The reference of the command line: what Typer says of it, one page for each noun."""

from __future__ import annotations

import re
import subprocess
import sys

FOLDER = "reference/commands"
_HEADING = re.compile(r"^#+ `(?P<words>[^`]+)`$", re.MULTILINE)


def command_pages() -> dict[str, str]:
    """
    Describe every command with its arguments and options.

    Returns
    -------
    dict[str, str]
        Path in the site → Markdown.
    """
    sections = _sections(_described())
    top = [words for words in sections if words.count(" ") == 1]
    groups = {
        noun: [words for words in sections if words.startswith(f"{noun} ")]
        for noun in top
    }
    alone = ["hts", *(noun for noun, inner in groups.items() if not inner)]
    pages = {f"{FOLDER}/index.md": _page(alone, sections)}
    for noun, inner in groups.items():
        if inner:
            name = noun.removeprefix("hts ")
            pages[f"{FOLDER}/{name}.md"] = _page([noun, *inner], sections)
    return pages


def _described() -> str:
    """Ask Typer for its description of the whole command line."""
    words = ["-m", "typer", "hts_battery.cli.app", "utils", "docs", "--name", "hts"]
    return subprocess.run(  # noqa: S603 - this interpreter, fixed words
        [sys.executable, *words], check=True, capture_output=True, text=True
    ).stdout


def _sections(text: str) -> dict[str, str]:
    """Cut the description at its headings: words of the command → what follows."""
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {
        match["words"]: text[match.end() : end].strip()
        for match, end in zip(found, ends, strict=True)
    }


def _page(names: list[str], sections: dict[str, str]) -> str:
    """Put sections under headings that a link can name, the first as the title."""
    first, *rest = names
    parts = [f"# {first}\n\n{sections[first]}"]
    parts += [
        f"## {words} {{#{words.replace(' ', '-')}}}\n\n{sections[words]}"
        for words in rest
    ]
    return "\n\n".join(parts).replace("```console\n$ ", "```text\n")

"""The questions of docs/analyst.md, read from the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).resolve().parents[1] / "docs" / "analyst.md"
_QUESTION = re.compile(
    r"### \d+\. (?P<title>.+?)\n.*?"
    r"```bash\n(?P<command>.+?)\n```\n"
    r"```python\n(?P<python>.+?)\n```\n"
    r"```js\n(?P<shell>.+?)\n```\n"
    r"```optimade\n(?P<words>.+?)\n```",
    re.DOTALL,
)
_CALL = re.compile(r"\.?(?P<name>\w+)(?:\.(?P<verb>find|aggregate))?\(")


class Question(NamedTuple):
    """One question in four languages."""

    title: str
    command: str
    python: str
    shell: str
    words: str


class ShellQuery(NamedTuple):
    """A query of the mongo shell: arguments are JSON."""

    collection: str
    verb: str
    argument: Any
    sort: dict[str, int]
    limit: int


def questions() -> list[Question]:
    """Read the questions of the page."""
    found = _QUESTION.finditer(PAGE.read_text("utf-8"))
    return [Question(**match.groupdict()) for match in found]


def shell_query(text: str) -> ShellQuery:
    """Read ``db.summary.find({…}).sort({…}).limit(n)``."""
    assert text.startswith("db."), text
    calls: dict[str, Any] = {}
    collection = verb = ""
    rest = text.removeprefix("db")
    while rest:
        match = _CALL.match(rest)
        assert match, rest
        argument, end = json.JSONDecoder().raw_decode(rest, match.end())
        if match["verb"]:
            collection, verb = match["name"], match["verb"]
        calls[match["verb"] or match["name"]] = argument
        assert rest[end] == ")", rest
        rest = rest[end + 1 :]
    assert calls.keys() <= {verb, "sort", "limit"}
    return ShellQuery(
        collection, verb, calls[verb], calls.get("sort", {}), calls.get("limit", 0)
    )

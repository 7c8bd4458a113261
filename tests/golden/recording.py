"""What users were answered: read, renamed on purpose, compared, written anew."""

from __future__ import annotations

import csv
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
RENAMED = HERE / "renamed.csv"
SURFACES = frozenset(("command", "option", "key", "word", "name", "target"))
"""Of a renamed row: words of a command, an option, a JSON key (column or property of
OPTIMADE too), a value, a name of Python, a target of make."""
_MOST_LINES = 40
_DIGITS = 6
_RELATIVE, _ABSOLUTE = 1e-5, 1e-10
_ADVICE = (
    "A rename or a removal on purpose goes into tests/golden/renamed.csv and into "
    "CHANGELOG.md; what is new or meant is recorded by `pytest tests/golden --record`."
)
_MACHINE = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?\S*"), "<time>"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\b\d{8}T\d{9}-[0-9a-f]{5}\b"), "<run>"),
    (re.compile(r"launcher_[-\d]+"), "<launch>"),
    (re.compile(r"\b([0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{64})\b"), "<id>"),
    (re.compile(r"\bmongodb\S*"), "<uri>"),
)
_VOLATILE = re.compile(
    r"seconds|(^|_)bytes|versions?$|^(pid|host|port|created|size|digest|run_id)$"
    r"|_(digest|version|ago)$|^time$|^rate|memory"
)


class Rename(NamedTuple):
    """A row of the table: what was called so is called otherwise, or gone."""

    surface: str
    old: str
    new: str


@cache
def renames() -> tuple[Rename, ...]:
    with RENAMED.open(encoding="utf-8", newline="") as file:
        return tuple(
            Rename(row["surface"], row["old"], row["new"])
            for row in csv.DictReader(file)
        )


def renamed(surface: str, old: str) -> str:
    """Return what something recorded is called now; nothing where it is gone."""
    found = {one.old: one.new for one in renames() if one.surface == surface}
    return found.get(old, old)


def renamed_command(words: str) -> str:
    """Rename the first words of a command and its options; nothing if it is gone."""
    for one in renames():
        if one.surface == "command" and f"{words} ".startswith(f"{one.old} "):
            words = one.new and f"{one.new}{words.removeprefix(one.old)}"
    return " ".join(renamed("option", word) for word in words.split(" "))


def plain(value: Any, replaced: dict[str, str] | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """
    Bring a value into the form that is recorded.

    Floats are rounded; what is different every time stands as its type or as what it
    is, like ``<time>``.

    Parameters
    ----------
    value
        Any JSON value.
    replaced
        Text of this run, like its folder → what is recorded instead.
    """
    if isinstance(value, dict):
        return {
            _without_machine(str(key), replaced or {}): kind(one)
            if _VOLATILE.search(str(key))
            else plain(one, replaced)
            for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain(one, replaced) for one in value]
    if isinstance(value, float):
        return _rounded(value)
    if isinstance(value, str):
        return _without_machine(value, replaced or {})
    return value


def kind(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Write types instead of values; lists by their first element."""
    if isinstance(value, dict):
        return {str(key): kind(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [kind(one) for one in value[:1]]
    return f"<{type(value).__name__}>"


def _rounded(value: float) -> float | str:
    if not math.isfinite(value):
        return str(value)
    return float(f"{value:.{_DIGITS}g}")


def _without_machine(text: str, replaced: dict[str, str]) -> str:
    for own, name in replaced.items():
        text = text.replace(own, name)
    for pattern, name in _MACHINE:
        text = pattern.sub(name, text)
    return text


def as_now(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Apply the table to something recorded: its keys and its words."""
    if isinstance(value, dict):
        named = {
            renamed("key", key): _columns(one) if key == "columns" else as_now(one)
            for key, one in value.items()
        }
        named.pop("", None)
        return named
    if isinstance(value, list):
        return [as_now(one) for one in value]
    if isinstance(value, str):
        return renamed("word", value)
    return value


def _columns(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Rename keys that stand in a list, as the names of columns do."""
    if not isinstance(value, list):
        return as_now(value)
    return [now for one in value if (now := renamed("key", one))]


def differences(recorded: Any, found: Any, place: str = "") -> list[str]:  # noqa: ANN401 - any JSON values
    """Say, one line a place, what was recorded and what was found."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        lines = [f"{place}/{key}: gone" for key in recorded if key not in found]
        lines += [
            f"{place}/{key}: new: {_short(one)}"
            for key, one in found.items()
            if key not in recorded
        ]
        for key in recorded.keys() & found.keys():
            lines += differences(recorded[key], found[key], f"{place}/{key}")
        return sorted(lines)
    if isinstance(recorded, list) and isinstance(found, list):
        lines = [
            line
            for number, pair in enumerate(zip(recorded, found, strict=False))
            for line in differences(*pair, f"{place}/{number}")
        ]
        if len(recorded) != len(found):
            lines.append(f"{place}: recorded {len(recorded)}, found {len(found)}")
        return lines
    if _same(recorded, found):
        return []
    return [f"{place}: recorded {_short(recorded)}, found {_short(found)}"]


def _same(recorded: Any, found: Any) -> bool:  # noqa: ANN401 - any JSON values
    if isinstance(recorded, float) and isinstance(found, float | int):
        return math.isclose(recorded, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return type(recorded) is type(found) and bool(recorded == found)


def _short(value: Any) -> str:  # noqa: ANN401 - any JSON value
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:117]}..."


class Recording:
    """
    The recorded answers of one surface.

    Parameters
    ----------
    name
        Of the file in ``recorded``.
    anew
        Write what is found instead of comparing with it.
    """

    def __init__(self, name: str, *, anew: bool) -> None:
        self.path = RECORDED / f"{name}.json"
        self.anew = anew
        self.asked: set[str] = set()

    def read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        content: dict[str, Any] = json.loads(self.path.read_text("utf-8"))
        return content

    def check(
        self,
        key: str,
        found: Any,  # noqa: ANN401 - any JSON value
        *,
        now: Callable[[Any], Any] = as_now,
    ) -> None:
        """Compare what was found with what was recorded under a key, or record it."""
        self.asked.add(key)
        content = self.read()
        # As it would be read again: no tuples, no keys but texts.
        found = json.loads(json.dumps(found, default=str))
        if self.anew:
            content[key] = found
            self.write(content)
            return
        assert key in content, f"{self.path.name} has no {key}. {_ADVICE}"
        lines = differences(now(content[key]), found)
        shown = "\n".join(lines[:_MOST_LINES])
        assert not lines, f"{self.path.name}, {key}:\n{shown}\n{_ADVICE}"

    def write(self, content: dict[str, Any]) -> None:
        text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
        self.path.write_text(_compact(text) + "\n", encoding="utf-8")

    def keep_only(self, keys: set[str]) -> None:
        """Nothing stays recorded that no test asks for."""
        content = self.read()
        stale = sorted(content.keys() - keys)
        if self.anew:
            self.write({key: content[key] for key in content if key in keys})
            return
        assert not stale, f"{self.path.name}: no test asks for {stale}. {_ADVICE}"


def _compact(text: str) -> str:
    """Put lists of plain values, which json spreads, on one line."""
    return re.sub(
        r"\[\n\s+([^\[\]{}]*?)\n\s+\]",
        lambda found: "[" + re.sub(r",\n\s+", ", ", found[1]) + "]",
        text,
    )

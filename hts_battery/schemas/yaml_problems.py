"""What is wrong with a text that should be YAML, in words of the file."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import yaml

from hts_battery.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

_NO_SPACE = re.compile(r"^\s*(?:- )?(?P<key>[A-Za-z_][\w-]*):(?=[^\s:/])", re.ASCII)
_NUMBER = re.compile(r"[-+]?[\d.]+")


def yaml_problem(err: yaml.YAMLError, text: str) -> tuple[str, int | None]:
    """Say in one sentence why a text is no YAML, and on which line."""
    if isinstance(err, yaml.reader.ReaderError):
        line = text.count("\n", 0, max(err.position, 0)) + 1
        return f"not YAML: the character {_codepoint(err)} is not allowed", line
    if not isinstance(err, yaml.MarkedYAMLError):
        return f"not YAML: {err}", None
    mark = err.problem_mark or err.context_mark
    problem, number = err.problem or str(err), mark.line + 1 if mark else None
    lines = text.splitlines()
    opened = err.context_mark
    if opened is not None and ("end of stream" in problem or "stream end" in problem):
        what = "quotation mark" if "quoted" in (err.context or "") else "bracket"
        return (
            f"not YAML: the {what} that opens on this line is not closed",
            opened.line + 1,
        )
    found = _line_problem(problem, lines, number or 1)
    return (
        (f"not YAML: {found[0]}", found[1])
        if found
        else (
            f"not YAML: {problem}",
            number,
        )
    )


def _codepoint(err: yaml.reader.ReaderError) -> str:
    character = err.character
    return f"U+{ord(character) if isinstance(character, str) else character:04X}"


_REMARKS = {
    "another document": "a second document begins here (---): one file holds one",
    "alias": "a text that begins with * needs quotation marks",
    "tag": "a mark that begins with ! is not read here: write plain values",
    "'\\\\t' that cannot start": "a tab stands where spaces should: YAML is indented "
    "with spaces",
    "that cannot start any token": "a text that begins with such a sign needs "
    "quotation marks",
}
"""Part of what PyYAML says → what is meant, wherever it stands."""
_LOOKS = (
    (_NO_SPACE, "a space is missing behind the colon of {key}:"),
    (
        re.compile("(?P<key>.*)\u00a0"),
        "a no-break space stands here: use a plain space",
    ),
    (re.compile(r"\s*-(?P<key>[^\s-])"), "a space is missing behind the dash"),
    (re.compile(r"\s*(?P<key>\w+)\s*=\s"), "write a colon: {key}: …"),
)
"""How a line looks → what is wrong with it."""
_UNEVEN = {
    "mapping values are not allowed": "this line is indented otherwise than the lines "
    "around it, or a text with a colon needs quotation marks",
    "or '}'": "a comma or a bracket is missing before this",
    "or ']'": "a comma or a bracket is missing before this",
    "document start": "one 'field: value' stands on a line",
    "block end": "this line fits neither the field before it nor its indentation",
    "expected ':'": "this line fits neither the field before it nor its indentation",
}


def _line_problem(
    problem: str, lines: Sequence[str], number: int
) -> tuple[str, int] | None:
    """Say what people did on a line, or on the one before, that YAML stumbles over."""
    remark = next((said for part, said in _REMARKS.items() if part in problem), None)
    if remark is not None:
        return remark, number
    for place in (number, number - 1):
        line = lines[place - 1] if 0 < place <= len(lines) else ""
        for pattern, said in _LOOKS:
            if match := pattern.match(line):
                return said.format(key=match["key"]), place
    uneven = next((said for part, said in _UNEVEN.items() if part in problem), None)
    return None if uneven is None else (uneven, number)


def refuse_comma(
    pairs: Sequence[tuple[yaml.Node, yaml.Node]], path: str, name: str | None
) -> None:
    """Refuse ``{fmax: 0,05}``, which YAML reads as two fields."""
    for (key, value), (after, nothing) in pairwise(pairs):
        if (
            _touch(value, after)
            and isinstance(nothing, yaml.ScalarNode)
            and not nothing.value
        ):
            raise SpecError(
                f"{value.value},{after.value} has a decimal comma: write "
                f"{value.value}.{after.value}",
                file=name,
                line=value.start_mark.line + 1,
                field=f"{path}.{key.value}" if path else str(key.value),
            )


def refuse_uneven_commas(node: yaml.SequenceNode, path: str, name: str | None) -> None:
    """Refuse ``[0, 1473,5]``, where one comma may be a decimal one."""
    pairs = list(pairwise(node.value))
    touching = [(one, other) for one, other in pairs if _touch(one, other)]
    if not node.flow_style or not touching or len(touching) == len(pairs):
        return
    one, other = touching[0]
    raise SpecError(
        f"{one.value},{other.value} may be one number or two: write "
        f"{one.value}.{other.value} or {one.value}, {other.value}",
        file=name,
        line=one.start_mark.line + 1,
        field=path or None,
    )


def _touch(one: yaml.Node, other: yaml.Node) -> bool:
    """Say whether two numbers have nothing but a comma between them."""
    return (
        isinstance(one, yaml.ScalarNode)
        and isinstance(other, yaml.ScalarNode)
        and one.end_mark.line == other.start_mark.line
        and other.start_mark.column - one.end_mark.column == 1
        and bool(_NUMBER.fullmatch(one.value) and re.match(r"\d", other.value))
    )

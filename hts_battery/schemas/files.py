"""YAML files whose errors know their line: reading, and saying what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hts_battery.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

    Lines = dict[str, int]
    """Dotted field path → line of the file, counted from 1."""

_MERGE_KEY = "<<"


def load_yaml(path: str | Path) -> tuple[Any, Lines]:
    """
    Read a YAML file and remember on which line each field stands.

    Returns: the data, and the line of each dotted field path; members of a list are
    numbered from 0 (``sublattices.cation.species.0``). Raises SpecError if the file
    cannot be read, is not YAML, or a mapping has a key twice.
    """
    name = str(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as err:
        raise SpecError(
            f"cannot read this file: {err.strerror or err}", file=name
        ) from err
    except UnicodeDecodeError as err:
        raise SpecError("not a text file in UTF-8", file=name) from err
    return parse_yaml(text, name=name)


def parse_yaml(text: str, *, name: str | None = None) -> tuple[Any, Lines]:
    r"""
    Read YAML text and remember on which line each field stands.

    Parameters
    ----------
    text
        The text.
    name
        Name of the file it came from, for messages.

    Raises
    ------
    SpecError
        If the text is not YAML or a mapping has a key twice.

    Examples
    --------
    >>> data, lines = parse_yaml("a: 1\nb:\n  c: [2, 3]\n")
    >>> data["b"]["c"], lines["b.c.1"]
    ([2, 3], 3)
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines: Lines = {}
        if node is None:
            return None, lines
        _note_lines(node, "", lines, name)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark
        raise SpecError(
            f"not YAML: {err.problem or err}",
            file=name,
            line=mark.line + 1 if mark else None,
        ) from err
    except yaml.YAMLError as err:
        raise SpecError(f"not YAML: {err}", file=name) from err
    except (RecursionError, ValueError) as err:
        raise SpecError(f"cannot read this YAML: {err}", file=name) from err
    finally:
        loader.dispose()


def _note_lines(node: yaml.Node, path: str, lines: Lines, name: str | None) -> None:
    """Write the line of a node and of everything inside it; refuse double keys."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, _join(path, index), lines, name)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = _join(path, key.value)
            line = key.start_mark.line + 1
            if key.value in seen and key.value != _MERGE_KEY:
                raise SpecError(
                    "this key stands here a second time",
                    file=name,
                    line=line,
                    field=inner,
                )
            seen.add(key.value)
            lines[inner] = line
            _note_lines(value, inner, lines, name)


def _join(path: str, part: object) -> str:
    return f"{path}.{part}" if path else str(part)


def spec_error(
    error: ValidationError,
    *,
    file: str | None = None,
    lines: Mapping[str, int] | None = None,
    prefix: str = "",
) -> SpecError:
    """
    Turn the first complaint of a validation into one line with file, line, field.

    ``error``: what pydantic raised. ``file``: the file the data came from. ``lines``:
    line of each dotted field path, from :func:`load_yaml`. ``prefix``: path of the
    validated block inside the file, for example ``space``.
    """
    complaints = error.errors(include_url=False)
    # A misspelt field explains a missing one, so it is named first.
    unknown = [one for one in complaints if one["type"] == "extra_forbidden"]
    first = (unknown or complaints)[0]
    field = prefix
    for part in first["loc"]:
        # Branches of a union stand in the location but not in the file.
        candidate = _join(field, part)
        known = lines is None or candidate in lines or first["type"] == "missing"
        if known or (str(part).isidentifier() and not _is_branch(part, first["loc"])):
            field = candidate
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "no such field here; check its spelling"
    elif first["type"] == "missing":
        message = "this field is required"
    others = error.error_count() - 1
    if others:
        message += f" (and {others} more)"
    return SpecError(message, file=file, line=line_of(field, lines), field=field)


def _is_branch(part: object, location: tuple[int | str, ...]) -> bool:
    """Whether a part of a location names a branch of a union, not a field."""
    return isinstance(part, str) and part != location[-1]


def line_of(field: str | None, lines: Mapping[str, int] | None) -> int | None:
    """
    Line of a field, or of the nearest block around it that stands in the file.

    Examples
    --------
    >>> line_of("space.step", {"": 1, "space": 4})
    4
    """
    if not lines:
        return None
    path = field or ""
    while path not in lines and path:
        path = path.rpartition(".")[0]
    return lines.get(path)

"""YAML files whose errors know their line: reading, and saying what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from hts_battery.errors import SpecError
from hts_battery.schemas.base import FieldError
from hts_battery.schemas.spec_messages import SHAPES, find_place, sentence
from hts_battery.schemas.text_files import read_text
from hts_battery.schemas.yaml_problems import (
    refuse_comma,
    refuse_uneven_commas,
    yaml_problem,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

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
    return parse_yaml(read_text(path), name=str(path))


def load_mapping(path: str | Path, what: str) -> tuple[dict[str, Any], Lines]:
    """
    Read a YAML file that holds a mapping; SpecError if it holds anything else.

    ``what``: what the file describes, for messages: a campaign, a space.
    """
    data, lines = load_yaml(path)
    if isinstance(data, dict):
        return data, lines
    if data is None:
        found = "nothing stands in this file"
    elif isinstance(data, list):
        found = "this file holds a list"
    else:
        found = f"this file holds {str(data)[:40]!r} alone"
    raise SpecError(
        f"{found}: {what} is written as a mapping, one 'field: value' a line",
        file=str(path),
        line=1,
    )


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
    lines: Lines = {}
    try:
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, lines
            _note_lines(node, "", lines, name)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.YAMLError as err:
        message, line = yaml_problem(err, text)
        raise SpecError(message, file=name, line=line) from err
    except RecursionError as err:
        raise SpecError("too many brackets inside one another", file=name) from err
    except ValueError as err:
        raise SpecError(f"cannot read this YAML: {err}", file=name) from err


def _note_lines(node: yaml.Node, path: str, lines: Lines, name: str | None) -> None:
    """Write the line of a node and of everything inside it; refuse double keys."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        refuse_uneven_commas(node, path, name)
        for index, value in enumerate(node.value):
            _note_lines(value, _join(path, index), lines, name)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        refuse_comma(node.value, path, name)
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise SpecError(
                    "a list or a mapping cannot be the name of a field",
                    file=name,
                    line=key.start_mark.line + 1,
                )
            inner = _join(path, key.value)
            line = key.start_mark.line + 1
            if key.value in seen and key.value != _MERGE_KEY:
                raise SpecError(
                    "this key stands here a second time, the first is on line "
                    f"{seen[key.value]}: leave one of them out",
                    file=name,
                    line=line,
                    field=inner,
                )
            seen.setdefault(key.value, line)
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
    shape: object = None,
) -> SpecError:
    """
    Turn the first complaint of a validation into one line with file, line, field.

    ``error``: what pydantic raised. ``file``: the file the data came from. ``lines``:
    line of each dotted field path, from :func:`load_yaml`. ``prefix``: path of the
    validated block inside the file, for example ``space``. ``shape``: document, or
    annotation, that was validated: its fields know their examples and units.
    """
    complaints = [
        (one, find_place(shape, one["loc"])) for one in error.errors(include_url=False)
    ]
    paths = {one.path for _, one in complaints}
    # A misspelt field explains a missing one, so it is named first; what is wrong
    # inside something says more than what is wrong with the whole.
    first, place = min(
        complaints,
        key=lambda one: (
            one[0]["type"] != "extra_forbidden",
            any(_is_inside(path, one[1].path) for path in paths),
            one[0]["type"] in SHAPES,
        ),
    )
    kinds = [
        one["type"]
        for one, there in complaints
        if there.path == place.path and one["type"] in SHAPES
    ]
    message = sentence(first, place, kinds=kinds)
    cause = first.get("ctx", {}).get("error")
    inner = cause.field.split(".") if isinstance(cause, FieldError) else []
    field = ".".join([*filter(None, [prefix]), *place.path, *inner])
    others = {
        there.path
        for one, there in complaints
        if there.path != place.path
        and not _is_inside(place.path, there.path)
        and not (one["type"] == "missing" and there.path[:-1] == place.path[:-1])
    }
    if others:
        message += f" (and {len(others)} more)"
    return SpecError(message, file=file, line=line_of(field, lines), field=field)


def _is_inside(path: Sequence[str], outer: Sequence[str]) -> bool:
    """Say whether a path leads further into what another one leads to."""
    return len(path) > len(outer) and list(path[: len(outer)]) == list(outer)


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

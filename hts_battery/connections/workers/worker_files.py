"""YAML of a worker as FireWorks, jobflow and atomate2 read it: YAML 1.2, by ruamel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

type_tree = dict[str, "type_tree"] | list["type_tree"] | str | int | float | bool | None
_NULL = "tag:yaml.org,2002:null"
_LONGEST_LINE = 10_000


def read_worker_file(path: Path) -> Any:  # noqa: ANN401 - any content, checked after
    """
    Read a template or a rendered file as its reader will.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ConfigurationError
        If it is no YAML, with the line.
    """
    try:
        return _loaded(path.read_text(encoding="utf-8"))
    except MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line = "" if mark is None else f"{mark.line + 1}: "
        what = (err.problem or err.context or "no YAML").splitlines()[0]
        raise ConfigurationError(f"{path}:{line or ' '}{what}") from err
    except (YAMLError, UnicodeDecodeError, ValueError) as err:
        raise ConfigurationError(f"{path}: {str(err).splitlines()[0]}") from err


def as_written(path: Path) -> dict[str, str | None]:
    """
    Return the plain values of a file as they stand there: ``007`` and ``24:00:00``.

    What a queue script asks for is text: no reader may make a number of it.
    """
    root = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
    if not isinstance(root, MappingNode):
        return {}
    return {
        str(key.value): None if value.tag == _NULL else str(value.value)
        for key, value in root.value
        if isinstance(key, ScalarNode) and isinstance(value, ScalarNode)
    }


def written(tree: type_tree) -> str:
    """
    Write a tree so that readers of YAML 1.1 and 1.2 read the same out of it.

    Examples
    --------
    >>> print(written({"walltime": "24:00:00", "account": "1e3", "n": 1}), end="")
    walltime: '24:00:00'
    account: '1e3'
    n: 1
    """
    text = yaml.dump(
        tree,
        Dumper=_Dumper,
        sort_keys=False,
        width=_LONGEST_LINE,
        allow_unicode=True,
    )
    if _loaded(text) != tree or yaml.safe_load(text) != tree:
        raise ConfigurationError("these values cannot be written as YAML")
    return text


def _loaded(text: str) -> Any:  # noqa: ANN401 - any content
    return YAML(typ="safe", pure=True).load(text)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks; quotes what may be read otherwise."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    if style is None and _is_read_otherwise(value):
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_read_otherwise(value: str) -> bool:
    try:
        found: object = _loaded(value)
    except (YAMLError, ValueError):
        return True
    return found != value


_Dumper.add_representer(str, _text)

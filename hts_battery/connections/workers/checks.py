"""
What is wrong with a rendered worker, as far as its files say.

Each of these would otherwise show hours later, in the error file of a job that waited
for them: an interpreter that is not there, a blank that splits a path, a placeholder
that nobody filled in, a request that no queue can grant.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hts_battery.errors import ConfigurationError
from hts_battery.schemas.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    type_content = Mapping[str, Any]

CHECK = "worker files"
_ADAPTER, _LAUNCHPAD, _JOBFLOW = "my_qadapter.yaml", "my_launchpad.yaml", "jobflow.yaml"
_PLACEHOLDERS = frozenset({
    "CHANGEME", "CHANGE_ME", "DATABASE", "DB", "HOST", "HOSTNAME", "NAME", "PASS",
    "PASSWORD", "PORT", "REPLACE", "REPLICA", "SECRET", "SERVER", "TODO", "USER",
    "USERNAME", "XXX",
})  # fmt: skip
"""Words that stand in examples where a value belongs."""
_TEMPLATE = re.compile(r"<.*>|\$?\{.*\}|\$\w+|\[.*\]|\.{3}|…")
_SHELL = ("rocket_launch", "pre_rocket", "post_rocket")
"""Keys whose values are lines of shell, and may hold blanks."""
_POSITIVE = (
    "nodes",
    "nnodes",
    "ntasks",
    "ntasks_per_node",
    "cpus_per_task",
    "gpus_per_node",
    "ppnode",
    "mppwidth",
)
_TIMES = ("walltime", "run_limit", "time_min")
# Minutes, M:S, H:M:S, D-H, D-H:M, D-H:M:S: what Slurm reads, and others in part.
_TIME = re.compile(r"^(?:\d+-\d+(?::\d+){0,2}|\d+(?::\d+){0,2})$")


def check_worker(config: Path) -> list[Finding]:
    """
    Find what is wrong with the files of a rendered worker.

    A ConfigurationError says that one cannot be read.
    """
    adapter = _read(config / _ADAPTER)
    return [
        *_check_uris(config),
        *_check_launch(config, adapter),
        *_check_requests(config / _ADAPTER, adapter),
    ]


def placeholder_in(uri: str) -> str | None:
    """
    Return the part of a URI that is still the word of an example, if one is.

    Examples
    --------
    >>> placeholder_in("mongodb://USER:PASSWORD@HOST:27017/?tls=true")
    'USER'
    >>> placeholder_in("mongodb://me:s3cr3t@<host>/")
    '<host>'
    >>> placeholder_in("mongodb://me:s3cr3t@db.example.org:27017/?authSource=admin")
    """
    _, _, rest = uri.partition("://")
    place = rest.partition("?")[0]
    for part in re.split(r"[/:@,]", place):
        if part in _PLACEHOLDERS or _TEMPLATE.fullmatch(part):
            return part
    return None


def _check_uris(config: Path) -> Iterator[Finding]:
    """Placeholders that nobody replaced; the password is not shown."""
    found: dict[str, Any] = {_LAUNCHPAD: _read(config / _LAUNCHPAD).get("host")}
    store = _read(config / _JOBFLOW).get("JOB_STORE") or {}
    if isinstance(store, dict):
        found[_JOBFLOW] = (store.get("docs_store") or {}).get("uri")
    for name, uri in found.items():
        left = placeholder_in(uri) if isinstance(uri, str) and "://" in uri else None
        if left is not None:
            yield _problem(
                f"the URI of the database still has the placeholder {left}",
                config / name,
                "put the real value into HTS_BATTERY_MONGO_URI and render again",
            )


def _check_launch(config: Path, adapter: type_content) -> Iterator[Finding]:
    """Interpreter and paths of the line that starts a rocket."""
    line = str(adapter.get("rocket_launch") or "")
    try:
        words = shlex.split(line)
    except ValueError as err:
        yield _problem(
            f"rocket_launch is no line of shell: {err}",
            config / _ADAPTER,
            "render again",
        )
        return
    if not words:
        yield _problem("rocket_launch is empty", config / _ADAPTER, "render again")
        return
    if "-c" in words and words[words.index("-c") + 1 :][:1] != [str(config)]:
        given = " ".join(words[words.index("-c") + 1 :][:1])
        why = "a blank splits the path" if " " in str(config) else "it was moved"
        yield _problem(
            f"its rockets read their files from {given or 'nowhere'}, and not from "
            f"{config}: {why}",
            config / _ADAPTER,
            "render into a folder without blanks, and do not move it",
        )
    yield from _check_interpreter(config, words[0])


def _check_interpreter(config: Path, program: str) -> Iterator[Finding]:
    path = Path(program)
    if shutil.which(program) is not None:
        return
    what = (
        "cannot be run"
        if path.exists() and not os.access(path, os.X_OK)
        else ("is not there")
    )
    yield _problem(
        f"the interpreter {program} {what}, as seen from here",
        config / _ADAPTER,
        "set HTS_PYTHON to one that compute nodes see, and render again",
    )


def _check_requests(file: Path, adapter: type_content) -> Iterator[Finding]:
    """Find requests that no queue can grant."""
    for key, value in adapter.items():
        if key in _SHELL or key.startswith("_") or value is None:
            continue
        text = str(value)
        if re.search(r"\s", text):
            yield _problem(
                f"{key}: {text!r} holds a blank, at which the line of the queue script "
                "ends",
                file,
                "write it without",
            )
        elif key in _POSITIVE and not re.fullmatch(r"0*[1-9]\d*", text):
            yield _problem(f"{key}: {text} is no number of 1 or more", file, _AGAIN)
        elif key in _TIMES and not is_time(text):
            yield _problem(
                f"{key}: {text} is no time that a queue reads: HH:MM:SS", file, _AGAIN
            )


_AGAIN = "change the variable that it is made from, and render again"


def is_time(text: str) -> bool:
    """
    Say whether a queue reads a text as a time above zero.

    Examples
    --------
    >>> [is_time(one) for one in ("01:00:00", "1-12", "90", "UNLIMITED")]
    [True, True, True, True]
    >>> [is_time(one) for one in ("1h", "00:00:00", "", "1:2:3:4", "-1")]
    [False, False, False, False, False]
    """
    if text.upper() in {"UNLIMITED", "INFINITE"}:
        return True
    return _TIME.match(text) is not None and any(one in "123456789" for one in text)


def _problem(what: str, where: Path, action: str) -> Finding:
    return Finding(
        check=CHECK, level=Level.PROBLEM, what=what, where=str(where), action=action
    )


def _read(path: Path) -> type_content:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigurationError(
            f"{path}: {err.strerror}; `hts launchpad render` writes it"
        ) from None
    except yaml.YAMLError as err:
        raise ConfigurationError(f"{path}: {err}") from None
    return content if isinstance(content, dict) else {}

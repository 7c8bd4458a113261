"""The targets of make, and the programs that each calls."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from golden.recording import renamed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from golden.recording import Recording

_TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)(.*)$")
_PROGRAM = re.compile(r"\$\(BIN\)/(?:python (?:-m )?)?([\w./-]+(?: campaign run)?)")
_VARIABLE = re.compile(r"^([A-Z]+) \?=", re.MULTILINE)


def targets(makefile: str) -> dict[str, dict[str, list[str]]]:
    """Return target → what it needs, and the programs of the environment it calls."""
    found: dict[str, dict[str, list[str]]] = {}
    current = None
    for line in makefile.splitlines():
        if match := _TARGET.match(line):
            current = {"needs": match[2].split(), "calls": []}
            found[match[1]] = current
        elif line.startswith("\t") and current is not None:
            current["calls"] += _PROGRAM.findall(line)
        else:
            current = None
    return found


def renamed_targets(recorded: dict[str, Any]) -> dict[str, Any]:
    now = {renamed("target", name): one for name, one in recorded.items()}
    now.pop("", None)
    return now


def test_the_targets_of_make(
    project_root: Path, recording: Callable[[str], Recording]
) -> None:
    text = (project_root / "Makefile").read_text("utf-8")
    found = targets(text)
    help_lines = re.findall(r'@echo "make ([a-z-]+)', text)
    assert set(help_lines) <= found.keys()
    recording("targets").check("targets", found, now=renamed_targets)
    recording("targets").check("variables", sorted(_VARIABLE.findall(text)))

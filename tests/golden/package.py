"""Names of the package, found wherever they live."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from golden.recording import renamed

import hts_battery

ROOT = Path(hts_battery.__file__).parent


@cache
def defined() -> dict[str, list[str]]:
    """Return name → the modules that define it at their top, functions first."""
    found: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        for node in ast.parse(path.read_text("utf-8")).body:
            is_variable = isinstance(node, ast.Assign | ast.AnnAssign)
            for name in _names(node):
                modules = found.setdefault(name, [])
                modules.insert(len(modules) if is_variable else 0, module)
    return found


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Assign):
        return [one.id for one in node.targets if isinstance(one, ast.Name)]
    return []


def named(name: str) -> Any:  # noqa: ANN401 - whatever has the name
    """Import what has a name, or what the table says it is called now."""
    now = renamed("name", name)
    assert now, f"{name} is gone"
    modules = defined().get(now, [])
    assert modules, f"no module of hts_battery defines {now}"
    return getattr(import_module(modules[0]), now)

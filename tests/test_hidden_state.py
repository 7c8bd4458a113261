"""Nothing reaches a module but what it is given: no surgery, no ambient settings."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hts_battery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(hts_battery.__file__).parent
MAY_READ_SETTINGS = ("cli/", "operations/", "settings.py")
_CHANGES = frozenset({"update", "pop", "popitem", "setdefault", "clear"})
_LOOKS = frozenset({"search", "match", "fullmatch", "findall", "startswith"})


def attributes(tree: ast.AST) -> Iterator[ast.Attribute]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def surgery(path: str, tree: ast.AST) -> Iterator[int]:
    """Changing the class of an object, or its fields behind its back."""
    del path
    for node in attributes(tree):
        is_written = not isinstance(node.ctx, ast.Load)
        if node.attr == "__dict__" or (node.attr == "__class__" and is_written):
            yield node.lineno


def environment(path: str, tree: ast.AST) -> Iterator[int]:
    """Changing the variables of this process instead of a child's."""
    del path
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            changes = not isinstance(node.ctx, ast.Load)
        elif isinstance(node, ast.Attribute):
            changes = node.attr in _CHANGES
        else:
            continue
        if changes and ast.unparse(node.value) == "os.environ":
            yield node.lineno
    for call in calls(tree):
        if ast.unparse(call.func) in {"os.putenv", "os.unsetenv"}:
            yield call.lineno


def settings(path: str, tree: ast.AST) -> Iterator[int]:
    """Reading settings below the rooms that hand them inwards as values."""
    if not path.startswith(MAY_READ_SETTINGS):
        for call in calls(tree):
            if ast.unparse(call.func).endswith("get_settings"):
                yield call.lineno


def collections(path: str, tree: ast.AST) -> Iterator[int]:
    """Taking the driver's collection out of a store."""
    if not path.startswith("connections/"):
        for node in attributes(tree):
            if node.attr in {"collection", "_collection", "_coll"}:
                yield node.lineno


def messages(path: str, tree: ast.AST) -> Iterator[int]:
    """Telling an error by the text of its message."""
    del path
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or handler.name is None:
            continue
        text = f"str({handler.name})"
        for node in ast.walk(handler):
            if isinstance(node, ast.Compare):
                read = [ast.unparse(one) for one in (node.left, *node.comparators)]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in _LOOKS:
                    continue
                read = [ast.unparse(one) for one in (node.func.value, *node.args)]
            else:
                continue
            if text in read:
                yield node.lineno


RULES: tuple[Callable[[str, ast.AST], Iterator[int]], ...] = (
    surgery,
    environment,
    settings,
    collections,
    messages,
)
ALLOWED = {
    ("settings", "flows/execution/node.py"): "the machine that runs a job is asked "
    "where the job starts, and nowhere deeper",
    ("settings", "connections/launchpad/fireworks_commands.py"): "the program that a "
    "queue job starts: nobody above it could hand in anything",
    ("settings", "query/screening_database.py"): "the front door of analysts: "
    "ScreeningDatabase() without stores opens those of the settings",
    ("settings", "campaign/built_states.py"): "to be given the temperatures",
    ("settings", "campaign/local_processes.py"): "the entry of a process of its own",
    ("settings", "dispatch/recovery.py"): "to be given the times after which a rocket "
    "is lost",
    ("environment", "operations/rehearsal.py"): "plays the machine of the jobs that it "
    "runs in this process; goes when they run in children",
    ("messages", "connections/database/clients.py"): "asks whether a text holds the "
    "password, not what it says",
    ("messages", "connections/materials_project.py"): "mp-api has one class of errors "
    "and no code; decides only between two ways to say it",
    ("messages", "flows/recipes/local.py"): "jobflow has no class for a flow that did "
    "not finish",
}
"""Rule and file → why it stands there."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_source_has_no_hidden_state(
    rule: Callable[[str, ast.AST], Iterator[int]],
) -> None:
    found: dict[str, list[int]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).as_posix()
        if lines := list(rule(path, ast.parse(file.read_text("utf-8")))):
            found[path] = lines
    allowed = {path for name, path in ALLOWED if name == rule.__name__}
    new = {path: lines for path, lines in found.items() if path not in allowed}
    assert not new, f"{rule.__doc__} {new}"
    assert not allowed - set(found), "mended: take it off the list"


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (surgery, "job.__class__ = Other"),
        (surgery, "self.__dict__.update(other.__dict__)"),
        (environment, "os.environ['A'] = 'b'"),
        (environment, "del os.environ['A']"),
        (environment, "os.environ.pop('A', None)"),
        (environment, "os.putenv('A', 'b')"),
        (settings, "get_settings().database"),
        (collections, "stores.tasks.collection.find()"),
        (messages, "try:\n f()\nexcept E as err:\n g = 'away' in str(err)"),
        (messages, "try:\n f()\nexcept E as err:\n g = P.search(str(err))"),
    ],
)
def test_each_rule_finds_what_it_is_for(
    rule: Callable[[str, ast.AST], Iterator[int]], source: str
) -> None:
    assert list(rule("flows/some.py", ast.parse(source)))


def test_reading_is_no_change() -> None:
    source = ast.parse("os.environ.get('A'); os.environ['A']; type(a.__class__)")
    for rule in RULES:
        assert not list(rule("flows/some.py", source))

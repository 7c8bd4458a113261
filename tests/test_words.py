"""One word has one meaning: words that were coined and replaced do not come back."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REPLACED = {
    "breathed": "rescaled",
    "claims": "file locks",
    "competition": "competing phases",
    "conduct": "run",
    "contestant": "hull query",
    "deed": "recovery action",
    "determinised": "subset automaton",
    "guilty": "offending",
    "harvest": "collection",
    "holding": "control",
    "judge": "stability",
    "judged": "assessed",
    "looser": "relaxed",
    "mend": "repair",
    "objection": "invalid reason",
    "parcel": "batch",
    "parcels": "batches",
    "standing": "state",
    "standings": "states",
    "stranger": "outdated",
    "strangers": "outdated",
    "stray": "orphaned",
    "strays": "orphaned",
    "surroundings": "hull context",
    "telling": "alerts",
}
"""Word → what is said instead."""
STORED = {"competition_term"}
"""Names of stored and shown fields, which stay."""
COINED = (
    *("telling", "standing", "standings", "harvest", "harvested", "parcel", "parcels"),
    *("conduct", "stray", "strays", "guilty", "looser", "breathed", "judged"),
    "determinised",
)
"""Nouns that prose leaves out as well."""
ONE_MEANING = (
    *("Outcome", "Mixture", "Prototype", "Cell", "Place", "Group", "Share", "State"),
    *("Tally", "Progress"),
)


def names(tree: ast.AST) -> Iterator[str]:
    """Yield each name that a module gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def words(name: str) -> list[str]:
    return [
        word.lower()
        for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    ]


@pytest.fixture(scope="module")
def trees(project_root: Path) -> dict[str, ast.Module]:
    package = project_root / "hts_battery"
    return {
        str(path.relative_to(project_root)): ast.parse(path.read_text("utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


def test_identifiers_use_the_words_of_the_field(trees: dict[str, ast.Module]) -> None:
    found = sorted(
        f"{path}: {name}: say {REPLACED[word]}, not {word}"
        for path, tree in trees.items()
        for name in set(names(tree)) - STORED
        for word in words(name)
        if word in REPLACED
    )
    assert found == []


def test_modules_use_the_words_of_the_field(trees: dict[str, ast.Module]) -> None:
    parts = {part for path in trees for part in re.split(r"[/.]", path)}
    assert not [part for part in parts if set(words(part)) & set(REPLACED)]


def test_a_class_name_has_one_meaning(trees: dict[str, ast.Module]) -> None:
    counts = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert not {name: counts[name] for name in ONE_MEANING if counts[name] > 1}


def test_prose_has_no_coined_nouns(project_root: Path) -> None:
    pattern = re.compile(rf"\b({'|'.join(COINED)})\b", re.IGNORECASE)
    pages = [
        *project_root.glob("*.md"),
        *(project_root / "docs").rglob("*.md"),
        *(project_root / "hts_battery").rglob("*.py"),
    ]
    found = sorted(
        f"{page.relative_to(project_root)}:{number}: {line.strip()}"
        for page in pages
        # The table of renamed words names them.
        if page.name != "CHANGELOG.md"
        for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1)
        if pattern.search(line)
    )
    assert found == []

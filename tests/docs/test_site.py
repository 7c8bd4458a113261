"""The site builds without a warning, and has every command and every page."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import typer
from docs.code_blocks import PROJECT

from hts_battery.cli.app import app

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDED = ("mkdocs", "material", "mkdocstrings_handlers", "griffe_pydantic")
MISSING = [name for name in NEEDED if find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (the extra docs)"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site; a broken link, a missing anchor or a page left out ends it."""
    folder = tmp_path_factory.mktemp("site") / "built"
    words = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(  # noqa: S603 - this interpreter, fixed words
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_in_the_menu() -> None:
    from mkdocs.config import load_config  # noqa: PLC0415 - may be missing

    config = load_config(str(PROJECT / "mkdocs.yml"))
    config.plugins.run_event("config", config)
    menu = set(_pages(config.nav))
    pages = {
        path.relative_to(PROJECT / "docs").as_posix()
        for path in (PROJECT / "docs").rglob("*.md")
    }
    assert pages <= menu
    assert {"index.md", "changelog.md", "workers/slurm.md"} <= menu
    assert config.validation.nav.omitted_files == logging.WARNING


def _pages(nav: list[Any]) -> Iterator[str]:
    for item in nav:
        if isinstance(item, str):
            yield item
        else:
            for inner in item.values():
                yield from _pages(inner)


def test_every_command_has_an_entry(site: Path) -> None:
    text = "".join(
        page.read_text("utf-8")
        for page in (site / "reference" / "commands").glob("*.html")
    )
    for noun, group in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for verb, command in getattr(group, "commands", {"": group}).items():
            words = f"hts {noun} {verb}".strip()
            assert f'id="{words.replace(" ", "-")}"' in text, words
            for option in command.params:
                if getattr(option, "hidden", False):
                    continue  # nobody is to type it
                names = [one for one in option.opts if one.startswith("--")]
                assert all(name in text for name in names), words


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="(https?:)?//')
    for page in site.rglob("*.html"):
        assert loaded.search(page.read_text("utf-8")) is None, page


def test_each_module_has_a_page(site: Path) -> None:
    modules = {
        path.relative_to(PROJECT / "hts_battery").with_suffix("")
        for path in (PROJECT / "hts_battery").rglob("*.py")
        if "cli" not in path.parts and path.stem != "__init__"
    }
    pages = site / "reference" / "python"
    assert [m for m in modules if not (pages / m).with_suffix(".html").is_file()] == []

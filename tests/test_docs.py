"""What the pages say is there: commands, files, settings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from hts_battery.cli.app import app
from hts_battery.schemas.state import CandidateState
from hts_battery.settings import HTSBatterySettings

PROJECT = Path(__file__).resolve().parents[1]
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def commands() -> list[str]:
    group = typer.main.get_command(app)
    return [
        f"hts {noun} {verb}"
        for noun, verbs in sorted(group.commands.items())  # type: ignore[attr-defined]
        for verb in sorted(getattr(verbs, "commands", ()))
    ]


@pytest.mark.parametrize("command", commands())
def test_every_command_appears_in_the_pages(command: str) -> None:
    assert command in TEXT


def test_no_page_names_a_command_that_is_not_there() -> None:
    nouns = {command.split()[1] for command in commands()}
    named = set(re.findall(r"\bhts ([a-z]+) ([a-z]+(?:-[a-z]+)*)", TEXT))
    unknown = {
        f"hts {noun} {verb}"
        for noun, verb in named
        if noun in nouns and f"hts {noun} {verb}" not in commands()
    }
    assert unknown == set()


GENERATED = {"fields.md"}
"""Pages that the site makes of declarations: strict builds check links to them."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if "://" in target or target.startswith("#"):
            continue
        path = page.parent / target.partition("#")[0]
        assert path.exists() or path.name in GENERATED, f"{page.name}: {target}"


@pytest.mark.parametrize("name", HTSBatterySettings.model_fields)
def test_every_setting_appears_in_the_pages(name: str) -> None:
    assert f"HTS_BATTERY_{name.upper()}" in TEXT or f"`{name}`" in TEXT


def test_the_readme_is_short() -> None:
    lines = (PROJECT / "README.md").read_text("utf-8").splitlines()
    assert len(lines) <= 150


def test_the_operators_table_has_every_state_in_order() -> None:
    page = (PROJECT / "docs" / "operator.md").read_text("utf-8")
    _, _, table = page.partition("| state | meaning | what to do |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == list(CandidateState)
    assert all(row.split("|")[3].strip() for row in rows)

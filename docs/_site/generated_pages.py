"""Pages of the site that no hand writes, and those that stand elsewhere."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from command_pages import command_pages
from field_page import field_page

_PROJECT = Path(__file__).resolve().parents[2]

SOURCES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "launchpad_configs/README.md": "workers/index.md",
    **{
        f"launchpad_configs/{path.parent.name}/README.md": (
            f"workers/{path.parent.name}.md"
        )
        for path in sorted(_PROJECT.glob("launchpad_configs/*/README.md"))
    },
}
"""File of the project → page that shows it."""

DIRECTORIES = {
    "docs/decisions": "decisions/index.md",
    "docs/notebooks": "notebooks/index.md",
    "launchpad_configs": "workers/index.md",
}
"""Folder of the project → page that lists it."""


@lru_cache(maxsize=1)
def pages(project: Path) -> dict[str, str]:
    """
    Make every page that is not a file of `docs`.

    Parameters
    ----------
    project
        Root of the repository.

    Returns
    -------
    dict[str, str]
        Path in the site → Markdown.
    """
    return {
        **{
            place: (project / name).read_text("utf-8")
            for name, place in SOURCES.items()
        },
        "fields.md": field_page(),
        "decisions/index.md": _decisions(project / "docs" / "decisions"),
        **_notebooks(project / "docs" / "notebooks"),
        **command_pages(),
        **_modules(project / "hts_battery"),
    }


def _decisions(folder: Path) -> str:
    """List the decision records by their titles."""
    lines = [
        f"- [{path.read_text('utf-8').partition(chr(10))[0].lstrip('# ')}]({path.name})"
        for path in sorted(folder.glob("*.md"))
    ]
    return "# Decisions\n\nWhy it is as it is, one page each.\n\n" + "\n".join(lines)


def _notebooks(folder: Path) -> dict[str, str]:
    """Show the cells of each notebook; a test runs them."""
    made = {}
    for path in sorted(folder.glob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        made[f"notebooks/{path.stem}.md"] = "\n\n".join(
            _cell(cell["cell_type"], "".join(cell["source"])) for cell in cells
        )
    listed = "\n".join(
        f"- [{text.partition(chr(10))[0].lstrip('# ')}]({Path(name).name})"
        for name, text in made.items()
    )
    head = "# Notebooks\n\nThey stand in `docs/notebooks`; a test runs each.\n\n"
    return {"notebooks/index.md": head + listed, **made}


def _cell(kind: str, source: str) -> str:
    return source if kind == "markdown" else f"```python\n{source}\n```"


def _modules(package: Path) -> dict[str, str]:
    """Give each module a page that mkdocstrings fills, each room one with a list."""
    made = {}
    for path in sorted(package.rglob("*.py")):
        if "cli" in path.parts:  # the commands have pages of their own
            continue
        parts = path.relative_to(package.parent).with_suffix("").parts
        room = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if room else parts)
        inner = parts[1:-1] if room else parts[1:]
        place = "/".join(["reference/python", *inner, *(["index"] if room else [])])
        title = name.rpartition(".")[2]
        text = f"---\ntitle: {title}\n---\n\n::: {name}\n"
        made[f"{place}.md"] = text + (_room(path.parent) if room else "")
    return made


def _room(folder: Path) -> str:
    """List what is in a room."""
    inner = [
        (path.stem, f"{path.stem}.md")
        for path in sorted(folder.glob("*.py"))
        if path.stem != "__init__"
    ] + [
        (path.parent.name, f"{path.parent.name}/index.md")
        for path in sorted(folder.glob("*/__init__.py"))
        if path.parent.name != "cli"
    ]
    rows = "\n".join(f"- [{name}]({page})" for name, page in inner)
    return f"\n## In this room\n\n{rows}\n"

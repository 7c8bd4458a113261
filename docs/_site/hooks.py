"""What mkdocs asks while it builds: pages made from elsewhere, the menu, and links."""

from __future__ import annotations

import re
from os.path import normpath, relpath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from generated_pages import DIRECTORIES, SOURCES, pages
from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#:\s]+)(?=[)#])")
_PROJECT = Path(__file__).resolve().parents[2]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out pages that are not there, put the made ones where their folder is."""
    made = pages(_PROJECT)
    there = made.keys() | {
        path.relative_to(config.docs_dir).as_posix()
        for path in Path(config.docs_dir).rglob("*.md")
    }
    config.nav = _present(config.nav or [], there)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from other files of the project."""
    for path, text in pages(_PROJECT).items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Lead links to files outside `docs` to their pages."""
    del config, files
    here = page.file.src_uri
    source = {place: name for name, place in SOURCES.items()}.get(here, f"docs/{here}")
    return _LINK.sub(lambda match: _led(match["path"], source, here), markdown)


def _led(target: str, source: str, page: str) -> str:
    """Return the link from a page to what its source calls by another path."""
    path = normpath(Path(source).parent / target)
    place = SOURCES.get(path) or DIRECTORIES.get(path) or path.removeprefix("docs/")
    return relpath(place, Path(page).parent)


def _present(nav: list[Any], there: set[str]) -> list[Any]:
    """Keep what is there; a folder becomes the list of its pages, `index.md` first."""
    kept: list[Any] = []
    for item in nav:
        if isinstance(item, str):
            kept += [item] * (item in there)
            continue
        ((title, inner),) = item.items()
        if isinstance(inner, str):
            inner = _folder(inner, there)
        if found := _present(inner, there):
            kept.append({title: found})
    return kept


def _folder(name: str, there: set[str]) -> list[Any]:
    """List the pages of a folder, folders in it as lists of their own."""
    inside = sorted(path for path in there if path.startswith(f"{name}/"))
    own = [path for path in inside if path.count("/") == name.count("/") + 1]
    own.sort(key=lambda path: not path.endswith("/index.md"))
    deeper = sorted(
        {path.split("/")[name.count("/") + 1] for path in inside}
        - {path.rpartition("/")[2] for path in own}
    )
    return [*own, *({part: _folder(f"{name}/{part}", there)} for part in deeper)]

"""
What a shell completes beside words of the command line: campaigns, workers, profiles.

A shell waits while one types, so no database is asked: whatever changes or lists
campaigns leaves their names in a small file of the data folder.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.connections.database.stores import Stores

NAMES_FILE = "completion.json"
"""File of the data folder that holds the names."""
TEMPLATES = Path("launchpad_configs")
_FILES = ("*.yaml", "*.yml")


def complete_campaign(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of campaigns, and campaign files here, that begin so."""
    return _beginning(
        [*_noted(ctx, "campaigns"), *_campaign_files(incomplete)], incomplete
    )


def complete_campaign_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of campaigns that begin so."""
    return _beginning(_noted(ctx, "campaigns"), incomplete)


def complete_worker(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of workers that begin so: with a folder, or submitted to."""
    templates = Path(ctx.params.get("templates") or TEMPLATES)
    folders = (path.parent.name for path in templates.glob("*/my_fworker.yaml"))
    return _beginning([*folders, *_noted(ctx, "workers")], incomplete)


def complete_profile(incomplete: str) -> list[str]:
    """Return the profiles of the settings file that begin so."""
    from hts_battery.settings_file import read_sections

    with suppress(ConfigurationError):
        return _beginning(read_sections()[1], incomplete)
    return []


def note_names(stores: Stores, data_dir: Path) -> None:
    """Leave the names of campaigns and workers for whoever completes them."""
    names = {
        "campaigns": sorted(stores.campaigns.distinct("name")),
        "workers": sorted(stores.submissions.distinct("worker")),
    }
    text = json.dumps(names)
    path = data_dir / NAMES_FILE
    # A folder that cannot be written, or is not there yet: nothing is completed.
    with suppress(OSError):
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def _noted(ctx: typer.Context, kind: str) -> list[str]:
    """Read the names that were left in the data folder."""
    with suppress(OSError, LookupError, TypeError, ValueError, ConfigurationError):
        found = json.loads((_data_folder(ctx) / NAMES_FILE).read_text("utf-8"))
        return [str(name) for name in found[kind]]
    return []


def _data_folder(ctx: typer.Context) -> Path:
    """Find the data folder as the settings do, without checking the rest of them."""
    from hts_battery.settings_file import name_profile, read_settings

    name_profile(ctx.find_root().params.get("profile"))
    named = os.environ.get("HTS_BATTERY_DATA_DIR") or read_settings().get("data_dir")
    return Path(str(named or "hts-data")).expanduser()


def _campaign_files(incomplete: str) -> list[str]:
    folder = Path(incomplete).parent if "/" in incomplete else Path()
    found = (path for pattern in _FILES for path in folder.glob(pattern))
    return [str(path) for path in found]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})

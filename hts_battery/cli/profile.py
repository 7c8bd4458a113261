"""hts profile: named sets of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from hts_battery.cli import formatting
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError
from hts_battery.settings_file import (
    PROFILES,
    chosen_profile,
    config_file,
    profile_settings,
    read_sections,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HIDDEN = "(hidden)"


class _Profile(TypedDict):
    """What a profile sets, and what is wrong with it."""

    profile: str | None
    in_use: bool
    settings: dict[str, object]
    problem: str | None


def list_profiles(as_json: AsJson = False) -> None:
    """List the profiles of the settings file, and what each sets without passwords."""
    base, profiles = read_sections()
    used = chosen_profile()
    rows = list(_rows(base, profiles, used))
    if as_json:
        for row in rows:
            formatting.json_line(row)
        return
    if not base and not profiles:
        formatting.line(f"no settings file sets anything: {config_file()}")
        return
    formatting.table(
        ("profile", "in use", "sets", "problem"),
        (
            (
                row["profile"] or "(none)",
                "yes" if row["in_use"] else "",
                "\n".join(f"{name}: {one}" for name, one in row["settings"].items()),
                row["problem"],
            )
            for row in rows
        ),
        title=f"{config_file()}",
    )
    if not profiles:
        formatting.line(f"a profile stands there under {PROFILES}:, name: settings")


def _rows(
    base: Mapping[str, object], profiles: Mapping[str, object], used: str | None
) -> Iterator[_Profile]:
    """Yield what stands outside profiles, then each profile with its own."""
    yield _row(None, base, in_use=used is None)
    for name, section in sorted(profiles.items()):
        try:
            yield _row(name, profile_settings(section, name), in_use=name == used)
        except ConfigurationError as err:
            yield {**_row(name, {}, in_use=name == used), "problem": str(err)}


def _row(name: str | None, settings: Mapping[str, object], *, in_use: bool) -> _Profile:
    from hts_battery.settings import HTSBatterySettings

    unknown = sorted(set(settings) - set(HTSBatterySettings.model_fields))
    return {
        "profile": name,
        "in_use": in_use,
        "settings": {one: _shown(one, value) for one, value in settings.items()},
        "problem": f"no settings: {', '.join(unknown)}" if unknown else None,
    }


def _shown(name: str, value: object) -> object:
    """Return a value as it may be printed: without what lets somebody in."""
    from hts_battery.connections.database.uris import redact
    from hts_battery.settings import HTSBatterySettings

    field = HTSBatterySettings.model_fields.get(name)
    if name == "mongo_uri":
        return redact(str(value))
    if field is None or "SecretStr" in str(field.annotation):
        return _HIDDEN
    return value

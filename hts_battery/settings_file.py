"""
The settings file and its profiles, as they are written: values are checked elsewhere.

A profile is a named set of settings that stands in the file, or in a file of its own
that the settings file names::

    data_dir: ~/hts-data
    profiles:
      cluster: {mongo_uri: "mongodb://…", database: drx}
      laptop: laptop.yaml

Light enough for shell completion, which must not wait for what checks the values.
"""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path

from hts_battery.errors import ConfigurationError

ENV_PREFIX = "HTS_BATTERY_"
CONFIG_FILE_VARIABLE = "HTS_BATTERY_CONFIG_FILE"
PROFILE_VARIABLE = "HTS_BATTERY_PROFILE"
DEFAULT_CONFIG_FILE = Path("~/.hts_battery.yaml")
PROFILES = "profiles"
"""Key of the settings file under which profiles stand by their names."""

_named: ContextVar[str | None] = ContextVar("profile", default=None)


def name_profile(name: str | None) -> None:
    """Use a profile in this process, as the command line says; none leaves it open."""
    _named.set(name)


def named_profile() -> str | None:
    """Return the profile that the command line names, if it names one."""
    return _named.get()


def chosen_profile() -> str | None:
    """Return the profile in use: of the command line, or of the variable."""
    return _named.get() or os.environ.get(PROFILE_VARIABLE) or None


def profile_variables() -> dict[str, str]:
    """Return what a child process must be given to use the same profile."""
    name = chosen_profile()
    return {} if name is None else {PROFILE_VARIABLE: name}


def config_file() -> Path:
    """Return the path of the settings file, whether or not it exists."""
    named = os.environ.get(CONFIG_FILE_VARIABLE)
    return Path(named or DEFAULT_CONFIG_FILE).expanduser()


def read_settings() -> dict[str, object]:
    """
    Read what the settings file sets, with the profile in use over the rest.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or there is no such profile.
    """
    base, profiles = read_sections()
    name = chosen_profile()
    if name is None:
        return base
    if name not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigurationError(
            f"there is no profile {name} in {config_file()} (there are: {known}); a "
            f"profile stands there under {PROFILES}:, name: settings"
        )
    return base | profile_settings(profiles[name], name)


def read_sections() -> tuple[dict[str, object], dict[str, object]]:
    """
    Read the settings outside profiles, and what stands under each profile's name.

    Raises
    ------
    ConfigurationError
        If the file cannot be read; says which line.
    """
    path = config_file()
    if os.environ.get(CONFIG_FILE_VARIABLE) and not path.is_file():
        raise ConfigurationError(f"{CONFIG_FILE_VARIABLE}: there is no file {path}")
    content = _read_yaml(path) if path.is_file() else {}
    profiles = content.pop(PROFILES, None) or {}
    if not isinstance(profiles, dict):
        raise ConfigurationError(f"{path}: {PROFILES}: name: settings, one a profile")
    return content, {str(name): section for name, section in profiles.items()}


def profile_settings(section: object, name: str) -> dict[str, object]:
    """
    Return the settings of a profile: written in place, or in a file that it names.

    Raises
    ------
    ConfigurationError
        If it is neither, or its file cannot be read.
    """
    if isinstance(section, str):
        path = (config_file().parent / Path(section).expanduser()).absolute()
        if not path.is_file():
            raise ConfigurationError(f"profile {name}: there is no file {path}")
        section = _read_yaml(path)
    if section is None:
        return {}
    if not isinstance(section, dict) or PROFILES in section:
        raise ConfigurationError(
            f"{config_file()}: profile {name}: write settings, one 'name: value' a "
            "line, or the name of a file that holds them"
        )
    return dict(section)


def _read_yaml(path: Path) -> dict[str, object]:
    import yaml  # noqa: PLC0415 - most who ask for help have no settings file

    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.MarkedYAMLError as err:
        line = f":{err.problem_mark.line + 1}" if err.problem_mark else ""
        raise ConfigurationError(f"{path}{line}: {err.problem}") from None
    except (OSError, ValueError, yaml.YAMLError) as err:
        raise _unreadable(path, type(err).__name__) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise _unreadable(path, type(content).__name__)
    return {str(name): value for name, value in content.items()}


def _unreadable(path: Path, kind: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: cannot be read as settings, one 'name: value' a line ({kind})"
    )

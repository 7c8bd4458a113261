"""What the machine that runs a job is asked: its settings and its packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from hts_battery.errors import VersionSkewError
from hts_battery.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hts_battery.settings import HTSBatterySettings

ORDERING_PACKAGES = ("hts_battery", "pymatgen", "sqsgenerator")
"""What decides, for every engine, which cells are computed."""


def node_settings() -> HTSBatterySettings:
    """
    Return the settings of this machine, for a job that starts on it.

    A job is made where other settings hold: its folders, devices and commands are
    those of the machine that runs it. This is the only place below the commands that
    reads settings instead of being given values.
    """
    return get_settings()


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """
    Look up versions here; what is not installed is left out.

    A machine that submits need not have every engine: what it lacks it cannot compare.

    Examples
    --------
    >>> sorted(installed_versions(["pymatgen", "no-such-package"]))
    ['pymatgen']
    """
    found = {name: _version(name) for name in dict.fromkeys(names)}
    return {name: text for name, text in found.items() if text is not None}


@cache
def _version(name: str) -> str | None:
    """Read a version once: what is installed later is not what this process loaded."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def refuse_other_versions(submitted: Mapping[str, str]) -> None:
    """
    Refuse to work where a package differs from the one that was submitted with.

    Examples
    --------
    >>> refuse_other_versions(installed_versions(["pymatgen"]))
    >>> refuse_other_versions({"no-such-package": "1.0"})
    Traceback (most recent call last):
    ...
    hts_battery.errors.VersionSkewError: other packages here than where the job was \
submitted: no-such-package 1.0 there, none here; install the same versions, or submit \
again from an environment like this one
    """
    here = installed_versions(submitted)
    different = {
        name: (wanted, here.get(name))
        for name, wanted in sorted(submitted.items())
        if here.get(name) != wanted
    }
    if different:
        raise VersionSkewError(different)

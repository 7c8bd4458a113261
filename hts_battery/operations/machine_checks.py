"""What `hts doctor` asks of this machine: packages, disk, files, settings."""

from __future__ import annotations

import os
import re
import shutil
import stat
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from hts_battery.connections.processes import process_identity
from hts_battery.connections.records.executions import read_executions
from hts_battery.connections.workers.configs import TEMPLATE_NAMES, worker_names
from hts_battery.errors import StoreError
from hts_battery.flows.engines.registry import ENGINES
from hts_battery.operations.database_checks import some
from hts_battery.schemas.alert import Finding, Level
from hts_battery.schemas.execution import Outcome
from hts_battery.settings import config_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hts_battery.settings import HTSBatterySettings

_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;#+]+)")
_FREE_WARNING_BYTES, _FREE_PROBLEM_BYTES = 10 * 1024**3, 1024**3
_SECRETS = ("mongo_uri", "notify_urls", "token")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_STALE = "*.part"
_STALE_SECONDS = 24 * 3600.0
_MADE_FROM = re.compile(r"^# Made from launchpad_configs/(?P<worker>[^/]+)/")


def pins(constraints: Path | None) -> Iterable[Finding]:
    """Compare installed packages with the versions that were tested together."""
    if constraints is None or not constraints.is_file():
        yield Finding(
            check="pins",
            level=Level.OK,
            what="no constraints.txt beside this installation: nothing to compare with",
        )
        return
    engines = {package for one in ENGINES.values() for package in one.packages}
    differing: list[str] = []
    deciding: list[str] = []
    for line in constraints.read_text(encoding="utf-8").splitlines():
        pin = _PIN.match(line)
        here = None if pin is None else _installed(pin["name"])
        if pin is not None and here is not None and here != pin["version"]:
            text = f"{pin['name']} {here} (tested: {pin['version']})"
            decides = pin["name"] in engines or pin["name"] in {"pymatgen", "atomate2"}
            (deciding if decides else differing).append(text)
    for level, found in ((Level.PROBLEM, deciding), (Level.WARNING, differing)):
        if found:
            yield Finding(
                check="pins",
                level=level,
                what=f"{len(found)} packages differ: {some(found)}",
                where=str(constraints),
                action=f"pip install --constraint {constraints} 'hts_battery[...]'",
            )


def _installed(name: str) -> str | None:
    try:
        # Without the mark of a build, as in 2.13.0+cpu: pins do not name it.
        return version(name).partition("+")[0]
    except PackageNotFoundError:
        return None


def engines(names: Iterable[str]) -> Iterable[Finding]:
    """Say what keeps the engines of the stored campaigns from running here."""
    for name in sorted(set(names)):
        missing = ENGINES[name].missing() if name in ENGINES else ()
        if missing:
            yield Finding(
                check="engines",
                level=Level.WARNING,
                what=f"{name} cannot run on this machine: {missing[0]}",
                where="this machine",
                action="; ".join(missing[1:]) or "only workers need it",
            )


def potcars() -> Iterable[Finding]:
    """Whether the potentials of VASP are found."""
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - takes a second

    library = SETTINGS.get("PMG_VASP_PSP_DIR")
    if library is not None and not Path(str(library)).expanduser().is_dir():
        yield Finding(
            check="potcars",
            level=Level.PROBLEM,
            what=f"PMG_VASP_PSP_DIR names {library}, which is no folder",
            where="~/.config/.pmgrc.yaml or the environment",
            action="pmg config --add PMG_VASP_PSP_DIR LIBRARY",
        )


def disk(settings: HTSBatterySettings) -> Iterable[Finding]:
    """Room for the database, the record and the launch folders."""
    folders = {settings.data_dir, settings.execution_folder}
    folders.add(settings.data_dir / "launches")
    seen = set()
    for folder in sorted(folders):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        device = there.stat().st_dev
        free = shutil.disk_usage(there).free
        if device in seen or free >= _FREE_WARNING_BYTES:
            continue
        seen.add(device)
        short = free < _FREE_PROBLEM_BYTES
        yield Finding(
            check="disk",
            level=Level.PROBLEM if short else Level.WARNING,
            what=f"{free / 1e9:.1f} GB are free",
            where=str(folder),
            action="hts launches clean, or another disk with HTS_BATTERY_DATA_DIR",
        )


def secrets(settings: HTSBatterySettings) -> Iterable[Finding]:
    """Files with passwords that other users of this machine can read."""
    del settings
    path = config_file()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError:
        return
    held = [name for name in content if any(word in name for word in _SECRETS)]
    mode = path.stat().st_mode
    if held and mode & _OTHERS:
        yield Finding(
            check="secrets",
            level=Level.PROBLEM,
            what=f"holds {', '.join(held)} and other users can read it "
            f"({stat.filemode(mode)})",
            where=str(path),
            action=f"chmod 600 {path}",
        )


def execution_record(settings: HTSBatterySettings) -> Iterable[Finding]:
    """Lines that were cut off, and executions whose process is gone."""
    folder = settings.execution_folder
    try:
        recorded = read_executions(folder)
    except StoreError as err:
        yield Finding(
            check="execution record",
            level=Level.PROBLEM,
            what=str(err),
            where=str(folder),
            action="move the file away; it is not lost, but not counted",
        )
        return
    if recorded.torn_lines:
        yield Finding(
            check="execution record",
            level=Level.WARNING,
            what=f"{recorded.torn_lines} lines were cut off, by a full disk or a kill",
            where=str(folder),
            action="nothing: they are skipped, and what they began is run again",
        )
    lost = [
        one
        for one in recorded.executions
        if one.outcome is Outcome.INTERRUPTED and one.end is None
    ]
    if lost:
        last = lost[-1].start
        yield Finding(
            check="lost runs",
            level=Level.WARNING,
            what=f"{len(lost)} executions never ended and their processes are gone; "
            f"the last: {last.name}, {last.time:%Y-%m-%d %H:%M} UTC",
            where=str(folder),
            action="run the campaign again: what has no result is computed",
        )


def stale_files(
    settings: HTSBatterySettings, *, now: float, fix: bool
) -> Iterable[Finding]:
    """Files of writings that were killed."""
    found = [
        path
        for path in settings.data_dir.glob(_STALE)
        if path.is_file() and now - path.stat().st_mtime > _STALE_SECONDS
    ]
    for path in found:
        if fix:
            path.unlink(missing_ok=True)
        yield Finding(
            check="stale files",
            level=Level.WARNING,
            what="left by a writing that was killed more than a day ago",
            where=str(path),
            action="hts doctor --fix removes it",
            fixed=fix,
        )


def embedded_server_process(settings: HTSBatterySettings) -> Iterable[Finding]:
    """Whether the embedded server flushes what it acknowledges."""
    from hts_battery.connections.database import embedded  # noqa: PLC0415 - only without a URI

    if settings.mongo_uri is not None:
        return
    status = embedded.status(settings.data_dir)
    if status.pid is None or process_identity(status.pid) is None:
        return
    try:
        arguments = Path(f"/proc/{status.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return
    if b"--sync-on-commit" not in arguments:
        yield Finding(
            check="durability",
            level=Level.PROBLEM,
            what="the embedded server was started without --sync-on-commit: writes "
            "that it acknowledged can be lost",
            where=f"process {status.pid}",
            action="hts db down, then hts db up",
        )


def worker_configurations(templates: Path | None) -> Iterable[Finding]:
    """Find rendered files of workers that lack what their templates have by now."""
    rendered = os.environ.get("FW_CONFIG_FILE")
    if rendered is None or templates is None:
        return
    folder = Path(rendered).parent
    file = folder / "my_fworker.yaml"
    made = _MADE_FROM.match(file.read_text("utf-8")) if file.is_file() else None
    if made is None or made["worker"] not in worker_names(templates):
        return
    again = f"hts launchpad render {made['worker']} --target {folder}"
    for name in TEMPLATE_NAMES:
        here, wanted = folder / name, templates / made["worker"] / name
        missing = _keys(wanted) - _keys(here)
        if missing:
            yield Finding(
                check="worker configuration",
                level=Level.WARNING,
                what=f"lacks {', '.join(sorted(missing))} of its template",
                where=str(here),
                action=again,
            )
        elif here.stat().st_mode & _OTHERS:
            yield Finding(
                check="worker configuration",
                level=Level.PROBLEM,
                what="may hold a password and other users can read it",
                where=str(here),
                action=f"chmod 600 {here}",
            )


def _keys(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return set(content) if isinstance(content, dict) else set()

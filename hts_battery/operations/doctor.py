"""`hts doctor`: every check, in the order in which it is shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hts_battery.campaign.build import stored_campaigns
from hts_battery.errors import HTSBatteryError, StoreError
from hts_battery.operations import database_checks, machine_checks
from hts_battery.schemas.finding import Finding, Level

if TYPE_CHECKING:
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores
    from hts_battery.settings import HTSBatterySettings


@dataclass(frozen=True)
class Examined:
    """
    What is examined.

    ``stores``: open stores; none where there is no database. ``project``: folder with
    ``constraints.txt`` and ``launchpad_configs``, if there is one. ``fix``: whether
    what is safe is put right.
    """

    settings: HTSBatterySettings
    stores: Stores | None
    project: Path | None
    fix: bool

    @property
    def engines(self) -> list[str]:
        """Engines of the stored campaigns."""
        if self.stores is None:
            return []
        return [spec.engine for spec in stored_campaigns(self.stores)]

    def beside(self, name: str) -> Path | None:
        """Return a file of the project."""
        return None if self.project is None else self.project / name


type_check = Callable[[Examined], Iterable[Finding]]


def _of_database(check: Callable[[Stores], Iterable[Finding]]) -> type_check:
    return lambda examined: [] if examined.stores is None else check(examined.stores)


def _fixing(check: Callable[..., Iterable[Finding]]) -> type_check:
    return lambda examined: (
        [] if examined.stores is None else check(examined.stores, fix=examined.fix)
    )


CHECKS: tuple[tuple[str, type_check], ...] = (
    ("layout", _of_database(database_checks.layout)),
    ("indexes", _fixing(database_checks.indexes)),
    ("locks", _fixing(database_checks.locks)),
    ("document sizes", _of_database(database_checks.document_sizes)),
    ("clock", _of_database(database_checks.clock)),
    ("durability", _of_database(database_checks.durable_writes)),
    ("durability", lambda one: machine_checks.embedded_server_process(one.settings)),
    ("backlog", _of_database(database_checks.backlog)),
    ("holds", _of_database(database_checks.holds)),
    ("summaries", _of_database(database_checks.summaries)),
    ("pins", lambda one: machine_checks.pins(one.beside("constraints.txt"))),
    ("engines", lambda one: machine_checks.engines(one.engines)),
    ("potcars", lambda _: machine_checks.potcars()),
    ("disk", lambda one: machine_checks.disk(one.settings)),
    ("secrets", lambda one: machine_checks.secrets(one.settings)),
    ("execution record", lambda one: machine_checks.execution_record(one.settings)),
    (
        "stale files",
        lambda one: machine_checks.stale_files(
            one.settings, now=time.time(), fix=one.fix
        ),
    ),
    (
        "worker configuration",
        lambda one: machine_checks.worker_configurations(
            one.beside("launchpad_configs")
        ),
    ),
)
"""Name of each check, and the check."""


def examine(examined: Examined) -> list[Finding]:
    """
    Run every check; one that fails is itself a finding.

    Returns: at least one for each check: ``ok`` where nothing was found.
    """
    findings: list[Finding] = []
    names = dict.fromkeys(name for name, _ in CHECKS)
    for name, check in CHECKS:
        try:
            findings += check(examined)
        except (HTSBatteryError, OSError, ValueError) as err:  # a document, a file
            findings.append(
                Finding(
                    check=name,
                    level=Level.PROBLEM,
                    what=f"could not be checked: {err}",
                    action="put that right first"
                    if isinstance(err, StoreError)
                    else "see the message",
                )
            )
    unremarkable = names.keys() - {one.check for one in findings}
    quiet = [
        Finding(check=name, level=Level.OK, what="nothing to do")
        for name in names
        if name in unremarkable
    ]
    order = {Level.PROBLEM: 0, Level.WARNING: 1, Level.OK: 2}
    return sorted([*findings, *quiet], key=lambda one: order[one.level])

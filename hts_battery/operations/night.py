"""
One night: references refreshed, builders run, what changed and a snapshot on disk.

Folder of the nights::

    2026-11-25/            one for each night that ended, or several: 2026-11-25-2
        diff.jsonl         what changed since the last night that ended
        snapshot.json      every summary, with its manifest beside it
        night.json         what was done; written last
    2026-11-26.part/       left by a night that was killed; the next one removes it

Builders compare digests, not dates, so a night does whatever earlier ones left undone,
and the difference goes back to the last night that ended.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import Field, ValidationError

from hts_battery.campaign.build import build_all, stored_campaigns
from hts_battery.campaign.reference_gaps import hull_engines
from hts_battery.campaign.run import ensure_references
from hts_battery.connections.database.locks import exclusive
from hts_battery.errors import StoreError
from hts_battery.query.builds import differences, runs
from hts_battery.query.exports import ExportFormat
from hts_battery.query.snapshots import exported
from hts_battery.schemas.alert import Alert, AlertKind
from hts_battery.schemas.base import Document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hts_battery.connections.database.stores import Stores

LOCK = "night"
"""Name of the lock that a night holds."""
REPORT, DIFF, SNAPSHOT = "night.json", "diff.jsonl", "snapshot.json"
_PART = ".part"


class NightReport(Document):
    """The last file that a night writes; without it the night did not end."""

    night: str = Field(
        description="Date of the night, YYYY-MM-DD, and a number if there were several."
    )
    started_at: datetime = Field(description="UTC.")
    finished_at: datetime = Field(description="UTC.")
    run_id: str = Field(description="Run of the builders that ended it.")
    since: str | None = Field(
        description="Run of the builders of the last night that ended; what changed "
        "since then is in diff.jsonl. Empty for the first night."
    )
    made_up_for: int = Field(
        ge=0, description="Nights that began after that one and did not end."
    )
    references: int = Field(ge=0, description="References in the database.")
    written: dict[str, int] = Field(description="Builder → documents written.")
    failed: dict[str, int] = Field(description="Builder → documents that say why not.")
    changes: int = Field(ge=0, description="Rows of diff.jsonl.")
    flipped: int = Field(ge=0, description="Labels that flipped.")
    flipped_certain: int = Field(
        ge=0, description="Those of them that were open neither before nor after."
    )
    summaries: int = Field(ge=0, description="Rows of the snapshot.")
    snapshot_digest: str = Field(description="Digest of the rows of the snapshot.")
    headline: str = Field(description="What changed, in one line.")


def night(
    stores: Stores,
    folder: Path,
    *,
    temperatures: Sequence[float],
    now: datetime | None = None,
) -> NightReport:
    """
    Do what is done every night.

    ``folder``: folder of the nights. ``temperatures`` in K, where a campaign names
    none. ``now``: when it began, UTC; the clock's if not given. Raises BusyError if
    another night, or another run of the builders, has not ended. Raises StoreError if
    the folder cannot be written or the database is away.
    """
    started = now or datetime.now(UTC)
    with exclusive(stores, LOCK, holder=f"the night of {started:%Y-%m-%d}"):
        try:
            return _night(stores, folder, temperatures, started)
        except OSError as err:
            raise StoreError(f"{folder}: {err.strerror}: {err.filename}") from err


def _night(
    stores: Stores, folder: Path, temperatures: Sequence[float], started: datetime
) -> NightReport:
    folder.mkdir(parents=True, exist_ok=True)
    killed = sorted(folder.glob(f"*{_PART}"))
    for left in killed:
        shutil.rmtree(left)
    name = _free_name(folder, f"{started:%Y-%m-%d}")
    part = folder / f"{name}{_PART}"
    part.mkdir()
    earlier = last_night(folder)
    refresh_references(stores)
    reports = build_all(stores, temperatures=temperatures)
    run_id = runs(stores, limit=1)[0]["run_id"]
    since = None if earlier is None else earlier.run_id
    found = differences(stores, since=since)
    lines = [json.dumps(row.as_dict(), sort_keys=True) + "\n" for row in found.rows]
    (part / DIFF).write_text("".join(lines), encoding="utf-8")
    _, save = exported(stores, file_format=ExportFormat.JSON)
    manifest = save(part / SNAPSHOT)
    report = NightReport(
        night=name,
        started_at=started,
        finished_at=datetime.now(UTC),
        run_id=run_id,
        since=since,
        made_up_for=len(killed),
        references=stores.references.count(),
        written={builder: one.written for builder, one in reports.items()},
        failed={builder: one.failed for builder, one in reports.items()},
        changes=len(found.rows),
        flipped=sum(row.flipped for row in found.rows),
        flipped_certain=sum(row.certain for row in found.rows),
        summaries=stores.summary.count(),
        snapshot_digest=manifest.digest,
        headline=found.headline,
    )
    text = report.model_dump_json(indent=1) + "\n"
    (part / REPORT).write_text(text, encoding="utf-8")
    part.rename(folder / name)
    return report


def refresh_references(stores: Stores) -> None:
    """Import shipped energies that the database lacks; computed ones stay."""
    specs = stored_campaigns(stores)
    for engine in sorted({name for spec in specs for name in hull_engines(spec)}):
        ensure_references(engine, stores)


def last_night(folder: Path) -> NightReport | None:
    """
    Return the report of the last night that ended.

    Raises StoreError if its report is damaged; names the file.
    """
    reports = []
    for path in folder.glob(f"*/{REPORT}"):
        if path.parent.suffix == _PART:
            continue
        try:
            reports.append(NightReport.model_validate_json(path.read_bytes()))
        except ValidationError as err:
            raise StoreError(f"{path} is damaged: move its folder away") from err
    return max(reports, key=lambda report: report.run_id, default=None)


def night_alert(report: NightReport) -> Alert:
    """Say in a message what a night did."""
    failed = ", ".join(f"{n} {name}" for name, n in report.failed.items() if n)
    lines = [
        report.headline,
        f"{report.summaries} summaries, snapshot {report.snapshot_digest[:16]}",
        f"{report.references} references",
    ]
    if report.made_up_for:
        lines.append(f"made up for {report.made_up_for} nights that did not end")
    if failed:
        lines.append(f"documents that say why they have no result: {failed}")
    return Alert(
        kind=AlertKind.NIGHT,
        title=f"hts_battery, night of {report.night}: {report.flipped} labels flipped, "
        f"of them {report.flipped_certain} certain",
        body="\n".join(lines),
    )


def failure_alert(error: BaseException) -> Alert:
    """Say in a message that a night did not end."""
    return Alert(
        kind=AlertKind.NIGHT,
        title="hts_battery: the night did not end",
        body=f"{type(error).__name__}: {error}\nThe next night makes up for it.",
    )


def _free_name(folder: Path, date: str) -> str:
    """Name of the night's folder; a second one of a day gets a number."""
    names = [date, *(f"{date}-{number}" for number in range(2, 1000))]
    return next(name for name in names if not (folder / name).exists())

"""Snapshots: what is exported with its digest, and how a file is read again."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from hts_battery.errors import QueryError
from hts_battery.query.archives import (
    MANIFEST,
    TABLE,
    ExportManifest,
    column_name,
    read_members,
)
from hts_battery.query.exports import (
    MANIFEST_KEY,
    Content,
    ExportFormat,
    columns_of,
    manifest_path,
    write_export,
)
from hts_battery.query.query_fields import PREFIX
from hts_battery.query.reading import SummaryReader
from hts_battery.query.selection import fields_of, flat_rows, selected_rows
from hts_battery.query.structures import structures
from hts_battery.query.tables import column_units, summary_rows
from hts_battery.schemas.field_spec import PROPERTY
from hts_battery.schemas.summary_table import is_property, summaries_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pyarrow.compute as pc

    from hts_battery.connections.database.stores import Stores
    from hts_battery.query.summary_table import SummaryTable
    from hts_battery.schemas.rows import SummaryRow

    Rows = Sequence[Mapping[str, object]]

_KEYS = ("campaign", "candidate_id")
_WHOSE = ("campaign", "engine")

_PACKAGES = ("hts_battery", "pymatgen", "optimade", "pyarrow")


def exported(
    stores: Stores,
    criteria: str | None = None,
    *,
    campaign: str | None = None,
    file_format: ExportFormat = ExportFormat.CSV,
    asked: Asked | None = None,
    fields: Sequence[str] = (),
) -> tuple[Content, Callable[[Path], ExportManifest]]:
    """
    Read what is to be exported.

    ``criteria``: filter; all if not given. ``campaign``: name of a campaign; all if not
    given. ``file_format``: format of the file. ``asked``: filter as it was written,
    order and number; order and number are obeyed. ``fields``: names of the columns; all
    columns of a table of summaries if none. Campaign and engine stand before them where
    there are several of either, and formats with structures have campaign and key of
    the candidate in any case. Returns: the content, and a function that writes it to a
    file and returns the manifest.
    """
    reader = SummaryReader(stores)
    asked = asked or Asked(criteria)
    table = reader.table()
    where = table.where(criteria, campaign)
    order = asked.sort or None
    if file_format is ExportFormat.JSON and not fields:
        # Whole documents, of which the table does not hold every part.
        found = table.sorted_rows(where, (), sort=order, limit=asked.limit)
        summaries = _with_properties(list(reader.documents(found)), table, where)
    else:
        summaries = table.summaries(where, sort=order, limit=asked.limit)
    documents: Rows = cast("Rows", summaries)
    rows = [] if fields else summary_rows(summaries)
    if fields:
        sources = {(doc["campaign"], doc["engine"]) for doc in summaries}
        whose = _WHOSE if len(sources) > 1 else ()
        keys = [*whose, *(_KEYS if file_format.has_structures else ())]
        names = [*(one for one in dict.fromkeys(keys) if one not in fields), *fields]
        chosen = fields_of(names, table.field)
        paths = [field.column for field in chosen]
        found = table.sorted_rows(where, paths, sort=order, limit=asked.limit)
        documents = selected_rows(found.to_pydict(), chosen)
        rows = flat_rows(documents)
    content = Content(
        rows,
        rows if fields else documents,
        structures(stores, summaries) if file_format.has_structures else (),
    )

    def save(path: Path) -> ExportManifest:
        manifest = manifest_of(
            stores, rows, file_format=file_format, asked=asked, summaries=summaries
        )
        write_export(content, path, file_format, manifest)
        return manifest

    return content, save


def _with_properties(
    summaries: list[SummaryRow], table: SummaryTable, where: pc.Expression
) -> list[SummaryRow]:
    """Add their properties to whole summaries, as the table holds them."""
    paths = sorted(name for name in table.stored_columns if is_property(name))
    if not paths:
        return summaries
    rows = table.rows(where, [*paths, *_KEYS])
    found = {
        (str(one["campaign"]), str(one["candidate_id"])): one.get(PROPERTY)
        for one in cast("list[dict[str, Any]]", summaries_of(rows.to_pydict()))
    }
    for doc in cast("list[dict[str, Any]]", summaries):
        if held := found.get((doc["campaign"], doc["candidate_id"])):
            doc[PROPERTY] = held
    return summaries


class Asked(NamedTuple):
    """How the rows of an export were chosen."""

    filter: str | None = None
    sort: tuple[str, ...] = ()
    limit: int = 0


class Snapshot(NamedTuple):
    """A file that was read again."""

    manifest: ExportManifest
    rows: list[dict[str, object]]
    """As exported; from CSV and archives every value is text, empty for none."""
    verified: bool
    """Whether the rows have the digest that the manifest names."""


def rows_digest(rows: Rows, columns: Sequence[str]) -> str:
    """
    Digest rows as text, the same whatever format they were read from.

    ``rows``: flat rows. ``columns``: names of the columns, in order.

    Examples
    --------
    >>> first = rows_digest([{"a": 0.1, "b": None}], ["a", "b"])
    >>> first == rows_digest([{"a": "0.1", "b": ""}], ["a", "b"])
    True
    """
    digest = sha256(json.dumps(list(columns)).encode())
    for row in rows:
        cells = [cell_text(row.get(name)) for name in columns]
        digest.update(json.dumps(cells).encode())
    return digest.hexdigest()


def cell_text(value: object) -> str:
    """
    Write a value as a CSV file holds it.

    Examples
    --------
    >>> cell_text(None), cell_text(0.1), cell_text(3)
    ('', '0.1', '3')
    """
    return "" if value is None else str(value)


def manifest_of(
    stores: Stores,
    rows: Rows,
    *,
    file_format: ExportFormat,
    asked: Asked,
    summaries: Sequence[SummaryRow] = (),
) -> ExportManifest:
    """
    Describe rows that are about to be exported.

    ``rows``: what is exported. ``file_format``: format of the file. ``asked``: how the
    rows were chosen. ``summaries``: the documents they were made from: calculators,
    hulls and campaigns are counted in them.
    """
    runs = stores.builds.query({"state": "finished"}, sort={"run_id": -1}, limit=1)
    run: Mapping[str, Any] = next(iter(runs), {})
    columns = columns_of(rows)
    names = sorted({doc["campaign"] for doc in summaries})
    return ExportManifest(
        digest=rows_digest(rows, columns),
        n_rows=len(rows),
        n_structures=len(summaries) if file_format.has_structures else 0,
        columns=columns,
        units=column_units(columns),
        file_format=str(file_format),
        created_at=datetime.now(UTC),
        filter=asked.filter,
        sort=asked.sort,
        limit=asked.limit,
        campaigns={name: _cited(stores, name) for name in names},
        calculators=dict(Counter(doc["calculator"] for doc in summaries)),
        hull_versions=dict(Counter(doc["hull_version"] for doc in summaries)),
        run_id=run.get("run_id"),
        code_version=run.get("code_version"),
        package_versions={**run.get("versions", {}), **_versions()},
    )


def _cited(stores: Stores, campaign: str) -> dict[str, object]:
    """Say everything of a campaign that a paper cites, from the run that built it."""
    runs = stores.builds.query(
        {"state": "finished", f"options.{campaign}": {"$exists": True}},
        sort={"run_id": -1},
        limit=1,
    )
    run: Mapping[str, Any] | None = next(iter(runs), None)
    if run is None:
        return {}
    hulls = [one for one in run.get("hulls", ()) if one["campaign"] == campaign]
    return {
        **run.get("campaigns", {}).get(campaign, {}),
        # As they were used: the file may leave temperatures to the settings.
        "temperatures": run["options"][campaign].get("temperatures"),
        "build": {
            "run_id": run["run_id"],
            "code_version": run.get("code_version"),
            "versions": run.get("versions", {}),
            "hulls": [
                {name: one[name] for name in ("scheme", "hull_version", "n_references")}
                for one in hulls
            ],
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # pragma: no cover - depends on the installation
            continue
    return found


def read_snapshot(path: Path) -> Snapshot:
    """
    Read an export again and compare it with its digest.

    ``path``: the file; its manifest is inside, or beside it. Raises QueryError if file
    or manifest cannot be read.
    """
    try:
        manifest, rows = _read(path)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as err:
        reason = err.strerror if isinstance(err, OSError) and err.strerror else err
        raise QueryError(f"{path} is no export with a manifest: {reason}") from err
    digest = rows_digest(rows, manifest.columns)
    whole = len(rows) == manifest.n_rows and digest == manifest.digest
    return Snapshot(manifest, rows, whole)


def _read(path: Path) -> tuple[ExportManifest, list[dict[str, object]]]:
    content = path.read_bytes()
    if content.startswith(b"PAR1"):
        return _read_parquet(content)
    if content.startswith((b"PK", b"\x1f\x8b")):
        members = read_members(content, (MANIFEST, TABLE))
        manifest = ExportManifest.model_validate_json(members[MANIFEST])
        return manifest, list(csv.DictReader(io.StringIO(members[TABLE].decode())))
    manifest = ExportManifest.model_validate_json(manifest_path(path).read_bytes())
    text = content.decode("utf-8")
    if manifest.file_format == ExportFormat.CSV:
        return manifest, list(csv.DictReader(io.StringIO(text)))
    lines = [json.loads(line) for line in text.splitlines()]
    if manifest.file_format == ExportFormat.OPTIMADE:
        return manifest, [_optimade_row(line, manifest) for line in lines[2:]]
    return manifest, _json_rows(lines, manifest)


def _read_parquet(content: bytes) -> tuple[ExportManifest, list[dict[str, object]]]:
    import pyarrow.parquet as pq  # noqa: PLC0415 - half a second others do not need

    table = pq.read_table(io.BytesIO(content))
    metadata = table.schema.metadata or {}
    manifest = ExportManifest.model_validate_json(metadata[MANIFEST_KEY])
    return manifest, table.to_pylist()


def _json_rows(
    lines: Sequence[dict[str, Any]], manifest: ExportManifest
) -> list[dict[str, object]]:
    """Flatten whole summaries as they were when they were exported."""
    if lines and "energy_above_hull_at" in lines[0]:
        return summary_rows(cast("Sequence[SummaryRow]", lines))
    return [{name: line.get(name) for name in manifest.columns} for line in lines]


def _optimade_row(
    line: Mapping[str, Any], manifest: ExportManifest
) -> dict[str, object]:
    found = line["attributes"]
    return {
        name: found.get(f"{PREFIX}{column_name(name)}") for name in manifest.columns
    }

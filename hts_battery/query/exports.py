"""Summaries as files: CSV, JSON lines, Parquet, OPTIMADE, archives of structures."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from hts_battery.connections.durable_files import write_whole
from hts_battery.errors import ConfigurationError, QueryError
from hts_battery.query.archives import archive_bytes, optimade_lines
from hts_battery.query.tables import summary_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pymatgen.core import Structure

    from hts_battery.query.archives import ExportManifest
    from hts_battery.schemas.property import PropertyDoc
    from hts_battery.schemas.rows import SummaryRow

    Rows = Sequence[Mapping[str, object]]
    Structures = Iterable[tuple[SummaryRow, Structure]]

MANIFEST_KEY = b"hts_battery.manifest"
"""Where the manifest stands in the metadata of a Parquet file."""
UNIT_KEY = b"unit"
"""Where its unit stands in the metadata of a column of a Parquet file."""


class ExportFormat(StrEnum):
    """Formats of an export."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    OPTIMADE = "optimade"
    CIF = "cif"
    POSCAR = "poscar"

    @property
    def has_structures(self) -> bool:
        """Whether the structures stand in the file."""
        return self in (ExportFormat.OPTIMADE, ExportFormat.CIF, ExportFormat.POSCAR)

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive, tar.gz or zip by the name of the file."""
        return self in (ExportFormat.CIF, ExportFormat.POSCAR)


class Content(NamedTuple):
    """What is exported."""

    rows: Rows
    """Flat rows, which the digest is of."""
    documents: Rows
    """What the JSON format writes: whole documents, or the rows again."""
    structures: Structures = ()
    """Summaries with their structures, for the formats that hold them."""


def write_properties(properties: Iterable[PropertyDoc], path: Path) -> None:
    """Write properties as CSV, one a row, its conditions as JSON."""
    names = ("subject_id", "campaign", "name", "value", "uncertainty", "unit", "n")
    rows = [
        {
            **one.model_dump(mode="json", include={*names, "reason"}),
            "conditions": json.dumps(one.conditions),
            "calculator": one.provenance.calculator,
        }
        for one in properties
    ]
    columns = (*names, "conditions", "calculator", "reason")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, rows_csv(rows, columns))


def manifest_path(path: Path) -> Path:
    """
    Say where the manifest of a file stands that cannot hold it.

    Examples
    --------
    >>> from pathlib import Path
    >>> manifest_path(Path("stable.csv")).name
    'stable.csv.manifest.json'
    """
    return path.with_name(f"{path.name}.manifest.json")


def rows_csv(rows: Rows, columns: Sequence[str]) -> str:
    """Write rows as CSV with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def columns_of(rows: Iterable[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the names of all columns, in the order in which they appear."""
    return tuple(dict.fromkeys(name for row in rows for name in row))


def csv_text(summaries: Sequence[SummaryRow]) -> str:
    """Write summaries as CSV with a heading; energies in eV/atom."""
    rows = summary_rows(summaries)
    return rows_csv(rows, columns_of(rows))


def write_csv(summaries: Sequence[SummaryRow], path: Path) -> None:
    """Write a CSV file; a reader never sees half of it."""
    write_whole(path, csv_text(summaries))


def printed(content: Content, file_format: ExportFormat) -> str:
    """
    Write what is exported as text.

    Raises ConfigurationError if the format is binary, or needs a manifest beside it.
    """
    if file_format is ExportFormat.CSV:
        return rows_csv(content.rows, columns_of(content.rows))
    if file_format is ExportFormat.JSON:
        return _json_lines(content.documents)
    raise ConfigurationError(
        f"{file_format} cannot be printed; give a file with --output"
    )


def write_export(
    content: Content, path: Path, file_format: ExportFormat, manifest: ExportManifest
) -> None:
    """
    Write a file with its manifest inside, or beside it where the format has no place.

    A reader never sees half of a file. The manifest beside a file is written last:
    without it, or with that of an older file, the file does not verify.

    ``content``: what is exported. ``path``: the file; an archive is a zip if its name
    ends so, tar.gz otherwise. ``file_format``: format of the file. ``manifest``: what
    it says of itself. Raises QueryError if the folder cannot be written.
    """
    beside = manifest_path(path)
    inside = file_format is ExportFormat.PARQUET or file_format.is_archive
    try:
        with suppress(FileNotFoundError):
            beside.unlink()
        write_whole(path, _encoded(content, path, file_format, manifest))
        if not inside:
            write_whole(beside, manifest.model_dump_json(indent=1))
    except OSError as err:
        raise QueryError(f"{path} cannot be written: {err.strerror}") from err


def _encoded(
    content: Content, path: Path, file_format: ExportFormat, manifest: ExportManifest
) -> bytes:
    if file_format is ExportFormat.PARQUET:
        return _parquet(content.rows, manifest)
    if file_format is ExportFormat.OPTIMADE:
        rows = {_key(row): row for row in content.rows}
        pairs = ((rows[_key(doc)], found) for doc, found in content.structures)
        return "".join(f"{line}\n" for line in optimade_lines(pairs)).encode()
    if file_format.is_archive:
        return archive_bytes(
            content.structures,
            file_format=str(file_format),
            table=rows_csv(content.rows, manifest.columns),
            manifest=manifest,
            zipped=path.suffix == ".zip",
        )
    return printed(content, file_format).encode()


def _key(row: Mapping[str, object] | SummaryRow) -> tuple[str, str]:
    return str(row["campaign"]), str(row["candidate_id"])


def _json_lines(documents: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(doc, default=str) + "\n" for doc in documents)


def _parquet(rows: Rows, manifest: ExportManifest) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - half a second that the others do not need
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    full = [{name: row.get(name) for name in manifest.columns} for row in rows]
    table = pa.Table.from_pylist(full)
    if not full:
        table = pa.table({name: pa.array([], pa.string()) for name in manifest.columns})
    for number, column in enumerate(table.schema):
        if unit := manifest.units.get(column.name):
            said = column.with_metadata({UNIT_KEY: unit.encode()})
            table = table.set_column(number, said, table[number])
    table = table.replace_schema_metadata(
        {MANIFEST_KEY: manifest.model_dump_json().encode()}
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()

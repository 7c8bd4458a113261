"""Summaries as files: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from hts_battery.errors import ConfigurationError
from hts_battery.query.tables import summary_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    Summaries = Sequence[dict[str, Any]]


def csv_text(summaries: Summaries) -> str:
    """Write summaries as CSV with a heading; energies in eV/atom."""
    rows = summary_rows(summaries)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_csv(summaries: Summaries, path: Path) -> None:
    """Write a CSV file; a reader never sees half of it."""
    _write_whole(path, csv_text(summaries).encode())


def export_text(summaries: Summaries, file_format: str) -> str:
    """
    Write summaries as text.

    Raises
    ------
    ConfigurationError
        If the format is binary.
    """
    if file_format == "csv":
        return csv_text(summaries)
    if file_format == "json":
        return "".join(json.dumps(doc, default=str) + "\n" for doc in summaries)
    raise ConfigurationError(
        f"{file_format} cannot be printed; give a file with --output"
    )


def write_export(summaries: Summaries, path: Path, file_format: str) -> None:
    """Write summaries to a file in one of the formats csv, json and parquet."""
    if file_format != "parquet":
        _write_whole(path, export_text(summaries, file_format).encode())
        return
    import pandas as pd  # noqa: PLC0415 - half a second that the others do not need

    buffer = io.BytesIO()
    pd.DataFrame(summary_rows(summaries)).to_parquet(buffer, index=False)
    _write_whole(path, buffer.getvalue())


def _write_whole(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)

"""From a filter to a file: reading, describing and writing an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hts_battery.query.exports import Content, ExportFormat, write_export
from hts_battery.query.screening_database import ScreeningDatabase
from hts_battery.query.selection import fields_of, flat_rows, selected_rows
from hts_battery.query.snapshots import Asked, manifest_of
from hts_battery.query.structures import structures
from hts_battery.query.tables import summary_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hts_battery.connections.stores import Stores
    from hts_battery.query.selection import Filter
    from hts_battery.schemas.export import ExportManifest

_KEYS = ("campaign", "candidate_id")
_WHOSE = ("campaign", "engine")


def exported(
    stores: Stores,
    criteria: Filter | None = None,
    *,
    file_format: ExportFormat = ExportFormat.CSV,
    asked: Asked | None = None,
    fields: Sequence[str] = (),
) -> tuple[Content, Callable[[Path], ExportManifest]]:
    """
    Read what is to be exported.

    Parameters
    ----------
    stores
        Open stores.
    criteria
        Filter of either language; all if not given.
    file_format
        Format of the file.
    asked
        Filter as it was written, order and number; order and number are obeyed.
    fields
        Names of the columns; all columns of a table of summaries if none. Campaign
        and engine stand before them where there are several of either, and formats
        with structures have campaign and key of the candidate in any case.

    Returns
    -------
    tuple
        The content, and a function that writes it to a file and returns the manifest.
    """
    screening = ScreeningDatabase(stores)
    asked = asked or Asked(None if criteria is None else str(criteria))
    summaries = screening.documents(
        criteria, limit=asked.limit, sort=asked.sort or None
    )
    documents: list[dict[str, Any]] = summaries
    if fields:
        sources = {tuple(doc[name] for name in _WHOSE) for doc in summaries}
        whose = _WHOSE if len(sources) > 1 else ()
        keys = [
            name
            for name in dict.fromkeys(
                [*whose, *(_KEYS if file_format.has_structures else ())]
            )
            if name not in fields
        ]
        names = [*keys, *fields]
        chosen = fields_of(names, temperatures=screening.temperatures())
        documents = selected_rows(summaries, chosen)
    rows = flat_rows(documents) if fields else summary_rows(summaries)
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

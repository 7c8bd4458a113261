"""Summaries become columns: one field of thousands of candidates in one document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hts_battery.schemas.aggregate import (
    COLUMN_BLOCK_SIZE,
    COLUMN_FIELDS,
    COLUMN_LISTS,
    COLUMN_MAPS,
    ColumnBlock,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def column_paths(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """
    Name the columns of some summaries: fields, and every key of the maps among them.

    Examples
    --------
    >>> column_paths([{"label_at": {"0K": "US"}}])[-1]
    'label_at.0K'
    """
    maps = [
        f"{field}.{key}"
        for field in COLUMN_MAPS
        for key in sorted({key for row in rows for key in row.get(field, ())})
    ]
    return (*COLUMN_FIELDS, *maps)


def column_blocks(
    campaign: str, rows: Sequence[Mapping[str, Any]], *, version: str
) -> Iterator[ColumnBlock]:
    """
    Turn the summaries of a campaign into columns, in the order of their keys.

    Parameters
    ----------
    campaign
        Name of the campaign.
    rows
        Its summaries.
    version
        What the columns belong to.
    """
    ordered = sorted(rows, key=lambda row: row["candidate_id"])
    for path in column_paths(ordered):
        field, _, key = path.partition(".")
        for start in range(0, len(ordered), COLUMN_BLOCK_SIZE):
            part = ordered[start : start + COLUMN_BLOCK_SIZE]
            yield ColumnBlock(
                column_id=f"{campaign} {version} {path} {start:07d}",
                campaign=campaign,
                version=version,
                path=path,
                first_row=start,
                values=_text(
                    [row[field].get(key) if key else row[field] for row in part],
                    packed=field in COLUMN_LISTS,
                ),
            )


def _text(values: Sequence[Any], *, packed: bool) -> str:
    """Write values in JSON; lists as texts, which a reader takes apart one by one."""
    return _dumps([_dumps(value) for value in values] if packed else values)


def _dumps(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, separators=(",", ":"))

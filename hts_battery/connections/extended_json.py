"""Documents of the database as bytes, with every type that it knows."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC
from typing import TYPE_CHECKING

from bson import json_util
from bson.errors import BSONError

from hts_battery.errors import BrokenFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The driver would read times without their zone.
_AWARE = json_util.JSONOptions(tz_aware=True, tzinfo=UTC)


def pack_document(document: Mapping[str, object]) -> bytes:
    """Write a document as packed JSON; dates, ids and bytes survive."""
    return gzip.compress(json_util.dumps(document).encode(), compresslevel=5, mtime=0)


def unpack_document(content: bytes, name: str) -> dict[str, object]:
    """
    Read what :func:`pack_document` wrote; a BrokenFileError says the name.

    Examples
    --------
    >>> unpack_document(pack_document({"a": [1, 0.5, None]}), "here")
    {'a': [1, 0.5, None]}
    """
    try:
        document = json_util.loads(gzip.decompress(content), json_options=_AWARE)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, BSONError) as err:
        raise BrokenFileError(f"{name}: not a packed document: {err}") from err
    if not isinstance(document, dict):
        raise BrokenFileError(f"{name}: not a packed document but a {type(document)}")
    return document

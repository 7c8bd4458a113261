"""Files of entries as people publish them: packed, wrapped, exported from MongoDB."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hts_battery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEXT = (".json", ".jsonl", ".ndjson")
_PACKED = (".gz", ".bz2", ".xz", ".lzma")
_MAGIC = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x5d\x00\x00": lzma.decompress,
}
"""First bytes of a compressed file → what unpacks it."""
_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError)
_LAYERS = 4  # a file packed more often than this is no mistake but a trap
_LISTS = ("entries", "all_entries", "computed_data", "data")
"""Keys under which other programs keep entries; in computed_data phase diagrams do."""


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """
    Read a JSON file, also compressed, also several times, also one document a line.

    Nothing in it is decoded into objects: what a document calls its class stays text.

    Parameters
    ----------
    path
        Ends with ``.json``, ``.jsonl`` or ``.ndjson``, and what it is packed with.

    Raises
    ------
    ConfigurationError
        If it cannot be read, unpacked or parsed; says which.
    """
    suffixes = [one.lower() for one in path.suffixes]
    if not suffixes or suffixes[-1] not in {*_TEXT, *_PACKED}:
        raise ConfigurationError(
            f"{path}: a file of entries ends with {', '.join(_TEXT)}, or that and "
            f"{', '.join(_PACKED)}"
        )
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ConfigurationError(f"{path}: {err.strerror or err}") from err
    try:
        return _parsed(_unpacked(content))
    except _BROKEN as err:
        raise ConfigurationError(f"{path}: cannot be unpacked: {err}") from err
    except (ValueError, RecursionError) as err:
        raise ConfigurationError(f"{path}: not JSON: {err}") from err


def _unpacked(content: bytes) -> bytes:
    for _ in range(_LAYERS):
        unpack = next(
            (one for magic, one in _MAGIC.items() if content.startswith(magic)), None
        )
        if unpack is None:
            return content
        content = unpack(content)
    raise ValueError(f"it is packed more than {_LAYERS} times")


def _parsed(content: bytes) -> Any:  # noqa: ANN401 - as above
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2:  # noqa: PLR2004 - one line is not one document a line
            raise
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError:
            pass
        raise


def entries_of(content: object) -> list[Any] | None:
    """
    Find the entries of a file.

    Parameters
    ----------
    content
        A list of entries; one entry; a mapping of ids to entries, or of chemical
        systems to lists of them; any of these under the key ``entries``, as documents
        of the Materials Project, or ``all_entries``, as phase diagrams of pymatgen have
        it.

    Returns
    -------
    list or None
        What stands where entries are expected, entries or not; none if nothing does.

    Examples
    --------
    >>> entries_of({"entries": {"mp-1": {"energy": -1.9, "composition": {"Li": 1}}}})
    [{'energy': -1.9, 'composition': {'Li': 1}, 'entry_id': 'mp-1'}]
    """
    if isinstance(content, list):
        return list(_of_list(content))
    if not isinstance(content, Mapping):
        return None
    if _is_entry(content):
        return [content]
    for key in _LISTS:
        if key in content:
            return entries_of(content[key])
    return _of_mapping(content)


def _of_mapping(content: Mapping[str, Any]) -> list[Any] | None:
    """Entries by their ids, or lists of them by anything else."""
    values = list(content.values())
    if values and all(map(_is_entry, values)):
        return [
            {**one, "entry_id": one.get("entry_id") or name}
            for name, one in content.items()
        ]
    if values and all(
        isinstance(one, list) and any(map(_is_entry, one)) for one in values
    ):
        return list(_of_list(values))
    return None


def _of_list(content: list[Any]) -> Iterator[Any]:
    for one in content:
        nested = None
        if isinstance(one, list) or (isinstance(one, Mapping) and not _is_entry(one)):
            nested = entries_of(one)
        if nested is None:
            yield one
        else:
            yield from nested


def _is_entry(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    # A document about a material says its composition too, beside its entries.
    holds = isinstance(value.get("entries"), list | Mapping)
    return "energy" in value or ("composition" in value and not holds)

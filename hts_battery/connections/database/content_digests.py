"""Digests of whole documents, read as the bytes that the server sends."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument

from hts_battery.connections.database.slices import SLICE, read_sliced
from hts_battery.connections.database.stores import SharedMongoStore

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from maggma.core import Store

_DIGEST_BYTES = 12
_LENGTH_BYTES = 4
_OBJECT_ID = b"\x07_id\x00"
_OBJECT_ID_BYTES = 12
_RANGES_ABOVE = 400
_IN_AT_ONCE = 100
_RAW = CodecOptions(document_class=RawBSONDocument)


def content_digests(
    store: Store, criteria: Mapping[str, object], fields: Sequence[str]
) -> Iterator[tuple[tuple[Any, ...], str]]:
    """
    Digest documents without decoding them; nothing of them stays in memory.

    Without criteria all are read, slice by slice; documents of another kind of store
    than MongoDB's are decoded.

    Yields
    ------
    tuple
        Values of the dotted fields, None where one is missing, and 24 hexadecimal
        digits of everything but ``_id``.
    """
    if not isinstance(store, SharedMongoStore):
        for doc in store.query(dict(criteria)):
            doc.pop("_id", None)
            text = json.dumps(doc, sort_keys=True, default=str).encode()
            yield tuple(_value(doc, name) for name in fields), _digest(text)
        return
    collection = store.collection.with_options(_RAW)
    found = collection.find(dict(criteria)) if criteria else read_sliced(collection)
    for raw in found:
        yield (
            tuple(_value(raw, name) for name in fields),
            _digest(_without_id(bytes(raw.raw))),
        )


def _value(doc: object, name: str) -> Any:  # noqa: ANN401 - any BSON value
    found: Any = doc
    for part in name.split("."):
        try:
            found = found[part]
        except (KeyError, TypeError):
            return None
    return found


def _without_id(raw: bytes) -> bytes:
    """Leave out the object id, which a document that is written again may change."""
    start = _LENGTH_BYTES
    end = start + len(_OBJECT_ID)
    if raw[start:end] == _OBJECT_ID:
        return raw[end + _OBJECT_ID_BYTES :]
    return raw


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def write_documents(
    store: Store,
    docs: Sequence[dict[str, object]],
    key: Sequence[str],
    *,
    known: Container[tuple[Any, ...]],
) -> None:
    """
    Insert documents that are new and replace those whose key is ``known``.

    An insertion costs the embedded server a fifth of a replacement. What somebody else
    inserted meanwhile is replaced, too, so the result is the same; the store has a
    unique index on the key.
    """
    new = [doc for doc in docs if tuple(doc[name] for name in key) not in known]
    others = [doc for doc in docs if tuple(doc[name] for name in key) in known]
    if new and isinstance(store, SharedMongoStore):
        others += store.insert_new(new)
    else:
        others += new
    if others:
        store.update(others, key=list(key))


def query_values(
    store: Store,
    field: str,
    values: Iterable[str],
    *,
    criteria: Mapping[str, object],
    properties: Sequence[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """
    Yield the documents whose field has one of many values and that meet the criteria.

    A long ``$in`` list costs the embedded server time by its square, so many values are
    asked for in parts, and very many by the range that a part of them spans. The field
    begins an index and is not dotted.
    """
    wanted = sorted(set(values))
    names = None if properties is None else list({field, *properties})
    if len(wanted) > _RANGES_ABOVE:
        for start in range(0, len(wanted), SLICE):
            part = wanted[start : start + SLICE]
            span = {"$gte": part[0], "$lte": part[-1]}
            kept = frozenset(part)
            for doc in store.query({**criteria, field: span}, properties=names):
                if doc[field] in kept:
                    yield doc
        return
    for start in range(0, len(wanted), _IN_AT_ONCE):
        part = wanted[start : start + _IN_AT_ONCE]
        yield from store.query({**criteria, field: {"$in": part}}, properties=names)

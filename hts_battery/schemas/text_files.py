"""Text files that people hand over: UTF-8, or one line that says what they are."""

from __future__ import annotations

import codecs
from pathlib import Path

from hts_battery.errors import SpecError

_MARKS = {
    # The longer marks first: that of UTF-32 begins like that of UTF-16.
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_KINDS = {
    b"PK\x03\x04": "a spreadsheet or an archive: export it as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
    b"%PDF": "a PDF: copy its text into a file",
}
_PROBE = 4096  # bytes in which text in UTF-16 without a mark shows its zeros


def read_text(path: str | Path) -> str:
    """
    Read a text file in UTF-8, with or without a byte order mark.

    Raises
    ------
    SpecError
        If it cannot be read or is in another encoding: which, where, what to do.
    """
    name = str(path)
    try:
        content = Path(path).read_bytes()
    except OSError as err:
        raise SpecError(
            f"cannot read this file: {err.strerror or err}", file=name
        ) from err
    return decoded(content, name=name)


def decoded(content: bytes, *, name: str | None = None) -> str:
    r"""
    Decode UTF-8; refuse another encoding, and what is no text.

    Examples
    --------
    >>> decoded("\ufeffLi2O".encode())
    'Li2O'
    >>> decoded("Li2O".encode("utf-16"), name="a.csv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    hts_battery.errors.SpecError: a.csv: this file is in UTF-16: save it as UTF-8, ...
    """
    encoding = _wide_encoding(content)
    if encoding is not None:
        raise SpecError(
            f"this file is in {encoding}: save it as UTF-8, or run "
            f"iconv -f {encoding} -t UTF-8 {name or 'FILE'}",
            file=name,
        )
    for start, kind in _KINDS.items():
        if content.startswith(start):
            raise SpecError(f"this file is {kind}", file=name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        raise _not_utf8(content, err.start, name) from err
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SpecError(
            "this file holds bytes that are no text: it is binary, or was cut off",
            file=name,
            line=line,
        )
    return text


def _wide_encoding(content: bytes) -> str | None:
    """Name the encoding that takes more bytes a letter; none if there is one each."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    probe = content[:_PROBE]
    zeros = probe[1::2].count(0), probe[0::2].count(0)
    # Western text in UTF-16 has a zero in every second byte.
    for order, here, other in (("LE", *zeros), ("BE", *zeros[::-1])):
        if here > len(probe) // 3 and not other:
            return f"UTF-16{order}"
    return None


def _not_utf8(content: bytes, place: int, name: str | None) -> SpecError:
    """Say on which line the first byte stands that is not UTF-8, and what it may be."""
    start = content.rfind(b"\n", 0, place) + 1
    end = content.find(b"\n", place)
    line = content[start : end if end >= 0 else None].decode("cp1252", "replace")
    number = content.count(b"\n", 0, place) + 1
    if any(not one.isprintable() and one != "\t" for one in line.strip()):
        return SpecError("this file is binary, not text", file=name, line=number)
    return SpecError(
        f"this file is not in UTF-8 (in Latin-1 this line would be {line.strip()!r}): "
        f"save it as UTF-8, or run iconv -f LATIN1 -t UTF-8 {name or 'FILE'}",
        file=name,
        line=number,
    )

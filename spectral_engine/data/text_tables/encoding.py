"""In which encoding a text is written."""

from __future__ import annotations

import codecs
from pathlib import Path

import charset_normalizer

LOOKED_AT = 2**20  # bytes that encoding and separator are told from
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(path: Path, start: bytes) -> str:
    """Return the encoding of a text that begins with these bytes."""
    for mark, encoding in BOMS:
        if start.startswith(mark):
            return encoding
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le"
    if start[::2].count(0) > len(start) // 4:
        return "utf-16-be"
    if _is_utf8(path):
        return "utf-8"
    return _eight_bit(start)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(LOOKED_AT):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _eight_bit(start: bytes) -> str:
    """Return the likeliest code page: that of Western Europe unless another one is clearly better."""
    best = charset_normalizer.from_bytes(start[:65_536]).best()
    detected = "cp1252" if best is None else best.encoding
    western = {"cp1250", "cp1252", "latin_1", "iso8859_1", "iso8859_15", "cp437", "cp850", "cp858"}
    if detected in western or len([b for b in start if b > 127]) < 20:
        try:
            start.decode("cp1252")
        except UnicodeDecodeError:
            return "latin-1"
        return "cp1252"
    return detected


def holds_beyond(path: Path, encoding: str, text: str) -> bool:
    """Say whether a text stands in a file behind the bytes that are looked at."""
    wide = encoding in {"utf-16", "utf-32"}  # with a mark in front, which says the order of bytes
    sought = text.encode(f"{encoding}-le" if wide else encoding.removesuffix("-sig"))
    end = b""
    with path.open("rb") as file:
        file.seek(LOOKED_AT)
        while chunk := file.read(LOOKED_AT):
            if sought in end + chunk:
                return True
            end = chunk[-len(sought) :]
    return False

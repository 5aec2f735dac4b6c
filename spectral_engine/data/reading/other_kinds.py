"""Files that are no tables, arrays or images, told by their first bytes, and what to give instead of each."""

from __future__ import annotations

import json
from pathlib import Path

PICKLE = "a pickle, which is never opened: save plain arrays with numpy.savez"
ONE_IMAGE = "one image: give a .zip or .tar of images"
PAGE = "a page as a server sends it instead of a file (HTML or XML): download the file itself"
OTHERS = (
    (b"\x89HDF", "an HDF5 file: save its arrays with numpy.savez"),
    (b"MATLAB", "a MATLAB file: save its arrays with numpy.savez"),
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet: save it as CSV"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", ONE_IMAGE),
    (b"\xff\xd8\xff", ONE_IMAGE),
    (b"GIF8", ONE_IMAGE),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: pack it as .zip or .tar.gz"),
    (b"Rar!", "a RAR archive: pack it as .zip or .tar.gz"),
    (b"BZh", "compressed with bzip2: compress it with gzip or zstd"),
    (b"\xfd7zXZ", "compressed with xz: compress it with gzip or zstd"),
    (b"Obj\x01", "an Avro file: write its rows as Parquet or CSV"),
    (b"SQLite format 3\0", "an SQLite database: write the table as CSV or Parquet"),
    (b"RDX3\n", "an R file: write the table with write.csv, or arrow::write_parquet"),
    (b"RDX2\n", "an R file: write the table with write.csv, or arrow::write_parquet"),
    (b"version https://git-lfs.github.com/spec/", "a git-LFS pointer: fetch the file itself with git lfs pull"),
)  # fmt: skip
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body", b"<!--")
# The first field of an ONNX model is its version, and what follows is the tag of another field.
ONNX_TAGS = frozenset({0x12, 0x1A, 0x22, 0x2A, 0x32, 0x3A, 0x42})
NEWEST_IR = 0x20
BEGINNING = 4096  # bytes that tell JSON


def other_kind(path: Path, start: bytes) -> str | None:
    """Say what a file is that is not read, and what to give instead; None where it may be read."""
    for beginning, said in OTHERS:
        if start.startswith(beginning):
            return said
    if _is_orc(path, start):
        return "an ORC file: write its rows as Parquet or CSV"
    if len(start) > 2 and start[0] == 0x08 and 0 < start[1] <= NEWEST_IR and start[2] in ONNX_TAGS:
        return "an ONNX model: give the model first, and its data second"
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if bare[:16].lower().startswith(MARKUP):
        return PAGE
    return _of_json(path) if bare[:1] in {b"{", b"["} else None


def _is_orc(path: Path, start: bytes) -> bool:
    """Say whether a file has the signs of ORC: texts may begin with its three letters."""
    if not start.startswith(b"ORC") or len(start) < 8:
        return False
    with path.open("rb") as file:
        file.seek(-4, 2)
        return file.read(3) == b"ORC" or start[3] < 0x09


def _of_json(path: Path) -> str | None:
    """Say whether a file is JSON, or has a JSON value in each line."""
    with path.open("rb") as file:
        text = file.read(BEGINNING).decode("utf-8-sig", "ignore").strip()
    lines = text.splitlines()
    if text.startswith("{") and len(lines) > 1 and _parses(lines[0]):
        return (
            "JSON lines: write the table as CSV or Parquet, as pandas.read_json(…, lines=True).to_csv(…, index=False) "
            "does"
        )
    inside = text[1:].lstrip()
    if not inside or inside[0] in '"{[]}-0123456789tfn':
        if text.startswith("{") and inside[:1] not in {"", '"', "}"}:
            return None
        return (
            "JSON: write the table as CSV or Parquet, as pandas.read_json(…).to_csv(…, index=False) does, or arrays "
            "with numpy.savez"
        )
    return None


def _parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False

"""Zip archives and `.npy` headers written byte by byte: as no library would write them."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Packed:
    """A deflated member: its bytes, and what the archive says of their checksum and size once unpacked."""

    content: bytes
    checksum: int
    size: int


def packed(start: bytes, zeros: int = 0, said_size: int | None = None) -> Packed:
    """Deflate bytes and as many zeros behind them."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    content, checksum, left = [deflate.compress(start)], zlib.crc32(start), zeros
    block = bytes(1 << 24)
    while left > 0:
        piece = block[: min(left, len(block))]
        checksum = zlib.crc32(piece, checksum)
        content.append(deflate.compress(piece))
        left -= len(piece)
    content.append(deflate.flush())
    return Packed(b"".join(content), checksum, said_size or len(start) + zeros)


def write_zip(path: Path, members: dict[str, Packed]) -> Path:
    """Write an archive of members as they stand."""
    written, directory = bytearray(), bytearray()
    for text, member in members.items():
        name, offset = text.encode(), len(written)
        facts = (member.checksum, len(member.content), member.size, len(name), 0)
        written += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, *facts) + name
        written += member.content
        directory += struct.pack("<IHHHHHHIIIHH", 0x02014B50, 20, 20, 0, 8, 0, 0, *facts)
        directory += struct.pack("<HHHII", 0, 0, 0, 0, offset) + name
    end = (0, 0, len(members), len(members), len(directory), len(written), 0)
    path.write_bytes(bytes(written + directory) + struct.pack("<IHHHHIIH", 0x06054B50, *end))
    return path


def npy_header(shape: object, dtype: str = "<f4") -> bytes:
    """Return the header of an array of any shape."""
    return npy_text(f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}")


def npy_text(text: str) -> bytes:
    """Return what stands in place of a header."""
    padded = text + " " * (64 - (11 + len(text)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode()

"""Protobuf's wire format, as far as weights need it: where the fields of a message lie, and how one begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Buffer = memoryview
VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5
GRAPH, INITIALIZER, RAW_DATA = 7, 5, 9  # numbers of fields: of ModelProto, GraphProto, TensorProto
LONGEST_VARINT = 10  # bytes


class NotWire(ValueError):
    """The bytes are no message."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number and kind, where its tag begins, and where its content lies."""

    number: int
    kind: int
    tag: int
    start: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message that lies there. Raises NotWire."""
    at = start
    while at < end:
        tag = at
        key, at = _varint(data, at, end)
        kind = key & 7
        if kind == VARINT:
            begin, (_, at) = at, _varint(data, at, end)
        elif kind == DELIMITED:
            length, begin = _varint(data, at, end)
            at = begin + length
        elif kind in {EIGHT_BYTES, FOUR_BYTES}:
            begin, at = at, at + (8 if kind == EIGHT_BYTES else 4)
        else:
            raise NotWire(f"a field of kind {kind}")
        if at > end:
            raise NotWire("a field is longer than its message")
        yield Field(key >> 3, kind, tag, begin, at)


def opening(number: int, length: int) -> bytes:
    """Return what stands before the content of a field of so many bytes."""
    return _as_varint(number << 3 | DELIMITED) + _as_varint(length)


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """Return the number that stands there, and where the next thing begins."""
    if at < end and (first := data[at]) < 0x80:  # as nearly all are
        return first, at + 1
    value = 0
    for position in range(min(LONGEST_VARINT, end - at)):
        byte = data[at + position]
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at + position + 1
    raise NotWire("a number does not end")


def _as_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)

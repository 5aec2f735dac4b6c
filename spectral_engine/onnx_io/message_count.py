"""How many fields a file has, counted where they lie: decoded, an empty message of two bytes takes a hundred."""

from __future__ import annotations

from collections.abc import Iterator

from spectral_engine.errors import ModelTooLarge
from spectral_engine.onnx_io.wire import DELIMITED, Buffer, NotWire, fields

# What a message of each kind holds of others, by the number of the field; all that is not here is counted as one.
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
MOST_FIELDS = 2_000_000
SMALLEST_FIELD = 2  # bytes
DEEPEST = 100  # as protobuf's own reader has it
Message = tuple[str, int, int, int]  # kind, where it lies from and to, how deep


def refuse_many_fields(data: bytes | Buffer, most: int = MOST_FIELDS) -> None:
    """Raise ModelTooLarge where a model has more than `most` fields; what is no message is left to its reader."""
    if len(data) <= most * SMALLEST_FIELD:
        return
    count, waiting = 0, [("model", 0, len(data), 0)]
    try:
        while waiting:
            message = waiting.pop()
            for inner in _inside(memoryview(data), message):
                count += 1
                if count > most:
                    raise ModelTooLarge(
                        f"the model has more than {most:,} nodes, names and attributes"
                    )
                if inner is not None:
                    waiting.append(inner)
    except NotWire:
        return


def _inside(data: Buffer, message: Message) -> Iterator[Message | None]:
    """Yield for each field of a message the one that it is, where it is one with something in it."""
    kind, start, end, depth = message
    known = INSIDE[kind]
    for field in fields(data, start, end):
        inner = known.get(field.number)
        if inner is None or field.kind != DELIMITED or field.start == field.end:
            yield None
        else:
            yield (inner, field.start, field.end, depth + 1) if depth < DEEPEST else None

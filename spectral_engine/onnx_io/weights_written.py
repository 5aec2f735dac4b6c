"""A model written to a file with one of its large weights in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

import onnx
import onnx_ir as ir
from google.protobuf.message import Message

from spectral_engine.onnx_io.wire import GRAPH, INITIALIZER, RAW_DATA, opening

Chunk = tuple[int, Callable[[], bytes]]  # how many bytes, and what gives them


def write_with_weights(
    proto: onnx.ModelProto, weights: Mapping[str, ir.TensorProtocol], file: BinaryIO
) -> None:
    """Write a model in which `weights` stand for initializers of these names, which hold no entries in it.

    The bytes are those of the whole model, serialised in one piece.
    """
    graph = list(_graph(proto.graph, weights))
    file.write(_fields(proto, lambda number: number < GRAPH))
    file.write(opening(GRAPH, sum(length for length, _ in graph)))
    for _, give in graph:
        file.write(give())
    file.write(_fields(proto, lambda number: number > GRAPH))


def _graph(graph: onnx.GraphProto, weights: Mapping[str, ir.TensorProtocol]) -> Iterator[Chunk]:
    yield _chunk(_fields(graph, lambda number: number < INITIALIZER))
    for tensor in graph.initializer:
        if tensor.name in weights:
            yield from _initializer(tensor, weights[tensor.name])
        else:
            written = tensor.SerializeToString(deterministic=True)
            yield _chunk(opening(INITIALIZER, len(written)) + written)
    yield _chunk(_fields(graph, lambda number: number > INITIALIZER))


def _initializer(header: onnx.TensorProto, weight: ir.TensorProtocol) -> Iterator[Chunk]:
    header.dims[:] = weight.shape.numpy()
    before = _fields(header, lambda number: number < RAW_DATA)
    before += opening(RAW_DATA, weight.nbytes)
    after = _fields(header, lambda number: number > RAW_DATA)
    length = len(before) + weight.nbytes + len(after)
    yield _chunk(opening(INITIALIZER, length) + before)
    yield weight.nbytes, weight.tobytes
    yield _chunk(after)


def _chunk(data: bytes) -> Chunk:
    return len(data), lambda: data


def _fields(message: Message, wanted: Callable[[int], bool]) -> bytes:
    """Serialise the fields with such numbers."""
    part = type(message)()
    part.CopyFrom(message)
    for field, _ in message.ListFields():
        if not wanted(field.number):
            part.ClearField(field.name)
    return bytes(part.SerializeToString(deterministic=True))

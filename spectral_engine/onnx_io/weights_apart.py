"""A file without its large weights: these are views of where they lie in it, and take memory only while they are read.

A decoded message holds all of its tensors as long as one of them is read from it, and ONNX's checker copies them twice
more. So weights are left out before anything is decoded, as tensors of no entries, and put into the graph as views.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from spectral_engine.onnx_io.message_count import refuse_many_fields
from spectral_engine.onnx_io.wire import (
    DELIMITED,
    GRAPH,
    INITIALIZER,
    RAW_DATA,
    Buffer,
    Field,
    NotWire,
    fields,
    opening,
)

SMALLEST_APART = 1024  # bytes
View = ir.Tensor[NDArray[Any]]
Views = Mapping[str, View]  # by the initializer's name


def split_weights(source: bytes | Path) -> tuple[bytes, Views] | None:
    """Return the model without its large weights, and these; None for what is no plain model of one graph.

    Raises ModelTooLarge for one of more fields than are read.
    What is left is to be checked as any other model. A file must stay as it is while a weight is in use.
    """
    data = memoryview(source) if isinstance(source, bytes) else _mapped(source)
    refuse_many_fields(data)
    views: dict[str, View] = {}
    try:
        parts = list(fields(data, 0, len(data)))
        graphs = [part for part in parts if part.number == GRAPH]
        if len(graphs) != 1 or graphs[0].kind != DELIMITED:
            return None
        graph = _without_weights(data, graphs[0], views)
    except NotWire:
        return None
    written = [
        opening(GRAPH, len(graph)) + graph if part.number == GRAPH else _whole(data, part)
        for part in parts
    ]
    return b"".join(written), views


def put_back(model: ir.Model, views: Views) -> bool:
    """Let the initializers that were left out be views; say whether all of them are there."""
    initializers = model.graph.initializers
    if not views.keys() <= initializers.keys():
        return False
    for name, tensor in views.items():
        value = initializers[name]
        if value.shape is None or value.shape == ir.Shape([0]):  # else it is declared as an input
            value.shape = ir.Shape(tensor.shape.numpy())
        value.const_value = tensor
    return True


def _mapped(path: Path) -> Buffer:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _whole(data: Buffer, field: Field) -> Buffer:
    return data[field.tag : field.end]


def _without_weights(data: Buffer, graph: Field, views: dict[str, View]) -> bytes:
    written: list[bytes | Buffer] = []
    for field in fields(data, graph.start, graph.end):
        header = None
        if field.number == INITIALIZER and field.end - field.start > SMALLEST_APART:
            header = _taken_out(data, field, views)
        if header is None:
            written.append(_whole(data, field))
        else:
            written += [opening(INITIALIZER, len(header)), header]
    return b"".join(written)


def _taken_out(data: Buffer, tensor: Field, views: dict[str, View]) -> bytes | None:
    """Return an initializer of no entries in place of one whose bytes are an array; None where they are not."""
    parts = list(fields(data, tensor.start, tensor.end))
    raw = [part for part in parts if part.number == RAW_DATA]
    if len(raw) != 1 or raw[0].end - raw[0].start < SMALLEST_APART:
        return None
    rest = b"".join(_whole(data, part) for part in parts if part.number != RAW_DATA)
    try:
        header = onnx.TensorProto.FromString(rest)
        kind = ir.DataType(header.data_type)
        whole_bytes = kind != ir.DataType.STRING and kind.bitwidth % 8 == 0
    except (ValueError, TypeError, DecodeError):
        return None
    shape, length = tuple(header.dims), raw[0].end - raw[0].start
    fits = whole_bytes and min(shape, default=1) > 0 and prod(shape) * kind.itemsize == length
    if not fits or header.name in views or header.external_data or header.data_location:
        return None
    view = np.frombuffer(data[raw[0].start : raw[0].end], np.uint8).view(kind.numpy())
    views[header.name] = ir.Tensor(
        view.reshape(shape), kind, name=header.name, doc_string=header.doc_string
    )
    header.dims[:] = [0]
    return bytes(header.SerializeToString())

"""Axes of any length that a file declares by a negative number, as older converters of PaddlePaddle do."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir


def free_negative_sizes(model: ir.Model) -> None:
    """Declare them as ONNX does, without a size: so does onnxruntime read them."""
    for value in _values(model):
        sizes = [] if value.shape is None else list(value.shape)
        if any(isinstance(size, int) and size < 0 for size in sizes):
            free = (None if isinstance(size, int) and size < 0 else size for size in sizes)
            value.shape = ir.Shape(free)


def _values(model: ir.Model) -> Iterator[ir.Value]:
    yield from model.graph.inputs
    for node in model.graph.all_nodes():
        yield from node.outputs
        for graph in node.attributes.values():
            if graph.type == ir.AttributeType.GRAPH:
                yield from graph.as_graph().inputs

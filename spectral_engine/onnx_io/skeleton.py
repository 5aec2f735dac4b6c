"""A graph without its weights, as it travels to a process that is given the weights' numbers by another way."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from spectral_engine.onnx_io.hidden_answers import kept_hidden, note_hidden
from spectral_engine.onnx_io.initializers import PlaceholderTensor
from spectral_engine.onnx_io.map_types import keep_types, map_types_apart
from spectral_engine.onnx_io.nodes import keep_names
from spectral_engine.onnx_io.save import to_bytes

ELSEWHERE = "elsewhere"  # the file that is named in the place of what is left out, and never read


@dataclass(frozen=True)
class Skeleton:
    """The graph in ONNX's own form, and what this form has no word for."""

    graph: bytes
    hidden: tuple[str, ...]


def without_weights(model: ir.Model, left_out: Collection[str]) -> Skeleton:
    """Return a graph of which these initializers are known by type and shape alone."""
    rest = model.clone()
    for name, value in rest.graph.initializers.items():
        tensor = value.const_value
        if tensor is None:
            continue
        if name in left_out:
            shape = ir.Shape(tensor.shape.numpy())
            value.const_value = ir.ExternalTensor(
                ELSEWHERE, 0, 0, tensor.dtype, shape=shape, name=name
            )
        elif isinstance(tensor, ir.ExternalTensor):
            value.const_value = ir.Tensor(tensor.numpy(), tensor.dtype, name=name)
    return Skeleton(to_bytes(rest), kept_hidden(model))


def with_placeholders(skeleton: Skeleton) -> ir.Model:
    """Return the graph with placeholders for what was left out."""
    proto = onnx.load_from_string(skeleton.graph)
    with map_types_apart(proto) as types:
        model = ir.from_proto(proto)
    keep_types(model, types)
    note_hidden(model, skeleton.hidden)
    keep_names(model)
    for name, value in model.graph.initializers.items():
        tensor = value.const_value
        if isinstance(tensor, ir.ExternalTensor):
            value.const_value = PlaceholderTensor(name, tensor.dtype, tensor.shape.numpy())
    return model

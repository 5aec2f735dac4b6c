"""Map types: a graph in memory has no word for them, so they are kept apart while a model is open, and put back.

Outputs alone have them, as those of scikit-learn's classifiers do: a list of maps from class to probability.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir as ir

from spectral_engine.errors import ModelInvalid

KEPT = "type apart"  # of a value's meta: its type, serialised


def refuse_map_inputs(proto: onnx.ModelProto) -> None:
    """Raise ModelInvalid at the first input that is a map, by name."""
    for value in proto.graph.input:
        if holds_map(value.type):
            raise ModelInvalid(
                f"input {value.name!r} takes maps of features, which is not supported: export the model from where its "
                "features are an array of numbers (in scikit-learn: without its DictVectorizer)"
            )


@contextmanager
def map_types_apart(proto: onnx.ModelProto) -> Iterator[dict[str, bytes]]:
    """Show the graph without types that are maps; yield them, serialised, by the name of the output that has one."""
    graph = proto.graph
    stated = [value for value in (*graph.output, *graph.value_info) if holds_map(value.type)]
    types = [(value, value.type.SerializeToString()) for value in stated]
    for value in stated:
        value.ClearField("type")
    outputs = {value.name for value in graph.output}
    try:
        yield {value.name: kept for value, kept in types if value.name in outputs}
    finally:
        for value, kept in types:
            value.type.ParseFromString(kept)


def keep_types(model: ir.Model, types: dict[str, bytes]) -> None:
    """Note at the outputs of a graph which types they have in the file."""
    for value in model.graph.outputs:
        if value.name in types:
            value.meta[KEPT] = types[value.name]


def has_kept_types(model: ir.Model) -> bool:
    """Tell whether an output has a type that the graph in memory does not state."""
    return any(KEPT in value.meta for value in model.graph.outputs)


def put_types_back(model: ir.Model, proto: onnx.ModelProto) -> None:
    """Give the outputs of a file that was made of a graph the types that were kept apart."""
    for value, stated in zip(model.graph.outputs, proto.graph.output, strict=True):
        if KEPT in value.meta:
            stated.type.ParseFromString(value.meta[KEPT])


def holds_map(kind: onnx.TypeProto) -> bool:
    """Tell whether a type is a map, or a sequence or an optional of such."""
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return holds_map(kind.sequence_type.elem_type)
    if which == "optional_type":
        return holds_map(kind.optional_type.elem_type)
    return str(which) == "map_type"

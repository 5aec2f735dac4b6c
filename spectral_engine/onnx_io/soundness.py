"""ONNX's own checks of a file, told by where they fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import onnx

from spectral_engine.errors import ModelInvalid
from spectral_engine.onnx_io.external import external_apart
from spectral_engine.onnx_io.operator_support import foreign_apart
from spectral_engine.onnx_io.quantized import every_node

MOST_WORDS = 300
CONTEXT = re.compile(r"==> Context: Bad node spec for node\. Name: (.*?) ?OpType: (\S+)")


def check_text(proto: onnx.ModelProto) -> None:
    """Refuse names that are no text: protobuf hands their bytes on as they are."""
    for position, node in enumerate(every_node(proto.graph.node)):
        texts = (node.name, node.op_type, node.domain, *node.input, *node.output)
        if not all(isinstance(text, str) for text in texts):
            raise ModelInvalid(
                f"node {position} ({node.op_type!r}) holds a name that is not UTF-8: {node.name!r}"
            )


def check_sound(proto: onnx.ModelProto) -> None:
    """Raise ModelInvalid for what ONNX's checker refuses, and for an input without a shape."""
    for value in proto.graph.input:
        if _is_shapeless(value):
            raise ModelInvalid(
                f"input {value.name!r} declares no shape: export the model with one, and names for axes that are free"
            )
    try:
        with foreign_apart(proto), external_apart(proto), _shapeless_apart(proto):
            onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        words = CONTEXT.sub(r"(node '\1', \2)", " ".join(str(error).split()))
        raise ModelInvalid(f"the model is not sound: {words[:MOST_WORDS]}") from error
    except ValueError:
        return  # over protobuf's 2 GiB: the checker cannot take it in memory


@contextmanager
def _shapeless_apart(proto: onnx.ModelProto) -> Iterator[None]:
    """Show ONNX's checker outputs of which not even the rank is declared, which runtimes take, as single numbers."""
    apart = [value for value in proto.graph.output if _is_shapeless(value)]
    for value in apart:
        value.type.tensor_type.shape.SetInParent()
    try:
        yield
    finally:
        for value in apart:
            value.type.tensor_type.ClearField("shape")


def _is_shapeless(value: onnx.ValueInfoProto) -> bool:
    kind = value.type
    return kind.HasField("tensor_type") and not kind.tensor_type.HasField("shape")

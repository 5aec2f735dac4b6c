"""Quantized graphs are refused: what can be trained is the float model that they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx

from spectral_engine.errors import NodeRef, UnsupportedOperator

QUANTIZED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "MatMulNBits",
    "MatMulBnb4",
    "GatherBlockQuantized",
    "QMoE",
}
PREFIXES = ("QLinear", "QGemm", "QAttention", "QOrdered", "QEmbed", "DynamicQuantize")


def refuse_quantized(proto: onnx.ModelProto) -> None:
    """Raise UnsupportedOperator at the first quantized node, also in a body or a local function."""
    opsets = {opset.domain: opset.version for opset in proto.opset_import}
    in_functions = [node for function in proto.functions for node in function.node]
    for node in every_node([*proto.graph.node, *in_functions]):
        if node.op_type in QUANTIZED or node.op_type.startswith(PREFIXES):
            raise UnsupportedOperator(
                f"node {node.name!r}: {node.op_type} belongs to a quantized graph: upload the float model",
                node=NodeRef(node.name, node.op_type, node.domain, opsets.get(node.domain, 0)),
            )


def every_node(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Yield nodes, and those of their bodies."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from every_node(attribute.g.node)

"""Quantized graphs are refused: what can be trained is the float model that they were made from."""

from __future__ import annotations

import onnx

from spectral_engine.errors import NodeRef, UnsupportedOperator

QUANTIZED = {
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
}


def refuse_quantized(proto: onnx.ModelProto) -> None:
    """Raise UnsupportedOperator at the first quantized node."""
    opsets = {opset.domain: opset.version for opset in proto.opset_import}
    for node in proto.graph.node:
        if node.op_type in QUANTIZED or node.op_type.startswith(("QLinear", "QGemm", "QAttention")):
            raise UnsupportedOperator(
                f"node {node.name!r}: {node.op_type} belongs to a quantized graph: upload the float model",
                node=NodeRef(node.name, node.op_type, node.domain, opsets.get(node.domain, 0)),
            )

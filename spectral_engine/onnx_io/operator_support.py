"""Operators of the default domain that ONNX does not define: refused by name, or one that onnxruntime puts there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnx

from spectral_engine.errors import NodeRef, UnsupportedOperator
from spectral_engine.onnx_io.quantized import every_node

# onnxruntime's optimisers write this into the default domain.
FOREIGN = {"SimplifiedLayerNormalization"}
DEFAULT = {"", "ai.onnx"}


def refuse_unknown(proto: onnx.ModelProto) -> None:
    """Raise UnsupportedOperator at the first node whose operator the model's opset does not have."""
    version = max((o.version for o in proto.opset_import if o.domain in DEFAULT), default=1)
    for node in every_node(proto.graph.node):
        if node.domain not in DEFAULT or node.op_type in FOREIGN:
            continue
        if not onnx.defs.has(node.op_type, max_inclusive_version=version):
            raise UnsupportedOperator(
                f"node {node.name!r}: {node.op_type} is no operator of opset {version}",
                node=NodeRef(node.name, node.op_type, node.domain, version),
            )


@contextmanager
def foreign_apart(proto: onnx.ModelProto) -> Iterator[None]:
    """Show ONNX's checker the foreign operators as those of another domain."""
    moved = [
        n for n in every_node(proto.graph.node) if n.op_type in FOREIGN and n.domain in DEFAULT
    ]
    domain = "com.microsoft"
    added = bool(moved) and all(opset.domain != domain for opset in proto.opset_import)
    if added:
        proto.opset_import.add(domain=domain, version=1)
    for node in moved:
        node.domain = domain
    try:
        yield
    finally:
        for node in moved:
            node.domain = ""
        if added:
            del proto.opset_import[-1]

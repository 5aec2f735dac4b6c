"""Values that a small file makes large: told by ONNX's shape inference, which looks at shapes and computes none.

onnxruntime folds constants where it opens a model, and so does whoever traces one. So what `ConstantOfShape`, `Expand`,
`Range`, `Tile`, `Pad` and products of long vectors would make is reckoned before anything is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx
import onnx_ir as ir
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, shape_inference

from spectral_engine.errors import ModelTooLarge, NodeRef
from spectral_engine.onnx_io.quantized import every_node

READ_BYTES = 4096  # of a tensor whose numbers may be a shape
READ_IN_BODIES_BYTES = 256  # the same, of one that stands around a body and is shown in it
# onnxruntime's own operators that do what those of ONNX with the same name do.
SAME_ELSEWHERE = {"Pad", "Range", "Tile", "Expand"}
DEFAULT = {"", "ai.onnx"}
FAILURES = (shape_inference.InferenceError, RuntimeError, ValueError, TypeError)

Shape = tuple[int, Sequence[int]]  # the type of the elements, and the lengths


@dataclass(frozen=True)
class GrowthLimits:
    """Bytes that one value of one row may take, and all that is made of constants alone together."""

    value_bytes: int
    made_bytes: int


def refuse_grown_values(
    proto: onnx.ModelProto, apart: Mapping[str, Shape], limits: GrowthLimits
) -> None:
    """Raise ModelTooLarge, by input or node, for what would take more than is allowed. Free lengths count as one.

    `apart` are shapes of initializers that stand in `proto` without their entries. Shapes that depend on the numbers of
    an input are not known here.
    """
    _refuse_inputs(proto.graph, limits.value_bytes)
    shapes = _inferred(proto, apart)
    constant = {tensor.name for tensor in proto.graph.initializer}
    constant |= {sparse.values.name for sparse in proto.graph.sparse_initializer}
    made = sum(_bytes_of_sparse(one) for one in proto.graph.sparse_initializer)
    _refuse_made(made, limits.made_bytes, "sparse initializers", None)
    _Growth(shapes, limits, _opsets(proto), made).add(proto.graph.node, constant)


@dataclass
class _Growth:
    """Sums up what is made of constants, node by node."""

    shapes: Mapping[str, Shape]
    limits: GrowthLimits
    opsets: Mapping[str, int]
    made: int = 0

    def add(self, nodes: Iterable[NodeProto], outside: set[str]) -> None:
        """Add nodes in the order in which they run; those of bodies see the constants around them."""
        constant = set(outside)
        for node in nodes:
            sizes = [_bytes(self.shapes[name]) for name in node.output if name in self.shapes]
            if max(sizes, default=0) > self.limits.value_bytes:
                raise self._too_large(node, max(sizes), self.limits.value_bytes)
            bodies = list(_bodies(node))
            if not bodies and all(name in constant for name in node.input if name):
                constant.update(node.output)
                self.made += sum(sizes)
                if self.made > self.limits.made_bytes:
                    raise self._too_large(node, self.made, self.limits.made_bytes, "with it ")
            for body in bodies:
                self.add(body.node, constant | {tensor.name for tensor in body.initializer})

    def _too_large(self, node: NodeProto, size: int, most: int, what: str = "") -> ModelTooLarge:
        said = "the constants that nodes make take" if what else "makes a value of"
        return ModelTooLarge(
            f"node {node.name or node.output[0]!r} ({node.op_type}) {what}{said} {size:,} bytes; at most {most:,} are "
            "allowed",
            node=NodeRef(node.name, node.op_type, node.domain, self.opsets.get(node.domain, 0)),
        )


def _refuse_made(made: int, most: int, what: str, node: NodeRef | None) -> None:
    if made > most:
        raise ModelTooLarge(
            f"{what} take {made:,} bytes in full; at most {most:,} are allowed", node=node
        )


def _refuse_inputs(graph: GraphProto, most: int) -> None:
    initializers = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        shape = _declared(value)
        if shape is None or value.name in initializers:
            continue
        if (size := _bytes(shape)) > most:
            raise ModelTooLarge(
                f"input {value.name!r} declares {size:,} bytes; at most {most:,} are allowed"
            )


def _inferred(proto: onnx.ModelProto, apart: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return what inference tells of the values in between; nothing where it fails as a whole."""
    sketch = onnx.ModelProto(ir_version=proto.ir_version)
    sketch.opset_import.extend(proto.opset_import)
    _sketch(proto.graph, sketch.graph, apart, {})
    sketch.graph.input.extend(proto.graph.input)
    try:
        told = shape_inference.infer_shapes(sketch, data_prop=True)
    except FAILURES:
        return {}
    return {name: shape for graph in _graphs(told.graph) for name, shape in _stated(graph)}


def _sketch(
    graph: GraphProto,
    drawn: GraphProto,
    apart: Mapping[str, Shape],
    around: Mapping[str, TensorProto],
) -> None:
    """Draw a graph without large numbers and without the shapes that it states itself, which may be untrue.

    `around` are small constants of the graphs around it: inference does not look for those outside of a body.
    """
    drawn.name = graph.name or "graph"
    known = {**around, **_small_constants(graph)}
    for node in graph.node:
        _sketch_node(node, drawn.node.add(), known)
    for tensor in graph.initializer:
        _without_numbers(tensor, drawn.initializer.add(), apart.get(tensor.name))
    inner = {tensor.name for tensor in graph.initializer} | {
        n for one in graph.node for n in one.output
    }
    read = {name for node in graph.node for name in node.input}
    drawn.initializer.extend(around[name] for name in (read - inner) & around.keys())
    for sparse in graph.sparse_initializer:
        drawn.initializer.add(
            name=sparse.values.name, data_type=sparse.values.data_type, dims=sparse.dims
        )
    for value in graph.output:
        _sketch_output(value, drawn.output.add(name=value.name))


def _small_constants(graph: GraphProto) -> dict[str, TensorProto]:
    return {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.ByteSize() <= READ_IN_BODIES_BYTES
    }


def _sketch_output(value: onnx.ValueInfoProto, drawn: onnx.ValueInfoProto) -> None:
    if value.type.HasField("tensor_type"):
        drawn.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    else:
        drawn.type.CopyFrom(value.type)


def _sketch_node(node: NodeProto, drawn: NodeProto, known: Mapping[str, TensorProto]) -> None:
    same = node.op_type in SAME_ELSEWHERE and node.domain == "com.microsoft"
    drawn.op_type, drawn.domain = node.op_type, "" if same else node.domain
    drawn.input.extend(node.input)
    drawn.output.extend(node.output)
    for attribute in node.attribute:
        kept = drawn.attribute.add(name=attribute.name, type=attribute.type)
        if attribute.type == AttributeProto.GRAPH:
            _sketch(attribute.g, kept.g, {}, known)
        elif attribute.type == AttributeProto.TENSOR:
            _without_numbers(attribute.t, kept.t, None)
        else:
            kept.CopyFrom(attribute)


def _without_numbers(tensor: TensorProto, drawn: TensorProto, apart: Shape | None) -> None:
    if apart is not None:
        drawn.data_type, shape = apart
        drawn.dims.extend(shape)
        drawn.name = tensor.name
    elif tensor.ByteSize() <= READ_BYTES and not tensor.external_data:
        drawn.CopyFrom(tensor)
    else:
        drawn.name, drawn.data_type = tensor.name, tensor.data_type
        drawn.dims.extend(tensor.dims)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in every_node(graph.node):
        yield from _bodies(node)


def _bodies(node: NodeProto) -> Iterator[GraphProto]:
    return (one.g for one in node.attribute if one.type == AttributeProto.GRAPH)


def _stated(graph: GraphProto) -> Iterator[tuple[str, Shape]]:
    for value in (*graph.value_info, *graph.output):
        if (shape := _declared(value)) is not None:
            yield value.name, shape


def _declared(value: onnx.ValueInfoProto) -> Shape | None:
    if not value.type.HasField("tensor_type"):
        return None
    tensor = value.type.tensor_type
    return tensor.elem_type, [dim.dim_value for dim in tensor.shape.dim]


def _bytes(shape: Shape) -> int:
    """Return what a value takes; lengths that are free, and those that no value has, count as one."""
    kind, lengths = shape
    return prod(max(1, length) for length in lengths) * _item_bytes(kind)


def _item_bytes(kind: int) -> int:
    try:
        return max(1, ir.DataType(kind).itemsize.__ceil__())
    except (ValueError, TypeError):
        return 1


def _bytes_of_sparse(sparse: onnx.SparseTensorProto) -> int:
    return _bytes((sparse.values.data_type, list(sparse.dims)))


def _opsets(proto: onnx.ModelProto) -> dict[str, int]:
    return {opset.domain: opset.version for opset in proto.opset_import}

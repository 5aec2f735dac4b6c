"""Bodies of If: their float weights stand in the graph around them, and every value has a name of its own.

So a weight is one initializer of the model wherever it is read, and a name says which value is meant. What the model
computes stays the same: a body reads the values of the graphs around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import onnx_ir as ir


def lift_weights(model: ir.Model) -> None:
    """Move float initializers of several entries from the bodies of If into the graph; rename what repeats a name."""
    graph = model.graph
    taken = {value.name for value in (*graph.inputs, *graph.initializers.values())}
    taken |= {value.name for node in graph for value in node.outputs}
    for body in bodies(graph):
        for value in [*body.initializers.values()]:
            del body.initializers[value.name or ""]
            value.name = _free(value.name or "", taken)
            home = graph if _is_weight(value) else body
            home.register_initializer(value)
        for node in body:
            for value in node.outputs:
                value.name = _free(value.name, taken) if value.name else value.name


def bodies(graph: ir.Graph) -> Iterator[ir.Graph]:
    """Yield the bodies of every If, those in bodies of If too."""
    for node in graph:
        if node.op_type != "If" or node.domain not in {"", "ai.onnx"}:
            continue
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield attribute.as_graph()
                yield from bodies(attribute.as_graph())


def _is_weight(value: ir.Value) -> bool:
    tensor = value.const_value
    return tensor is not None and tensor.dtype.is_floating_point() and tensor.size > 1


def _free(name: str, taken: set[str | None]) -> str:
    """Return a name that is not taken, and take it."""
    names = (name if at == 0 else f"{name}_{at}" for at in count())
    free_name = next(one for one in names if one not in taken)
    taken.add(free_name)
    return free_name

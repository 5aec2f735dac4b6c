"""Widths that a graph reads from shapes while it runs, and computes with: these must stay as they are."""

from __future__ import annotations

from collections.abc import Iterable

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Follows, Origin
from spectral_engine.onnx_io.node import Node

# By operator, the inputs at which a width may be read: it is handed on as it is, or its rule counts nodes by it.
FOLLOWED: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Identity", "Cast", "Unsqueeze", "Squeeze", "Flatten", "Gather"), (0,)),
    **dict.fromkeys(("Shape", "Size", "ConstantOfShape"), (0,)),
    **dict.fromkeys(("Reshape", "Expand", "Split", "Tile"), (0, 1)),
    "Equal": (0, 1),  # against −1, which no width is
    "Where": (1, 2),
    "Slice": (0, 1, 2),
    "Resize": (3,),
}


def pin_computed(book: CouplingRecorder, nodes: Iterable[Node]) -> None:
    """Pin the nodes of which a number that is read from a shape, and not settled, is computed with.

    As mean or scale over the nodes it would follow the width in the cut graph, and not where they are silenced.
    """
    for node in nodes:
        allowed = FOLLOWED.get(node.op_type) if not node.domain else None
        for position, name in enumerate(node.inputs):
            if name is None or position in node.constants or node.op_type == "Concat":
                continue
            if allowed is not None and position in allowed:
                continue
            _pin_followed(book, name, f"its width is read, and {node.op_type} computes with it")


def pin_answered(book: CouplingRecorder, outputs: Iterable[str]) -> None:
    """Pin the nodes whose number an output tells: the caller counts on it."""
    for name in outputs:
        _pin_followed(book, name, "its width is read, and answered")


def _pin_followed(book: CouplingRecorder, name: str, reason: str) -> None:
    """Pin the nodes that numbers of a vector count, whether these are read or stated in a constant of the graph."""
    for source in book.origins.get(name, ()):
        if isinstance(source, Follows):
            book.pin(book.axis(source.value, source.axis), reason)
        elif isinstance(source, Origin):
            place = (source.node.outputs[0], source.input, None, source.entry)
            book.pin(book.stated.get(place), reason)

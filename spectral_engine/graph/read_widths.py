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
# The inputs whose numbers stand in the output again.
HANDED_ON = {
    **dict.fromkeys(("Identity", "Cast", "Unsqueeze", "Squeeze", "Flatten", "Gather"), (0,)),
    **dict.fromkeys(("Reshape", "Expand", "Split", "Tile", "Slice"), (0,)),
    "Where": (1, 2),
}
# The inputs that tell which numbers are taken.
PICKED: dict[str, tuple[int, ...]] = {"Gather": (1,), "Slice": (1, 2, 3, 4)}


def pin_computed(book: CouplingRecorder, nodes: Iterable[Node]) -> None:
    """Pin the nodes of which a number that is read from a shape, and not settled, is computed with.

    As mean or scale over the nodes it would follow the width in the cut graph, and not where they are silenced.
    """
    for node in nodes:
        allowed = _followed(node)
        for position, name in enumerate(node.inputs):
            if name is None or position in node.constants or node.op_type == "Concat":
                continue
            if allowed is not None and position in allowed and not _is_lost(node, position, book):
                continue
            _pin_followed(book, name, f"its width is read, and {node.op_type} computes with it")


def _is_lost(node: Node, position: int, book: CouplingRecorder) -> bool:
    """Say whether numbers are handed on in a way that nobody follows: what is done with them then is not known."""
    handed_on = position in HANDED_ON.get(node.op_type, ())
    return handed_on and not any(output in book.origins for output in node.outputs)


def _followed(node: Node) -> tuple[int, ...] | None:
    """Return the inputs at which a node may read a width; None where it may read it at none."""
    if node.domain or node.op_type not in FOLLOWED:
        return None
    picks, allowed = PICKED.get(node.op_type, ()), FOLLOWED[node.op_type]
    # Which numbers of a vector are taken is told by constants alone: any other may be a width at another length.
    if any(position not in node.constants and node.has_input(position) for position in picks):
        return tuple(position for position in allowed if position != 0)
    return allowed


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
            key = (source.node.outputs[0], source.input, None, source.entry)
            book.pin(book.stated.get(key), reason)

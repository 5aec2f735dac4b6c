"""Coupling of what selects, ranks or writes by index: the axes of which places speak stay, others keep nodes."""

from __future__ import annotations

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operators.axes import ids_or_fresh, normal
from spectral_engine.onnx_io.node import Node

LOOKED_UP = "is looked up by index"
WRITTEN = "is written to by index"


def top_k_coupling(node: Node, book: CouplingRecorder) -> None:
    """What is ranked along an axis must stay; other axes keep their nodes, in values and places alike."""
    ids = ids_or_fresh(node.input(0), book)
    ranked = normal(node.get("axis", -1), len(ids))
    book.pin(ids[ranked], "is ranked by TopK")
    for output in node.outputs:
        if output:
            book.write(
                output, tuple(None if n == ranked else axis_ids for n, axis_ids in enumerate(ids))
            )


def compress_coupling(node: Node, book: CouplingRecorder) -> None:
    """What a condition chooses among must stay; without an axis, all of it."""
    source, axis = node.input(0), node.get("axis", None)
    ids = ids_or_fresh(source, book)
    if axis is None:
        book.pin_value(source, "is chosen from by Compress")
        return
    chosen = normal(axis, len(ids))
    book.pin(ids[chosen], "is chosen from by Compress")
    book.write(
        node.outputs[0], tuple(None if n == chosen else axis_ids for n, axis_ids in enumerate(ids))
    )


def gather_nd_coupling(node: Node, book: CouplingRecorder) -> None:
    """The first axes are looked up; those behind them keep their nodes."""
    source, indices = node.input(0), node.input(1)
    ids, batch = ids_or_fresh(source, book), node.get("batch_dims", 0)
    depth = batch + book.shapes[indices][-1]
    for axis_ids in ids[:depth]:
        book.pin(axis_ids, LOOKED_UP)
    index_ids = book.ids(indices)
    book.pin(index_ids[-1], "holds indices")
    book.write(node.outputs[0], (*index_ids[:-1], *ids[depth:]))


def scatter_nd_coupling(node: Node, book: CouplingRecorder) -> None:
    """The first axes are written to by index; those behind them meet the updates'."""
    source, indices, updates = node.input(0), node.input(1), node.input(2)
    ids, new = ids_or_fresh(source, book), ids_or_fresh(updates, book)
    depth = book.shapes[indices][-1]
    first = len(new) - (len(ids) - depth)  # of the updates' axes that meet the source's
    book.pin_value(indices, "holds indices")
    for axis_ids in (*ids[:depth], *new[:first]):
        book.pin(axis_ids, WRITTEN)
    met = (
        book.join(axis_ids, other) for axis_ids, other in zip(ids[depth:], new[first:], strict=True)
    )
    book.write(node.outputs[0], (*ids[:depth], *met))


def gather_elements_coupling(node: Node, book: CouplingRecorder) -> None:
    """One axis is looked up; along the others element meets index, where there are as many."""
    axis = normal(node.get("axis", 0), len(book.shapes[node.input(0)]))
    book.write(node.outputs[0], _meet_indices(node.input(0), node.input(1), axis, LOOKED_UP, book))


def scatter_elements_coupling(node: Node, book: CouplingRecorder) -> None:
    """One axis is written to; along the others element, index and update meet, where there are as many."""
    source, indices, updates = (node.input(position) for position in range(3))
    axis = normal(node.get("axis", 0), len(book.shapes[source]))
    _meet_indices(source, indices, axis, WRITTEN, book)
    _meet_indices(source, updates, axis, WRITTEN, book)
    # Where indices reach only some of the entries, those were pinned; else what comes out is what went in.
    book.write(node.outputs[0], ids_or_fresh(source, book))


def _meet_indices(
    source: str, other: str, axis: int, reason: str, book: CouplingRecorder
) -> tuple[NodeIds | None, ...]:
    """Make the axes of two values one row of nodes each, but for the one that indices speak of."""
    sizes = book.shapes[source], book.shapes[other]
    met: list[NodeIds | None] = []
    for at, pair in enumerate(
        zip(ids_or_fresh(source, book), ids_or_fresh(other, book), strict=True)
    ):
        if at == axis or sizes[0][at] != sizes[1][at]:
            for ids in pair:
                book.pin(ids, reason)
            met.append(pair[1])
        else:
            met.append(book.join(*pair))
    return tuple(met)

"""Graphs of a batch as graph libraries hold them: a graph's number beside each node, and edges numbered throughout."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.spec import InputSpec
from spectral_engine.errors import DatasetMismatch

Array = NDArray[Any]
Pointer = NDArray[np.int64]
EDGES = re.compile("edge|index|adj", re.IGNORECASE)
BATCH = "batch"  # the graph of each node: an array of the data, and an input of nets that answer each graph
ENDS = 2  # of an edge


def edge_inputs(inputs: Sequence[InputSpec]) -> dict[str, int]:
    """Return the inputs that take edges: whole numbers called so, and the axis along which each has two ends."""
    return {
        spec.name: spec.shape.index(ENDS)
        for spec in inputs
        if EDGES.search(spec.name)
        and spec.dtype.kind in "iu"
        and sorted(spec.shape, key=lambda size: size is None) == [ENDS, None]
    }


def takes_batch(inputs: Sequence[InputSpec]) -> bool:
    """Say whether a net of edges takes the graph of each node beside them."""
    taken = any(
        spec.name == BATCH and spec.dtype.kind in "iu" and spec.shape == (None,) for spec in inputs
    )
    return taken and bool(edge_inputs(inputs))


def grows_from_zero(numbers: Array, least: int) -> bool:
    """Say whether an array is at least so many whole numbers in one row that begin with 0 and never fall."""
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or len(numbers) < least:
        return False
    return bool(numbers[0] == 0 and (np.diff(numbers.astype(np.int64)) >= 0).all())


def pointer_of_batch(name: str, batch: Array) -> Pointer:
    """Return the row pointer that says the same as the number of a sample beside each entry.

    Raises DatasetMismatch where the numbers do not begin with 0, or fall.
    """
    if not grows_from_zero(batch, least=1):
        raise DatasetMismatch(
            f"{name!r} does not say which sample each entry belongs to: give whole numbers [entries] that begin with 0 "
            "and never fall, or a row pointer",
            pointer=f"#/{name}",
        )
    numbers = batch.astype(np.int64)
    return np.searchsorted(numbers, np.arange(numbers[-1] + 2)).astype(np.int64)


def with_edges(
    pointers: Mapping[str, Pointer], arrays: Mapping[str, Array], ends: Mapping[str, int]
) -> dict[str, Pointer]:
    """Return pointers also of edges that have none, by the samples of their ends, and of all that is as long."""
    completed = dict(pointers)
    edges = {
        name: _by_edge(name, arrays[name], axis) for name, axis in ends.items() if name in arrays
    }
    nodes = node_pointer(pointers, edges)
    if nodes is None:
        return completed
    for name, pairs in edges.items():
        if name in pointers:
            continue
        completed[name] = pointer = _edge_pointer(name, pairs, nodes)
        for other, array in arrays.items():
            beside = array.ndim > 0 and len(array) == pointer[-1] != len(pointer) - 1
            if beside and other not in edges and other != BATCH:
                completed.setdefault(other, pointer)
    return completed


def node_pointer(pointers: Mapping[str, Pointer], edges: Collection[str]) -> Pointer | None:
    """Return the row pointer of the nodes: the only one beside those of edges, and None where there are several."""
    of_edges = [pointers[name] for name in edges if name in pointers]
    beside = [pointer for name, pointer in pointers.items() if name not in edges]
    others = [one for one in beside if not any(np.array_equal(one, edge) for edge in of_edges)]
    left = others or beside  # in rings there are as many nodes as edges
    if not left or any(not np.array_equal(one, left[0]) for one in left):
        return None
    return left[0]


def _edge_pointer(name: str, ends: Pointer, nodes: Pointer) -> Pointer:
    """Return where the edges of each graph begin, of edges whose ends are numbered throughout the batch.

    Raises DatasetMismatch by edge where one leads from one graph to another, to no node, or stands out of order.
    """
    _refuse_strangers(name, ends, int(nodes[-1]))
    graphs = np.searchsorted(nodes, ends, side="right") - 1
    across = np.flatnonzero(graphs[:, 0] != graphs[:, 1])
    if across.size:
        edge = int(across[0])
        raise DatasetMismatch(
            f"edge {edge:,} of {name!r} leads from sample {graphs[edge, 0]:,} to sample {graphs[edge, 1]:,}: number "
            f"nodes throughout the file, or in each sample from 0 with {name + '_ptr'!r} beside",
            pointer=f"#/{name}",
        )
    fallen = np.flatnonzero(np.diff(graphs[:, 0]) < 0)
    if fallen.size:
        raise DatasetMismatch(
            f"edge {int(fallen[0]) + 1:,} of {name!r} belongs to an earlier sample than the one before it: sort "
            "edges by sample",
            pointer=f"#/{name}",
        )
    return np.searchsorted(graphs[:, 0], np.arange(len(nodes))).astype(np.int64)


def numbered_in_each(name: str, edges: Array, axis: int, pointer: Pointer, nodes: Pointer) -> Array:
    """Return edges with their ends numbered from 0 in each graph: as they are, or numbered throughout the batch.

    `axis` is that of the two ends.
    Raises DatasetMismatch where the ends fit neither, or both.
    """
    ends = _by_edge(name, edges, axis)
    graphs = np.repeat(np.arange(len(pointer) - 1), np.diff(pointer))
    starts, sizes = nodes[graphs][:, None], np.diff(nodes)[graphs][:, None]
    in_each = (ends >= 0) & (ends < sizes)
    throughout = (ends >= starts) & (ends < starts + sizes)
    if in_each.all() and throughout.all() and starts.any():
        raise DatasetMismatch(
            f"the ends of {name!r} may be numbered in each sample or throughout the file: give a folder with one .npz "
            "for each sample, or lay the largest sample first",
            pointer=f"#/{name}",
        )
    if in_each.all():
        return edges
    if throughout.all():
        return np.moveaxis(ends - starts, -1, axis).astype(edges.dtype)
    fits = in_each if in_each.sum() >= throughout.sum() else throughout
    edge = int(np.flatnonzero(~fits.all(axis=1))[0])
    sample = int(graphs[edge])
    raise DatasetMismatch(
        f"edge {edge:,} of {name!r} is {ends[edge].tolist()}, and sample {sample:,}, to which it belongs, has "
        f"{int(sizes[edge, 0]):,} nodes from {int(starts[edge, 0]):,} on: number them from 0 in each sample, or all "
        "of them throughout the file",
        pointer=f"#/{name}",
    )


def _by_edge(name: str, edges: Array, axis: int) -> Pointer:
    """Return the ends of each edge [edges, 2]."""
    if edges.ndim != ENDS or edges.shape[axis] != ENDS or edges.dtype.kind not in "iu":
        raise DatasetMismatch(
            f"{name!r} holds {edges.dtype.name}{list(edges.shape)}; edges are whole numbers with two ends along axis "
            f"{axis}",
            pointer=f"#/{name}",
        )
    return np.moveaxis(edges, axis, -1).astype(np.int64)


def _refuse_strangers(name: str, ends: Pointer, nodes: int) -> None:
    strange = np.flatnonzero(((ends < 0) | (ends >= nodes)).any(axis=1))
    if strange.size:
        edge = int(strange[0])
        raise DatasetMismatch(
            f"edge {edge:,} of {name!r} is {ends[edge].tolist()}, and there are {nodes:,} nodes",
            pointer=f"#/{name}",
        )

"""What is left of a model's links, counted in the candidate's file."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx_ir as ir

from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.methods.sparse.topology import Topology
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import Links, TransferLinks


def count_links(
    topology: Topology, narrow: Coupling, graph: ir.Graph, recipe: Recipe, dead_nodes: int
) -> Links:
    """Count the entries of each weight that are not 0; `narrow` is the coupling of the candidate."""
    asked = topology.asked(recipe.target.density or 1.0)
    sizes = {name: _entries(graph, name) for name in topology.layouts}
    kept = {name: there for name, (_, there) in sizes.items()}
    zeros = {name: size - there for name, (size, there) in sizes.items()}
    return Links(
        pattern=recipe.sparse.pattern,
        distribution=recipe.sparse.distribution,
        asked_density=recipe.target.density or 1.0,
        density=sum(kept.values()) / topology.total,
        before=topology.total,
        after=sum(kept.values()),
        zeros=sum(zeros.values()),
        dead_nodes=dead_nodes,
        effective_params=narrow.params() - sum(zeros.values()),
        effective_macs=narrow.macs() - _macs_of(narrow, zeros, graph),
        transfers=[
            TransferLinks(
                transfer=topology.names[name],
                before=layout.links,
                after=kept[name],
                asked_density=asked[name] / layout.links,
                density=kept[name] / layout.links,
            )
            for name, layout in topology.layouts.items()
        ],
    )


def _entries(graph: ir.Graph, name: str) -> tuple[int, int]:
    """Return how many entries an initializer has, and how many of them are not 0."""
    tensor = graph.initializers[name].const_value
    assert tensor is not None
    array = tensor.numpy()
    return array.size, int(np.count_nonzero(array))


def _macs_of(coupling: Coupling, zeros: Mapping[str, int], graph: ir.Graph) -> int:
    """Return the multiply-adds of one sample that have a zero for a factor."""
    return sum(
        transfer.macs_per_link * zeros[transfer.weight] // _kernel(graph, transfer)
        for transfer in coupling.transfers
        if transfer.weight in zeros
    )


def _kernel(graph: ir.Graph, transfer: Transfer) -> int:
    """Return the entries of a kernel: those between one pair of nodes."""
    tensor = graph.initializers[transfer.weight].const_value
    assert tensor is not None
    shape = tensor.numpy().shape
    ends = {transfer.out_axis, 1 if transfer.in_axis is None else transfer.in_axis}
    return prod(size for axis, size in enumerate(shape) if axis not in ends)

"""Surgery on the graph: node groups masked, cut out, or folded into biases."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.id_book import AxisIds, Transfer


def cut(model: ir.Model, coupling: Coupling, removed: Mark) -> ir.Model:
    new = ir.from_proto(ir.to_proto(model))
    for name, value in new.graph.initializers.items():
        axes = coupling.axes.get(name)
        t = value.const_value
        if axes is None or t is None or all(a is None for a in axes):
            continue
        arr = t.numpy()
        keep = np.ix_(
            *[
                np.arange(n) if a is None else np.flatnonzero(~removed[a])
                for n, a in zip(arr.shape, axes, strict=True)
            ]
        )
        value.const_value = ir.Tensor(np.ascontiguousarray(arr[keep]), dtype=t.dtype, name=name)
        value.shape = ir.Shape(value.const_value.shape)
    by = {node.outputs[0].name: node for node in new.graph}
    for f in coupling.facts:
        node = by[f.node]
        n = int((~removed[coupling.axes[f.value][f.axis]]).sum())
        if f.attribute is not None:
            node.attributes[f.attribute] = ir.AttrInt64(f.attribute, n)
        else:
            old = node.inputs[f.input]
            arr = old.const_value.numpy().copy()
            arr[f.entry] = n
            v = ir.Value(
                name=f"{old.name}_{f.node}",
                type=old.type,
                shape=old.shape,
                const_value=ir.Tensor(arr, name=f"{old.name}_{f.node}"),
            )
            new.graph.register_initializer(v)
            node.replace_input_with(f.input, v)
    for node in new.graph:
        for o in node.outputs:
            if not o.is_graph_output():
                o.shape = None
    new.graph.value_info = {} if hasattr(new.graph, "value_info") else None
    return new


def mask(model: ir.Model, coupling: Coupling, removed: Mark) -> ir.Model:
    new = ir.from_proto(ir.to_proto(model))
    for t in coupling.transfers:
        if t.in_axis is None:
            continue
        ids = coupling.axes[t.weight][t.in_axis]
        if ids is None or not removed[ids].any():
            continue
        value = new.graph.initializers[t.weight]
        arr = value.const_value.numpy().copy()
        np.moveaxis(arr, t.in_axis, 0)[removed[ids]] = 0
        value.const_value = ir.Tensor(arr, dtype=value.const_value.dtype, name=t.weight)
    return new


def narrow(tensor: Tensor, axes: AxisIds, removed: NDArray[np.bool_]) -> Tensor:
    for axis, ids in enumerate(axes):
        if ids is not None and removed[ids].any():
            keep = torch.from_numpy(np.flatnonzero(~removed[ids])).to(tensor.device)
            tensor = tensor.detach().index_select(axis, keep)
    return tensor


def compensate(bias, weight, transfer: Transfer, ids: AxisIds, removed, mean: Tensor) -> Tensor:
    gone = torch.from_numpy(removed[ids[transfer.in_axis]]).to(weight.device)
    w = (
        weight.detach().movedim((transfer.out_axis, transfer.in_axis), (0, 1)).flatten(2)
        if weight.dim() > 2
        else weight.detach().movedim((transfer.out_axis, transfer.in_axis), (0, 1)).unsqueeze(2)
    )
    return bias + (w.sum(2)[:, gone] @ mean[gone])

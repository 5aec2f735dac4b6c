"""Sorting, and what repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.selecting import top_k_coupling
from spectral_engine.graph.operators.unsigned import WIDE
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def top_k(node: Node, mode: Mode) -> Function:
    """The largest or smallest along an axis, with their places; equal ones in the order of their places."""
    axis, largest = node.get("axis", -1), bool(node.get("largest", 1))
    stated = node.get("k", None)

    def function(x: Tensor, count: Tensor | None = None) -> Any:
        k = int(stated if count is None else count)
        row = x.cpu() if x.dtype in WIDE else x  # CUDA sorts no such integers
        values, indices = row.sort(dim=axis, descending=largest, stable=True)
        outputs = tuple(part.narrow(axis, 0, k).to(x.device) for part in (values, indices))
        return outputs if len(node.outputs) > 1 else outputs[0]

    return function


def unique(node: Node, mode: Mode) -> Function:
    """Distinct elements or slices, with their first places, where each went, and how often."""
    axis, ordered = node.get("axis", None), bool(node.get("sorted", 1))

    def function(x: Tensor) -> Any:
        if x.dim() == 0:
            x = x.flatten()
        results = np.unique(
            x.detach().cpu().numpy(),
            return_index=True,
            return_inverse=True,
            return_counts=True,
            axis=axis,
        )
        values, first, inverse, counts = (np.asarray(r) for r in results)
        if not ordered:
            order = np.argsort(first)
            values = np.take(values, order, axis=axis or 0)
            first, counts = first[order], counts[order]
            inverse = np.argsort(order)[inverse]
        outputs = [
            torch.from_numpy(np.array(a)).to(x.device)
            for a in (values, first, inverse.ravel(), counts)
        ]
        return tuple(outputs) if len(node.outputs) > 1 else outputs[0]

    return function


register(
    {
        "TopK": OperatorSpec(top_k, top_k_coupling, read_by_python=(1,)),
        "Unique": OperatorSpec(unique, in_single=True),
    },
)

"""Gemm, MatMul and Einsum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.registry import Function, Mode, operator


@operator("Gemm")
def gemm(node: Node, mode: Mode) -> Function:
    """alpha · A' B' + beta · C; the plain cases take torch's fused path."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    left_turned, right_turned = bool(node.get("transA", 0)), bool(node.get("transB", 0))
    fused = alpha == 1.0 and beta == 1.0 and not left_turned

    def function(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        if fused and (c is None or c.dim() == 1):
            return F.linear(a, b if right_turned else b.t(), c)
        product = (a.t() if left_turned else a) @ (b.t() if right_turned else b)
        product = product if alpha == 1.0 else alpha * product
        return product if c is None else product + beta * c

    return function


@operator("MatMul")
def matmul(node: Node, mode: Mode) -> Function:
    """As numpy's matmul."""
    return torch.matmul


@operator("Einsum")
def einsum(node: Node, mode: Mode) -> Function:
    """A sum of products, spelled by letters."""
    equation = node.get("equation", "").replace(" ", "")
    return lambda *values: torch.einsum(equation, *values)

"""Dense layers that an exporter took apart: a product and its bias."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.factored import Factored
from spectral_engine.graph.fusion import Fusion, Group, Steps


def _dense(book: Steps, at: int) -> Group | None:
    """x w + b."""
    for product, bias in book.operands(at, "MatMul"):
        x, w = book.steps[product].reads
        return Group(_linear, (x, w, bias), (product,))
    return None


def _linear(x: Tensor, w: Tensor | Factored, bias: Tensor) -> Tensor:
    if isinstance(w, Factored):
        return w.linear(x, bias)
    if bias.dim() == 1 and w.dim() == 2 and bias.shape[0] == w.shape[1]:
        return F.linear(x, w.t(), bias)
    return torch.matmul(x, w) + bias


DENSE = Fusion(_dense, turn=3)

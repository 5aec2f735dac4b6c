"""Attention that an exporter took apart: softmax(q kᵀ · scale) v, without a mask."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.fusion import Fusion, Group, Steps
from spectral_engine.graph.placement import stays_on_host


def _attention(book: Steps, at: int) -> Group | None:
    """softmax(q kᵀ · scale) v, without a mask."""
    weights, v = book.steps[at].reads
    softmax = book.private(weights, "Softmax")
    if softmax is None or book.steps[softmax].node.get("axis", -1) not in {-1, 3}:
        return None
    scores = book.steps[softmax].reads[0]
    product = book.private(scores, "MatMul")
    if product is not None:
        roots = [_by_a_root(book, slot) for slot in book.steps[product].reads]
        if roots[0] is not None and roots[1] is not None:
            (q, a, i), (k, b, j) = roots[0], roots[1]
            return Group(_attend_rooted, (q, k, v, a, b), (softmax, product, i, j))
        (q, left, before), (k, right, turned) = (
            _without_scale(book, slot) for slot in book.steps[product].reads
        )
        function = functools.partial(_attend, scale=left * right)
        return Group(function, (q, k, v), (softmax, product, *before, *turned))
    scaling = book.private(scores, "Mul", "Div")
    if scaling is None:
        return None
    for product, scale in book.operands(scaling, "MatMul"):
        divides = book.steps[scaling].node.op_type == "Div"
        if divides and book.steps[scaling].reads[1] != scale:
            continue
        q, k = book.steps[product].reads
        attend = _attend_divided if divides else _attend_scaled
        return Group(attend, (q, k, v, scale), (softmax, scaling, product))
    return None


def _without_scale(book: Steps, slot: int) -> tuple[int, float, tuple[int, ...]]:
    """Return what a constant scales, the constant, and the step that does so."""
    at = book.private(slot, "Mul")
    if at is not None:
        left, right = book.steps[at].reads
        for value, scale in ((left, right), (right, left)):
            if scale in book.scalars:
                return value, book.scalars[scale], (at,)
    return slot, 1.0, ()


def _by_a_root(book: Steps, slot: int) -> tuple[int, int, int] | None:
    """Return what a square root scales, the root, and the step that does so: how torch writes the scale out."""
    at = book.private(slot, "Mul")
    if at is None:
        return None
    left, right = book.steps[at].reads
    for value, scale in ((left, right), (right, left)):
        if book.made_by(scale, "Sqrt"):
            return value, scale, at
    return None


@stays_on_host(3, 4)
def _attend_rooted(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    if a.numel() == b.numel() == 1 and not (a.requires_grad or b.requires_grad):
        return _attend(q, k, v, float(a) * float(b))
    scores = torch.matmul(q * a.to(q.device), k * b.to(q.device))
    return torch.matmul(torch.softmax(scores, dim=-1), v)


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float = 1.0) -> Tensor:
    """`k` is turned: [batch, heads, size, keys]."""
    if q.dim() == k.dim() == v.dim() == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2]:
        return F.scaled_dot_product_attention(q, k.transpose(-1, -2), v, scale=scale)
    return torch.matmul(torch.softmax(torch.matmul(q * scale, k), dim=-1), v)


def _attend_scaled(q: Tensor, k: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    if scale.numel() == 1:
        return _attend(q * scale.flatten()[0], k, v)
    return torch.matmul(torch.softmax(torch.matmul(q, k) * scale, dim=-1), v)


def _attend_divided(q: Tensor, k: Tensor, v: Tensor, scale: Tensor) -> Tensor:
    if scale.numel() == 1:
        return _attend(q / scale.flatten()[0], k, v)
    return torch.matmul(torch.softmax(torch.matmul(q, k) / scale, dim=-1), v)


# After activations, which may stand in a score; before the dense layers, of which one may read what attention gives.
ATTENTION = Fusion(_attention, turn=2)

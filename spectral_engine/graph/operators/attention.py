"""Attention, linear attention, rotary embeddings and what stands around them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Product
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def attention(node: Node, mode: Mode) -> Function:
    """Scaled dot product attention, with masks, windows, grouped heads and caches.

    Q, K and V are [batch, heads, seq, head size], or [batch, seq, heads · head size]. The fused function of torch
    computes it, unless scores are capped or asked for.
    """
    q_heads, kv_heads = node.get("q_num_heads", 0), node.get("kv_num_heads", 0)
    scale, cap = node.get("scale", None), node.get("softcap", 0.0)
    scores_wanted = len(node.outputs) > 3

    def function(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        past_key: Tensor | None = None,
        past_value: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> Any:
        flat = q.dim() == 3
        if flat:
            q, k, v = split_heads(q, q_heads), split_heads(k, kv_heads), split_heads(v, kv_heads)
        if past_key is not None and past_value is not None:
            k, v = torch.cat([past_key, k], dim=2), torch.cat([past_value, v], dim=2)
        present = (k, v)
        past = 0 if past_key is None else past_key.shape[2]
        simple = past == 0 and valid is None and mask is None and not _windowed(node)
        causal = bool(node.get("is_causal", 0))
        k, v = share_heads(k, q.shape[1]), share_heads(v, q.shape[1])
        scores: Tensor | None = None
        if simple and not cap and not scores_wanted:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
        else:
            bias, allowed = _masks(node, q, k, mask, past, valid)
            if cap or scores_wanted:
                y, scores = _by_hand(node, q, k, v, bias, allowed)
            else:
                together = _together(bias, allowed)
                y = F.scaled_dot_product_attention(q, k, v, attn_mask=together, scale=scale)
        y = merge_heads(y) if flat else y
        outputs = (y, *present, scores)
        return outputs if len(node.outputs) > 1 else y

    return function


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[batch, seq, heads · size] → [batch, heads, seq, size]."""
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[batch, heads, seq, size] → [batch, seq, heads · size]."""
    return x.transpose(1, 2).flatten(2)


def share_heads(x: Tensor, heads: int) -> Tensor:
    """Let groups of query heads share a head of keys or values."""
    return x if x.shape[1] == heads else x.repeat_interleave(heads // x.shape[1], dim=1)


def _windowed(node: Node) -> bool:
    sides = (node.get("left_window_size", -1), node.get("right_window_size", -1))
    return any(side >= 0 for side in sides)


def _masks(
    node: Node, q: Tensor, k: Tensor, mask: Tensor | None, past: int, valid: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Return what is added to the scores, and where a query may look (None: everywhere)."""
    length, total = q.shape[2], k.shape[2]
    allowed = _frontier(node, q, total, past, valid)
    bias = None
    if mask is not None:
        mask = mask.to(q.device)
        short = total - mask.shape[-1]
        if mask.dtype == torch.bool:
            mask = F.pad(mask, (0, short), value=False) if short else mask
            allowed = mask if allowed is None else allowed & mask
        else:
            bias = F.pad(mask, (0, short), value=-math.inf) if short else mask
    if allowed is not None and allowed.dim() < 2:
        allowed = allowed.expand(length, total)
    return bias, allowed


def _together(bias: Tensor | None, allowed: Tensor | None) -> Tensor | None:
    """Return one mask for torch's fused function, which gives zeros to queries that see nothing."""
    if bias is None or allowed is None:
        return allowed if bias is None else bias
    return bias.masked_fill(~allowed, -math.inf)


def _frontier(node: Node, q: Tensor, total: int, past: int, valid: Tensor | None) -> Tensor | None:
    """Return where causality, windows and the valid lengths let each query look [..., queries, keys]."""
    device, length = q.device, q.shape[2]
    keys = torch.arange(total, device=device)
    offset: Any = past
    allowed: Tensor | None = None
    if valid is not None:
        lengths = valid.to(device).view(-1, 1, 1, 1)
        allowed = keys < lengths
        offset = lengths - length
    positions = torch.arange(length, device=device)[:, None] + offset
    left, right = node.get("left_window_size", -1), node.get("right_window_size", -1)
    bounds = []
    if node.get("is_causal", 0):
        bounds.append(keys <= positions)
    if left >= 0:
        bounds.append(keys >= positions - left)
    if right >= 0:
        bounds.append(keys <= positions + right)
    for bound in bounds:
        allowed = bound if allowed is None else allowed & bound
    return allowed


def _by_hand(
    node: Node, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, allowed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the result and the scores of the stage that `qk_matmul_output_mode` names; blind queries give zeros."""
    cap, wanted = node.get("softcap", 0.0), node.get("qk_matmul_output_mode", 0)
    scale = node.get("scale", None) or 1 / math.sqrt(q.shape[-1])
    stages = [(q * scale) @ k.transpose(-1, -2)]
    stages.append(cap * torch.tanh(stages[-1] / cap) if cap else stages[-1])
    scores = stages[-1] if bias is None else stages[-1] + bias
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    stages.append(scores)
    weights = torch.softmax(scores, dim=-1)
    if allowed is not None or bias is not None:
        seeing = (scores != -math.inf).any(-1, keepdim=True)
        weights = torch.where(seeing, weights, torch.zeros_like(weights))
    stages.append(weights)
    return weights @ v, stages[wanted]


def rotary_embedding(node: Node, mode: Mode) -> Function:
    """Pairs of entries of each head turned by an angle that grows with the position."""
    heads, width = node.get("num_heads", 0), node.get("rotary_embedding_dim", 0)
    interleaved = bool(node.get("interleaved", 0))

    def function(x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None = None) -> Tensor:
        flat = x.dim() == 3
        y = split_heads(x, heads) if flat else x
        if positions is not None:
            positions = positions.long().to(cos.device)
            cos, sin = cos[positions], sin[positions]
        # cos, sin [batch, seq, width / 2], alike for all heads
        y = rotate(y, cos.unsqueeze(1), sin.unsqueeze(1), width or y.shape[-1], interleaved)
        return merge_heads(y) if flat else y

    return function


def rotate(x: Tensor, cos: Tensor, sin: Tensor, width: int, interleaved: bool) -> Tensor:
    """Turn the first `width` entries of the last axis; pairs are neighbours, or lie half the width apart."""
    turned, rest = x[..., :width], x[..., width:]
    if interleaved:
        a, b = turned[..., 0::2], turned[..., 1::2]
        rotated = torch.stack([cos * a - sin * b, sin * a + cos * b], dim=-1).flatten(-2)
    else:
        a, b = turned.chunk(2, dim=-1)
        rotated = torch.cat([cos * a - sin * b, sin * a + cos * b], dim=-1)
    return torch.cat([rotated, rest], dim=-1) if rest.shape[-1] else rotated


def linear_attention(node: Node, mode: Mode) -> Function:
    """A matrix state per head, updated token by token by the rule that the node names."""
    q_heads, kv_heads = node.get("q_num_heads", 1), node.get("kv_num_heads", 1)
    rule, scale = node.get("update_rule", "gated_delta"), node.get("scale", 0.0)
    if rule not in {"linear", "gated", "delta", "gated_delta"}:
        raise node.unsupported(f"update_rule {rule!r} is not supported")

    def function(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        state: Tensor | None = None,
        decay: Tensor | None = None,
        beta: Tensor | None = None,
    ) -> Any:
        q, k, v = split_heads(q, q_heads), split_heads(k, kv_heads), split_heads(v, kv_heads)
        factor = scale or 1 / math.sqrt(q.shape[-1])
        if state is None:
            state = q.new_zeros(q.shape[0], kv_heads, k.shape[-1], v.shape[-1])
        gates = (
            split_heads(decay, kv_heads).exp() if decay is not None and "gated" in rule else None
        )
        rates = None if beta is None or "delta" not in rule else beta.transpose(1, 2)[..., None]
        outputs = []
        for t in range(q.shape[2]):
            key, value = k[:, :, t, :, None], v[:, :, t, None, :]
            if gates is not None:
                state = gates[:, :, t, :, None] * state
            if rates is not None:
                value = rates[:, :, t, None] * (value - key.transpose(-1, -2) @ state)
            state = state + key * value
            seen = share_heads(state, q_heads)
            outputs.append(factor * (q[:, :, t, None, :] @ seen))
        y = merge_heads(torch.cat(outputs, dim=2))
        return (y, state) if len(node.outputs) > 1 else y

    return function


def causal_convolution(node: Node, mode: Mode) -> Function:
    """A depthwise convolution that looks back only, from the last inputs of the run before on."""
    silu = node.get("activation", "none") in {"silu", "swish"}

    def function(
        x: Tensor, weight: Tensor, bias: Tensor | None = None, state: Tensor | None = None
    ) -> Any:
        back = weight.shape[-1] - 1
        before = x.new_zeros(*x.shape[:2], back) if state is None else state
        whole = torch.cat([before, x], dim=-1)
        y = F.conv1d(whole, weight, bias, groups=x.shape[1])
        y = F.silu(y) if silu else y
        return (y, whole[..., whole.shape[-1] - back :]) if len(node.outputs) > 1 else y

    return function


def couple_heads(node: Node, position: int, heads: int, book: CouplingRecorder) -> NodeIds | None:
    """Make all entries of one head one node; return the heads' ids, None where the input holds no nodes.

    The input is [batch, heads, seq, size], or [batch, seq, heads · size].
    """
    value = node.input(position)
    if len(book.shapes[value]) == 4:
        return book.axis(value, 1)
    return unify_heads(book.axis(value, -1), heads, book)


def unify_heads(ids: NodeIds | None, heads: int, book: CouplingRecorder) -> NodeIds | None:
    """Make each head's stretch of ids one node; return one id per head."""
    if ids is None:
        return None
    return book.unify_rows(NodeIds(ids.reshape(heads, -1)))  # [heads, size] -> [heads]


def share(queries: NodeIds | None, keys: NodeIds | None, book: CouplingRecorder) -> NodeIds | None:
    """Couple heads of queries with the heads of keys or values that they share; return the queries' ids."""
    if queries is None or keys is None:
        return book.join(queries, keys)
    return book.join(queries, NodeIds(np.repeat(keys, len(queries) // len(keys))))


def attention_coupling(node: Node, book: CouplingRecorder) -> None:
    """Heads go whole, with the queries that share their keys and values."""
    flat = len(book.shapes[node.input(0)]) == 3
    q_heads = node.get("q_num_heads", 0) if flat else book.shapes[node.input(0)][1]
    kv_heads = node.get("kv_num_heads", 0) if flat else book.shapes[node.input(1)][1]
    caches = [name for name in node.inputs[4:6] if name is not None]
    masked = node.has_input(3) and len(book.shapes[node.input(3)]) > 3
    if caches or (masked and book.shapes[node.input(3)][1] > 1):
        for name in node.inputs[:3]:
            book.pin_value(name or "", "attends with a cache or a mask for each head")
        return
    queries = couple_heads(node, 0, q_heads, book)
    keys, values = (couple_heads(node, position, kv_heads, book) for position in (1, 2))
    share(queries, keys, book)
    ids = share(queries, values, book)
    if ids is None:
        return
    if flat:
        book.state_width(node, ids, attribute="q_num_heads")
        shared = keys if keys is not None else NodeIds(ids[:: q_heads // kv_heads])
        book.state_width(node, shared, attribute="kv_num_heads")
        size = book.shapes[node.outputs[0]][-1] // q_heads
        book.write(node.outputs[0], (None, None, NodeIds(np.repeat(ids, size))))
    else:
        book.write(node.outputs[0], (None, ids, None, None))
    for output, head_ids in zip(node.outputs[1:4], (keys, values, ids), strict=False):
        if output:
            book.write(output, (None, head_ids, None, None))
    count_attention(node, ids, book)


def count_attention(node: Node, ids: NodeIds, book: CouplingRecorder) -> None:
    """Record the multiply-adds of scores and mixing: 2 · seq · seq · head size for each head."""
    query, key = book.shapes[node.input(0)], book.shapes[node.input(1)]
    seq, other = query[-2], key[-2]
    size = query[-1] if len(query) == 4 else query[-1] // len(ids)
    book.products.append(Product(2 * seq * other * size, (ids,)))


def rotary_coupling(node: Node, book: CouplingRecorder) -> None:
    """Heads are turned alike."""
    source = node.input(0)
    heads = node.get("num_heads", 0)
    if len(book.shapes[source]) == 3 and heads:
        ids = unify_heads(book.axis(source, -1), heads, book)
        if ids is not None:
            book.state_width(node, ids, attribute="num_heads")
    elif len(book.shapes[source]) == 4:
        for axis in (2, 3):
            book.pin(book.axis(source, axis), "is turned with its neighbours")
    else:
        book.pin_value(source, "is turned with its neighbours")
    book.pass_on(source, node.outputs[0])


register(
    {
        "Attention": OperatorSpec(attention, attention_coupling, weights=(1, 2)),
        "RotaryEmbedding": OperatorSpec(rotary_embedding, rotary_coupling),
        "LinearAttention": OperatorSpec(linear_attention),
        "CausalConvWithState": OperatorSpec(causal_convolution, weights=(1, 2)),
    },
)

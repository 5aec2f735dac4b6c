"""Attention as onnxruntime's transformer optimiser writes it (com.microsoft)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder, Product, Transfer
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.attention import (
    count_attention,
    couple_heads,
    merge_heads,
    rotary_coupling,
    rotate,
    share,
    share_heads,
    split_heads,
)
from spectral_engine.graph.operators.contrib import MICROSOFT
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def packed_attention(node: Node, mode: Mode) -> Function:
    """Self attention [batch, seq, hidden], with the projections of queries, keys and values in one matrix."""
    heads, sizes = node.get("num_heads", 1), node.get("qkv_hidden_sizes", None)
    if node.get("do_rotary", 0) or node.get("past_present_share_buffer", 0):
        raise node.unsupported("rotary embeddings and shared buffers are not supported")

    def function(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        mask: Tensor | None = None,
        past: Tensor | None = None,
        added: Tensor | None = None,
        length: Tensor | None = None,
    ) -> Any:
        projected = F.linear(x, weight.t(), bias)
        widths = sizes or [projected.shape[-1] // 3] * 3
        q, k, v = (split_heads(part, heads) for part in torch.split(projected, widths, dim=-1))
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        y = merge_heads(_attend(node, q, k, v, mask, added))
        return (y, torch.stack([k, v])) if len(node.outputs) > 1 else y

    return function


def multi_head_attention(node: Node, mode: Mode) -> Function:
    """Projected queries, keys and values [batch, seq, hidden]; keys and values may come split into heads already."""
    heads = node.get("num_heads", 1)
    if any(node.has_input(position) for position in (8, 9)) or len(node.outputs) > 3:
        raise node.unsupported("shared buffers and beams are not supported")

    def function(
        q: Tensor,
        k: Tensor | None = None,
        v: Tensor | None = None,
        bias: Tensor | None = None,
        mask: Tensor | None = None,
        added: Tensor | None = None,
        past_key: Tensor | None = None,
        past_value: Tensor | None = None,
    ) -> Any:
        if k is None or v is None:
            raise node.unsupported("packed queries, keys and values are not supported")
        parts: list[Any] = [None] * 3 if bias is None else list(_cut(bias, q.shape[-1]))
        q, k, v = (_headed(x, b, heads) for x, b in zip((q, k, v), parts, strict=True))
        if past_key is not None and past_value is not None:
            k, v = torch.cat([past_key, k], dim=2), torch.cat([past_value, v], dim=2)
        y = merge_heads(_attend(node, q, k, v, mask, added))
        return (y, k, v) if len(node.outputs) > 1 else y

    return function


def _cut(bias: Tensor, width: int) -> tuple[Tensor, Tensor, Tensor]:
    return bias[:width], bias[width : 2 * width], bias[2 * width :]


def _headed(x: Tensor, bias: Tensor | None, heads: int) -> Tensor:
    if x.dim() == 4:
        return x
    return split_heads(x if bias is None else x + bias, heads)


def _attend(
    node: Node, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, added: Tensor | None
) -> Tensor:
    """[batch, heads, seq, size]; what is masked is pushed down by `mask_filter_value`, not shut out."""
    scale = node.get("scale", 0.0) or None
    causal = bool(node.get("unidirectional", 0))
    if mask is None and added is None and not causal:
        return F.scaled_dot_product_attention(q, k, v, scale=scale)
    bias = q.new_zeros(1, 1, q.shape[2], k.shape[2])
    if mask is not None:
        hidden = _hidden(node, mask, q, k).to(q.device)
        bias = bias.masked_fill(hidden, node.get("mask_filter_value", -10000.0))
    if causal:
        seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device)
        bias = bias.masked_fill(~seen.tril(k.shape[2] - q.shape[2]), torch.finfo(q.dtype).min)
    bias = bias if added is None else bias + added
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=scale)


def _hidden(node: Node, mask: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """Mark what a mask hides [batch, 1, queries or 1, keys]: lengths, keys, or pairs."""
    if mask.dim() == 1 and len(mask) == len(q):
        return (torch.arange(k.shape[2], device=mask.device) >= mask[:, None])[:, None, None]
    if mask.dim() == 2 and mask.shape == (len(q), k.shape[2]):
        return (mask == 0)[:, None, None]
    if mask.dim() == 3:
        return (mask == 0)[:, None]
    raise node.unsupported(f"a mask of shape {tuple(mask.shape)} is not supported")


def rotary_embedding(node: Node, mode: Mode) -> Function:
    """Positions are the second input: one per token, or the first one's."""
    heads, width = node.get("num_heads", 0), node.get("rotary_embedding_dim", 0)
    interleaved = bool(node.get("interleaved", 0))
    if node.get("is_packed_batching", 0) or node.get("scale", 1.0) != 1.0:
        raise node.unsupported("packed batches and scales are not supported")

    def function(x: Tensor, positions: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        flat = x.dim() == 3
        size = width or 2 * cos.shape[-1]
        y = split_heads(x, heads or x.shape[-1] // size) if flat else x
        if positions.numel() == 1 and positions.dim() == 1:
            positions = positions + torch.arange(y.shape[2], device=positions.device)[None]
        positions = positions.long().to(cos.device)
        y = rotate(y, cos[positions][:, None], sin[positions][:, None], size, interleaved)
        return merge_heads(y) if flat else y

    return function


def group_query_attention(node: Node, mode: Mode) -> Function:
    """Causal attention over a prompt: without a cache, rotary embeddings included."""
    heads, shared = node.get("num_heads", 1), node.get("kv_num_heads", 1)
    odd = ("softcap", "smooth_softmax", "qk_output", "k_quant_type", "v_quant_type")
    if any(node.get(key, 0) not in {0, "NONE"} for key in odd):
        raise node.unsupported(
            "capped scores, smooth softmax and quantized caches are not supported"
        )
    if node.get("local_window_size", -1) >= 0 or any(node.has_input(p) for p in range(9, 14)):
        raise node.unsupported("windows, positions, biases and sinks are not supported")
    rotary = bool(node.get("do_rotary", 0))
    turn = rotary_embedding(
        replace(node, attributes={"interleaved": node.get("rotary_interleaved", 0)}), mode
    )

    def function(
        q: Tensor,
        k: Tensor | None,
        v: Tensor | None,
        past_key: Tensor | None = None,
        past_value: Tensor | None = None,
        last: Tensor | None = None,
        total: Tensor | None = None,
        cos: Tensor | None = None,
        sin: Tensor | None = None,
    ) -> Any:
        if k is None or v is None:
            raise node.unsupported("packed queries, keys and values are not supported")
        if past_key is not None and past_key.numel():
            raise node.unsupported("a cache of earlier tokens is not supported")
        if last is not None and bool((last + 1 != q.shape[1]).any()):
            raise node.unsupported("prompts of different lengths are not supported")
        q, k, v = split_heads(q, heads), split_heads(k, shared), split_heads(v, shared)
        if rotary and cos is not None and sin is not None:
            start = torch.zeros(1, dtype=torch.int64)
            q, k = turn(q, start, cos, sin), turn(k, start, cos, sin)
        scale = node.get("scale", 0.0) or None
        y = F.scaled_dot_product_attention(
            q, share_heads(k, heads), share_heads(v, heads), is_causal=True, scale=scale
        )
        return (merge_heads(y), k, v) if len(node.outputs) > 1 else merge_heads(y)

    return function


def packed_coupling(node: Node, book: CouplingRecorder) -> None:
    """Heads go whole, from all three parts of the packed matrix."""
    source, heads = node.input(0), node.get("num_heads", 1)
    initializer, order = book.constant(node.input(1)) or ("", ())
    if (
        not initializer
        or "qkv_hidden_sizes" in node.attributes
        or any(node.has_input(p) for p in (4, 5))
    ):
        book.pin_value(source, "attends with what is not known")
        book.freeze(node.input(1), "attends with what is not known")
        return
    width = book.shapes[node.input(1)][1] // 3
    ids = book.fresh(heads)
    wide = NodeIds(np.repeat(ids, width // heads))
    columns = NodeIds(np.tile(wide, 3))  # of queries, keys and values
    book.attach(node.input(1), (book.nodes_of(source, -1), columns))
    if node.has_input(2):
        book.attach(node.input(2), (columns,))
    output = node.outputs[0]
    book.write(output, (None, None, wide))
    book.state_width(node, ids, attribute="num_heads")
    book.add_inner_transfer(
        Transfer(
            name=node.name, kind="dense", weight=initializer, out_axis=order[1], in_axis=order[0],
            bias=node.input(2) if node.has_input(2) and node.input(2) in book.float_initializers else None,
            source=source, output=output, macs_per_link=book.positions(source, -1),
        )
    )  # fmt: skip
    seq = book.shapes[source][1]
    book.products.append(Product(2 * seq * seq * (width // heads), (ids,)))


def heads_coupling(node: Node, book: CouplingRecorder, *, grouped: bool) -> None:
    """Heads go whole, with the queries that share their keys and values; `grouped` says how many do."""
    heads = node.get("num_heads", 1)
    shared = node.get("kv_num_heads", heads)
    later = range(3, 5) if grouped else range(5, 8)  # masks, and keys and values of earlier tokens
    parts = [name for name in node.inputs[:3] if name is not None]
    simple = len(parts) == 3 and all(len(book.shapes[name]) == 3 for name in parts)
    if not simple or any(
        node.has_input(position) and book.shapes[node.input(position)] for position in later
    ):
        for name in parts:
            book.pin_value(name, "attends with what is not known")
        return
    queries = couple_heads(node, 0, heads, book)
    keys, values = (couple_heads(node, position, shared, book) for position in (1, 2))
    share(queries, keys, book)
    ids = share(queries, values, book)
    if ids is None:
        return
    size = book.shapes[node.outputs[0]][-1] // heads
    wide = NodeIds(np.repeat(ids, size))
    if not grouped and node.has_input(3):
        book.attach(node.input(3), (NodeIds(np.tile(wide, 3)),))
    book.state_width(node, ids, attribute="num_heads")
    if grouped:
        kept = keys if keys is not None else NodeIds(ids[:: heads // shared])
        book.state_width(node, kept, attribute="kv_num_heads")
    book.write(node.outputs[0], (None, None, wide))
    for output, head_ids in zip(node.outputs[1:3], (keys, values), strict=False):
        if output:
            book.write(output, (None, head_ids, None, None))
    count_attention(node, ids, book)


def rotary_heads_coupling(node: Node, book: CouplingRecorder) -> None:
    """Heads are turned alike."""
    rotary_coupling(node, book)


register(
    {
        "Attention": OperatorSpec(packed_attention, packed_coupling, weights=(1, 2)),
        "MultiHeadAttention": OperatorSpec(
            multi_head_attention, partial(heads_coupling, grouped=False), weights=(3,)
        ),
        "RotaryEmbedding": OperatorSpec(rotary_embedding, rotary_heads_coupling),
        "GroupQueryAttention": OperatorSpec(
            group_query_attention, partial(heads_coupling, grouped=True)
        ),
    },
    domain=MICROSOFT,
)

"""Operators of com.microsoft that onnxruntime's optimisers and exporters write: fused activations and products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, NormForm, OperatorSpec, find_spec, register
from spectral_engine.graph.operators.axes import axis_in, follow, meet
from spectral_engine.graph.operators.convolution import convolution, convolution_coupling
from spectral_engine.graph.operators.linear import gemm, gemm_coupling, matmul_coupling
from spectral_engine.graph.operators.normalization import layer_norm_coupling
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

MICROSOFT = "com.microsoft"
Activation = Callable[[Tensor], Tensor]
# By name, made of the parameters that the node lists.
ACTIVATIONS: dict[str, Callable[[list[float]], Activation]] = {
    "Relu": lambda _: torch.relu,
    "Sigmoid": lambda _: torch.sigmoid,
    "Tanh": lambda _: torch.tanh,
    "LeakyRelu": lambda p: lambda x: F.leaky_relu(x, p[0] if p else 0.01),
    "Clip": lambda p: lambda x: x.clamp(p[0], p[1]),
    "HardSigmoid": lambda p: lambda x: (p[0] * x + p[1]).clamp(0, 1),
}


def _activation(node: Node, parameters: list[float]) -> Activation:
    name = node.get("activation", "")
    if not name:
        return lambda x: x
    if name not in ACTIVATIONS:
        raise node.unsupported(f"activation {name!r} is not supported")
    return ACTIVATIONS[name](parameters)


def fused_convolution(node: Node, mode: Mode) -> Function:
    """A convolution, plus a fourth input where there is one, through an activation."""
    convolve = convolution(node, mode)
    activate = _activation(node, node.get("activation_params", []))

    def function(x: Tensor, w: Tensor, bias: Any = None, other: Any = None) -> Tensor:
        y = convolve(x, w, bias)
        return activate(y if other is None else y + other)

    return function


def fused_gemm(node: Node, mode: Mode) -> Function:
    """Gemm through an activation."""
    multiply = gemm(node, mode)
    keys = ("activation_alpha", "activation_beta", "activation_gamma")
    activate = _activation(node, [node.get(key, 0.0) for key in keys if key in node.attributes])
    return lambda a, b, c=None: activate(multiply(a, b, c))


def fused_matmul(node: Node, mode: Mode) -> Function:
    """alpha · A' B', each turned in its last two axes, or its batch axis moved behind the rows."""
    alpha = node.get("alpha", 1.0)
    turned = node.get("transA", 0), node.get("transB", 0)
    moved = node.get("transBatchA", 0), node.get("transBatchB", 0)

    def ready(x: Tensor, side: int) -> Tensor:
        x = x.movedim(0, -2) if moved[side] else x
        return x.transpose(-1, -2) if turned[side] and x.dim() > 1 else x

    def function(a: Tensor, b: Tensor) -> Tensor:
        product = torch.matmul(ready(a, 0), ready(b, 1))
        return product if alpha == 1.0 else alpha * product

    return function


def gelu(node: Node, mode: Mode) -> Function:
    """The exact one."""
    return F.gelu


def fast_gelu(node: Node, mode: Mode) -> Function:
    """The one by tanh, after a bias where there is one."""
    return lambda x, bias=None: F.gelu(x if bias is None else x + bias, approximate="tanh")


def quick_gelu(node: Node, mode: Mode) -> Function:
    """x · sigmoid(alpha · x)."""
    alpha = node.get("alpha", 1.702)
    return lambda x: x * torch.sigmoid(alpha * x)


def bias_gelu(node: Node, mode: Mode) -> Function:
    """The exact one, after a bias."""
    return lambda x, bias: F.gelu(x + bias)


def bias_split_gelu(node: Node, mode: Mode) -> Function:
    """After a bias, the first half of the last axis times the gelu of the second."""

    def function(x: Tensor, bias: Tensor) -> Tensor:
        value, gate = (x + bias).chunk(2, dim=-1)
        return value * F.gelu(gate)

    return function


def bias_add(node: Node, mode: Mode) -> Function:
    """A bias and a skip."""
    return lambda x, bias, skip: x + bias + skip


def skip_layer_normalization(node: Node, mode: Mode) -> Function:
    """The layer norm of a sum; the sum itself is the fourth output."""
    epsilon = node.get("epsilon", 1e-12)
    _refuse_statistics(node)

    def function(x: Tensor, skip: Tensor, gamma: Tensor, beta: Any = None, bias: Any = None) -> Any:
        total = x + skip if bias is None else x + skip + bias
        y = F.layer_norm(total, gamma.shape, gamma, beta, epsilon)
        return (y, None, None, total) if len(node.outputs) > 1 else y

    return function


def skip_simplified(node: Node, mode: Mode) -> Function:
    """The root-mean-square norm of a sum; the sum itself is the fourth output."""
    epsilon = node.get("epsilon", 1e-12)
    _refuse_statistics(node)

    def function(x: Tensor, skip: Tensor, gamma: Tensor, bias: Any = None) -> Any:
        total = x + skip if bias is None else x + skip + bias
        y = F.rms_norm(total, gamma.shape, gamma, epsilon)
        return (y, None, None, total) if len(node.outputs) > 1 else y

    return function


def _refuse_statistics(node: Node) -> None:
    if any(node.outputs[1:3]):
        raise node.unsupported("the outputs of mean and deviation are not supported")


def simplified(node: Node, mode: Mode) -> Function:
    """The root-mean-square norm over all axes from `axis` on."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)

    def function(x: Tensor, scale: Tensor) -> Any:
        over = tuple(range(axis_in(axis, x.dim()), x.dim()))
        y = F.rms_norm(x, x.shape[over[0] :], scale.expand(x.shape[over[0] :]), epsilon)
        if len(node.outputs) == 1:
            return y
        return y, (x.square().mean(over, keepdim=True) + epsilon).rsqrt()

    return function


def embed(node: Node, mode: Mode) -> Function:
    """Words, positions and segments embedded, summed and normalised; the mask's lengths, and the sum."""
    epsilon = node.get("epsilon", 1e-12)

    def function(
        words: Tensor,
        segments: Tensor | None,
        word_table: Tensor,
        position_table: Tensor,
        segment_table: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Any:
        device = word_table.device
        if positions is None:
            positions = torch.arange(words.shape[1], device=device).expand(words.shape)
        total = F.embedding(words.to(device), word_table)
        total = total + F.embedding(positions.to(device), position_table)
        if segments is not None and segment_table is not None:
            total = total + F.embedding(segments.to(device), segment_table)
        y = F.layer_norm(total, gamma.shape, gamma, beta, epsilon)
        none = torch.zeros(len(words), dtype=torch.int32, device=device)
        lengths = none if mask is None else mask.sum(1, dtype=torch.int32)
        return (y, lengths, total) if len(node.outputs) > 1 else y

    return function


def like_onnx(node: Node, mode: Mode) -> Function:
    """Operators that ONNX took over as they were."""
    plain = replace(node, domain="", opset=17)
    return find_spec(plain).build(plain, mode)


def fused_convolution_coupling(node: Node, book: CouplingRecorder) -> None:
    """A convolution; what is added to it meets it."""
    convolution_coupling(node, book)
    output = node.outputs[0]
    if node.has_input(3):
        meet([output, node.input(3)], output, book)
    book.close_transfer(output)


def fused_gemm_coupling(node: Node, book: CouplingRecorder) -> None:
    """Gemm; what follows it comes after its activation."""
    gemm_coupling(node, book)
    book.close_transfer(node.outputs[0])


def fused_matmul_coupling(node: Node, book: CouplingRecorder) -> None:
    """MatMul, with either side turned."""
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        for name in node.inputs:
            book.pin_value(name or "", "has its batch axis moved")
        return
    matmul_coupling(node, book)
    book.close_transfer(node.outputs[0])


def gelu_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every node alone."""
    follow(node, book)


def bias_coupling(node: Node, book: CouplingRecorder) -> None:
    """A bias for each node."""
    meet([name for name in node.inputs if name is not None], node.outputs[0], book)


SKIP_NORM = NormForm(centred=True, scale=2, shift=3, summed=(1, 4), epsilon=1e-12)
SKIP_SIMPLIFIED = NormForm(centred=False, scale=2, shift=None, summed=(1, 3), epsilon=1e-12)


def skip_norm_coupling(form: NormForm, node: Node, book: CouplingRecorder) -> None:
    """A sum, then a norm over those of its nodes that stay."""
    output = node.outputs[0]
    meet([node.input(0), *_given(node, *form.summed)], output, book)
    book.mix_along(node, 0, output, -1, "norm")
    for name in _given(node, form.scale, form.shift):
        book.attach(name, (book.axis(output, -1),))
    if len(node.outputs) > 3 and node.outputs[3]:
        book.pass_on(output, node.outputs[3])


def _given(node: Node, *positions: int | None) -> list[str]:
    """Return the inputs at these positions, without those that are left out."""
    return [node.input(p) for p in positions if p is not None and node.has_input(p)]


def embed_coupling(node: Node, book: CouplingRecorder) -> None:
    """Tables share their columns with one another, and with the norm over those that stay."""
    output = node.outputs[0]
    width = book.fresh(book.shapes[output][-1])
    for position in (2, 3, 4):
        if node.has_input(position):
            rows = book.shapes[node.input(position)][0]
            row_ids = book.fresh_pinned(rows, "is looked up by index")
            book.attach(node.input(position), (row_ids, width))
    for position in (5, 6):
        book.attach(node.input(position), (width,))
    for name in (output, *node.outputs[2:3]):
        book.write(name, (None, None, width))
    book.pin(width, "is normalised together with what is looked up")


SIMPLIFIED = {  # onnxruntime writes it in either domain
    "SimplifiedLayerNormalization": OperatorSpec(
        simplified,
        layer_norm_coupling,
        weights=(1, 2),
        initial={1: 1.0},
        norm=NormForm(centred=False),
    ),
}
register(
    {
        "FusedConv": OperatorSpec(fused_convolution, fused_convolution_coupling, weights=(1, 2)),
        "FusedGemm": OperatorSpec(
            fused_gemm, fused_gemm_coupling, weights=(0, 1, 2), single_weights=True
        ),
        **dict.fromkeys(
            ("FusedMatMul", "TransposeMatMul"),
            OperatorSpec(fused_matmul, fused_matmul_coupling, weights=(0, 1)),
        ),
        "Gelu": OperatorSpec(gelu, gelu_coupling),
        "FastGelu": OperatorSpec(fast_gelu, bias_coupling, weights=(1,)),
        "QuickGelu": OperatorSpec(quick_gelu, gelu_coupling),
        "BiasGelu": OperatorSpec(bias_gelu, bias_coupling, weights=(1,)),
        "BiasSplitGelu": OperatorSpec(bias_split_gelu, weights=(1,)),
        "BiasAdd": OperatorSpec(bias_add, bias_coupling, weights=(1,)),
        "SkipLayerNormalization": OperatorSpec(
            skip_layer_normalization,
            partial(skip_norm_coupling, SKIP_NORM),
            weights=(2, 3, 4),
            initial={2: 1.0, 3: 0.0, 4: 0.0},
            norm=SKIP_NORM,
        ),
        "SkipSimplifiedLayerNormalization": OperatorSpec(
            skip_simplified,
            partial(skip_norm_coupling, SKIP_SIMPLIFIED),
            weights=(2, 3, 4),
            initial={2: 1.0, 3: 0.0},
            norm=SKIP_SIMPLIFIED,
        ),
        **SIMPLIFIED,
        "EmbedLayerNormalization": OperatorSpec(
            embed, embed_coupling, weights=(2, 3, 4, 5, 6), initial={5: 1.0, 6: 0.0}
        ),
        **dict.fromkeys(("Trilu", "GatherND"), OperatorSpec(like_onnx)),
        "Unique": OperatorSpec(like_onnx, in_single=True),
    },
    domain=MICROSOFT,
)
register(SIMPLIFIED)

"""Operators of com.microsoft that onnxruntime's optimisers and exporters write: fused activations and products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operators.axes import follow, meet
from spectral_engine.graph.operators.convolution import convolution, convolution_coupling
from spectral_engine.graph.operators.linear import gemm, gemm_coupling, matmul_coupling
from spectral_engine.graph.operators.normalization import layer_norm_coupling
from spectral_engine.graph.operators.registry import Function, Mode, coupling, operator
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


@operator("FusedConv", domain=MICROSOFT)
def fused_convolution(node: Node, mode: Mode) -> Function:
    """A convolution, plus a fourth input where there is one, through an activation."""
    convolve = convolution(node, mode)
    activate = _activation(node, node.get("activation_params", []))

    def function(x: Tensor, w: Tensor, bias: Any = None, other: Any = None) -> Tensor:
        y = convolve(x, w, bias)
        return activate(y if other is None else y + other)

    return function


@operator("FusedGemm", domain=MICROSOFT)
def fused_gemm(node: Node, mode: Mode) -> Function:
    """Gemm through an activation."""
    multiply = gemm(node, mode)
    keys = ("activation_alpha", "activation_beta", "activation_gamma")
    activate = _activation(node, [node.get(key, 0.0) for key in keys if key in node.attributes])
    return lambda a, b, c=None: activate(multiply(a, b, c))


@operator("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
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


@operator("Gelu", domain=MICROSOFT)
def gelu(node: Node, mode: Mode) -> Function:
    """The exact one."""
    return F.gelu


@operator("FastGelu", domain=MICROSOFT)
def fast_gelu(node: Node, mode: Mode) -> Function:
    """The one by tanh, after a bias where there is one."""
    return lambda x, bias=None: F.gelu(x if bias is None else x + bias, approximate="tanh")


@operator("QuickGelu", domain=MICROSOFT)
def quick_gelu(node: Node, mode: Mode) -> Function:
    """x · sigmoid(alpha · x)."""
    alpha = node.get("alpha", 1.702)
    return lambda x: x * torch.sigmoid(alpha * x)


@operator("BiasGelu", domain=MICROSOFT)
def bias_gelu(node: Node, mode: Mode) -> Function:
    """The exact one, after a bias."""
    return lambda x, bias: F.gelu(x + bias)


@operator("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(node: Node, mode: Mode) -> Function:
    """After a bias, the first half of the last axis times the gelu of the second."""

    def function(x: Tensor, bias: Tensor) -> Tensor:
        value, gate = (x + bias).chunk(2, dim=-1)
        return value * F.gelu(gate)

    return function


@operator("BiasAdd", domain=MICROSOFT)
def bias_add(node: Node, mode: Mode) -> Function:
    """A bias and a skip."""
    return lambda x, bias, skip: x + bias + skip


@operator("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(node: Node, mode: Mode) -> Function:
    """The layer norm of a sum; the sum itself is the fourth output."""
    epsilon = node.get("epsilon", 1e-12)
    _refuse_statistics(node)

    def function(x: Tensor, skip: Tensor, gamma: Tensor, beta: Any = None, bias: Any = None) -> Any:
        total = x + skip if bias is None else x + skip + bias
        y = F.layer_norm(total, gamma.shape, gamma, beta, epsilon)
        return (y, None, None, total) if len(node.outputs) > 1 else y

    return function


@operator("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
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


@operator("SimplifiedLayerNormalization", domain=MICROSOFT)
@operator("SimplifiedLayerNormalization")
def simplified(node: Node, mode: Mode) -> Function:
    """The root-mean-square norm over all axes from `axis` on."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)

    def function(x: Tensor, scale: Tensor) -> Any:
        over = tuple(range(axis % x.dim(), x.dim()))
        y = F.rms_norm(x, x.shape[over[0] :], scale.expand(x.shape[over[0] :]), epsilon)
        if len(node.outputs) == 1:
            return y
        return y, (x.square().mean(over, keepdim=True) + epsilon).rsqrt()

    return function


@operator("EmbedLayerNormalization", domain=MICROSOFT)
def embed(node: Node, mode: Mode) -> Function:
    """Words, places and segments embedded, summed and normalised; the mask's lengths, and the sum."""
    epsilon = node.get("epsilon", 1e-12)

    def function(
        words: Tensor,
        segments: Tensor | None,
        word_table: Tensor,
        place_table: Tensor,
        segment_table: Tensor | None,
        gamma: Tensor,
        beta: Tensor,
        mask: Tensor | None = None,
        places: Tensor | None = None,
    ) -> Any:
        device = word_table.device
        if places is None:
            places = torch.arange(words.shape[1], device=device).expand(words.shape)
        total = F.embedding(words.to(device), word_table)
        total = total + F.embedding(places.to(device), place_table)
        if segments is not None and segment_table is not None:
            total = total + F.embedding(segments.to(device), segment_table)
        y = F.layer_norm(total, gamma.shape, gamma, beta, epsilon)
        none = torch.zeros(len(words), dtype=torch.int32, device=device)
        lengths = none if mask is None else mask.sum(1, dtype=torch.int32)
        return (y, lengths, total) if len(node.outputs) > 1 else y

    return function


@operator("Trilu", "GatherND", "Unique", domain=MICROSOFT)
def like_onnx(node: Node, mode: Mode) -> Function:
    """Operators that ONNX took over as they were."""
    from spectral_engine.graph.operators.registry import find_build

    plain = replace(node, domain="", opset=17)
    return find_build(plain)(plain, mode)


@coupling("FusedConv", domain=MICROSOFT)
def fused_convolution_coupling(node: Node, book: CouplingRecorder) -> None:
    """A convolution; what is added to it meets it."""
    convolution_coupling(node, book)
    output = node.outputs[0]
    if node.has_input(3):
        meet([output, node.input(3)], output, book)
    book.close_transfer(output)


@coupling("FusedGemm", domain=MICROSOFT)
def fused_gemm_coupling(node: Node, book: CouplingRecorder) -> None:
    """Gemm; what follows it comes after its activation."""
    gemm_coupling(node, book)
    book.close_transfer(node.outputs[0])


@coupling("FusedMatMul", "TransposeMatMul", domain=MICROSOFT)
def fused_matmul_coupling(node: Node, book: CouplingRecorder) -> None:
    """MatMul, with either side turned."""
    if node.get("transBatchA", 0) or node.get("transBatchB", 0):
        for name in node.inputs:
            book.pin_value(name or "", "has its batch axis moved")
        return
    matmul_coupling(node, book)
    book.close_transfer(node.outputs[0])


@coupling("Gelu", "QuickGelu", domain=MICROSOFT)
def gelu_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every node alone."""
    follow(node, book)


@coupling("FastGelu", "BiasGelu", "BiasAdd", domain=MICROSOFT)
def bias_coupling(node: Node, book: CouplingRecorder) -> None:
    """A bias for each node."""
    meet([name for name in node.inputs if name is not None], node.outputs[0], book)


@coupling("SkipLayerNormalization", "SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_norm_coupling(node: Node, book: CouplingRecorder) -> None:
    """A sum, then a norm over those of its nodes that stay."""
    summed = [node.input(0), node.input(1)]
    scales = [node.input(2)]
    bias = 4 if node.op_type == "SkipLayerNormalization" else 3
    if node.has_input(bias):
        summed.append(node.input(bias))
    if bias == 4 and node.has_input(3):
        scales.append(node.input(3))
    output = node.outputs[0]
    meet(summed, output, book)
    book.mix_along(node, 0, output, -1, "norm")
    for name in scales:
        book.attach(name, (book.axis(output, -1),))
    if len(node.outputs) > 3 and node.outputs[3]:
        book.pass_on(output, node.outputs[3])


@coupling("SimplifiedLayerNormalization", domain=MICROSOFT)
@coupling("SimplifiedLayerNormalization")
def simplified_coupling(node: Node, book: CouplingRecorder) -> None:
    """The norm of the nodes that stay."""
    layer_norm_coupling(node, book)


@coupling("EmbedLayerNormalization", domain=MICROSOFT)
def embed_coupling(node: Node, book: CouplingRecorder) -> None:
    """Tables share their columns with one another, and with the norm over those that stay."""
    output = node.outputs[0]
    width = book.fresh(book.shapes[output][-1])
    for position in (2, 3, 4):
        if node.has_input(position):
            rows = book.shapes[node.input(position)][0]
            held = book.fresh_pinned(rows, "is looked up by index")
            book.attach(node.input(position), (held, width))
    for position in (5, 6):
        book.attach(node.input(position), (width,))
    for name in (output, *node.outputs[2:3]):
        book.write(name, (None, None, width))
    book.pin(width, "is normalised together with what is looked up")

"""Activations that look along an axis, or at two tensors, and those that few exporters write."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.activation import softmax_coupling
from spectral_engine.graph.operators.axes import axis_in, follow, meet
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def hardmax(node: Node, mode: Mode) -> Function:
    """1 at the first largest, else 0: along one axis since opset 13, before it over all axes from `axis` on."""
    modern = node.opset >= 13
    axis = node.get("axis", -1 if modern else 1)

    def function(x: Tensor) -> Tensor:
        flat = x if modern else x.flatten(axis_in(axis, x.dim()))
        dim = axis if modern else axis_in(axis, x.dim())
        one_hot = torch.zeros_like(flat).scatter(dim, flat.argmax(dim, keepdim=True), 1)
        return one_hot.view(x.shape)

    return function


def shrink(node: Node, mode: Mode) -> Function:
    """Zero within ±lambd; outside, nearer to zero by `bias`."""
    threshold, bias = node.get("lambd", 0.5), node.get("bias", 0.0)

    def function(x: Tensor) -> Tensor:
        nothing = torch.zeros_like(x)
        below, above = (x + bias).to(x.dtype), (x - bias).to(x.dtype)
        return torch.where(x < -threshold, below, torch.where(x > threshold, above, nothing))

    return function


def swiglu(node: Node, mode: Mode) -> Function:
    """The second tensor, gated by the first's swish."""
    alpha = node.get("alpha", 1.0)
    if alpha == 1.0:
        return lambda gate, value: F.silu(gate) * value
    return lambda gate, value: gate * torch.sigmoid(alpha * gate) * value


def lp_normalization(node: Node, mode: Mode) -> Function:
    """Divided by the norm along an axis; zeros stay zeros."""
    axis, p = node.get("axis", -1), node.get("p", 2)

    def function(x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, p, dim=axis, keepdim=True)
        return x / torch.where(norm == 0, torch.ones_like(norm), norm)

    return function


def local_response(node: Node, mode: Mode) -> Function:
    """Divided by a power of the neighbouring channels' squares."""
    alpha, beta, bias = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    size = node.get("size", 1)
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2

    def function(x: Tensor) -> Tensor:
        squares = F.pad(x.square().flatten(2), (0, 0, before, after))
        total = squares.unfold(1, size, 1).sum(-1).view(x.shape)
        return x / torch.pow(bias + alpha / size * total, beta)

    return function


def mean_variance(node: Node, mode: Mode) -> Function:
    """Zero mean and unit deviation over `axes`."""
    axes = node.get("axes", [0, 2, 3])

    def function(x: Tensor) -> Tensor:
        centred = x - x.mean(axes, keepdim=True)
        return centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9)

    return function


def cumulative(node: Node, mode: Mode) -> Function:
    """Running sums or products along an axis, from either end, each with or without its own element."""
    run = torch.cumsum if node.op_type == "CumSum" else torch.cumprod
    neutral = 0 if node.op_type == "CumSum" else 1
    exclusive, reverse = bool(node.get("exclusive", 0)), bool(node.get("reverse", 0))

    def function(x: Tensor, axis: Tensor) -> Tensor:
        dim = int(axis)
        x = x.flip(dim) if reverse else x
        if exclusive:
            first = torch.full_like(x.narrow(dim, 0, min(1, x.shape[dim])), neutral)
            x = torch.cat([first, x.narrow(dim, 0, max(0, x.shape[dim] - 1))], dim)
        running: Tensor = run(x, dim, dtype=x.dtype)
        return running.flip(dim) if reverse else running

    return function


def shrink_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every node alone."""
    follow(node, book)


def swiglu_coupling(node: Node, book: CouplingRecorder) -> None:
    """A gate for each node."""
    meet([node.input(0), node.input(1)], node.outputs[0], book)


def running_coupling(node: Node, book: CouplingRecorder) -> None:
    """Nodes along the axis share a norm or a running sum: those that go are kept out of it."""
    source, rank = node.input(0), len(book.shapes[node.input(0)])
    stated = node.constant_ints(1) if node.op_type == "CumSum" else [node.get("axis", -1)]
    if stated is None:
        book.pin_value(source, "is summed along an axis that is computed")
    else:
        book.mix(node, 0, stated[0] % rank, "sum")
    book.pass_on(source, node.outputs[0])


def lrn_coupling(node: Node, book: CouplingRecorder) -> None:
    """Neighbouring channels damp one another: where they stand matters."""
    book.pin(book.axis(node.input(0), 1), "is damped by its neighbours")
    book.pass_on(node.input(0), node.outputs[0])


register(
    {
        "Hardmax": OperatorSpec(hardmax, softmax_coupling),
        "Shrink": OperatorSpec(shrink, shrink_coupling),
        "SwiGLU": OperatorSpec(swiglu, swiglu_coupling),
        "LpNormalization": OperatorSpec(lp_normalization, running_coupling),
        "LRN": OperatorSpec(local_response, lrn_coupling),
        "MeanVarianceNormalization": OperatorSpec(mean_variance),
        "CumSum": OperatorSpec(cumulative, running_coupling, read_by_python=(1,)),
        "CumProd": OperatorSpec(cumulative, read_by_python=(1,)),
    },
)

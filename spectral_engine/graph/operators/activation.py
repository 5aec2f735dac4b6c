"""Activations: a function of each node alone, and the softmaxes, which look along an axis."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import follow, meet, normal
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Softplus": F.softplus,
    "Softsign": F.softsign,
    "Mish": F.mish,
    "HardSwish": F.hardswish,
}


def plain(node: Node, mode: Mode) -> Function:
    """An activation without parameters."""
    return PLAIN[node.op_type]


def leaky_relu(node: Node, mode: Mode) -> Function:
    """Slope `alpha` below zero."""
    alpha = node.get("alpha", 0.01)
    return lambda x: F.leaky_relu(x, alpha)


def prelu(node: Node, mode: Mode) -> Function:
    """A slope below zero that is learned, broadcast from the right."""
    return lambda x, slope: torch.where(x < 0, x * slope, x)


def elu(node: Node, mode: Mode) -> Function:
    """alpha · (exp(x) − 1) below zero."""
    alpha = node.get("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


def celu(node: Node, mode: Mode) -> Function:
    """alpha · (exp(x/alpha) − 1) below zero."""
    alpha = node.get("alpha", 1.0)
    return lambda x: F.celu(x, alpha)


def selu(node: Node, mode: Mode) -> Function:
    """Elu, scaled by gamma."""
    alpha, gamma = (
        node.get("alpha", 1.67326319217681884765625),
        node.get("gamma", 1.05070102214813232421875),
    )
    return lambda x: gamma * F.elu(x, alpha)


def gelu(node: Node, mode: Mode) -> Function:
    """Exact, or by tanh where the node says so."""
    approximate = node.get("approximate", "none")
    return lambda x: F.gelu(x, approximate=approximate)


def hard_sigmoid(node: Node, mode: Mode) -> Function:
    """max(0, min(1, alpha · x + beta))."""
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0.0, 1.0)


def thresholded_relu(node: Node, mode: Mode) -> Function:
    """Zero up to alpha."""
    alpha = node.get("alpha", 1.0)
    return lambda x: torch.where(x > alpha, x, torch.zeros_like(x))


def swish(node: Node, mode: Mode) -> Function:
    """x · sigmoid(alpha · x)."""
    alpha = node.get("alpha", 1.0)
    return lambda x: x * torch.sigmoid(alpha * x)


def softmax(node: Node, mode: Mode) -> Function:
    """Along one axis since opset 13; before it, over all axes from `axis` on."""
    squash = torch.softmax if node.op_type == "Softmax" else torch.log_softmax
    if node.opset >= 13:
        axis = node.get("axis", -1)
        return lambda x: squash(x, dim=axis)
    first = node.get("axis", 1)

    def flattened(x: Tensor) -> Tensor:
        start = first % x.dim()
        return squash(x.flatten(start), dim=start).view(x.shape)

    return flattened


def activation_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every node alone."""
    follow(node, book)


def prelu_coupling(node: Node, book: CouplingRecorder) -> None:
    """A slope for each node."""
    meet([node.input(0), node.input(1)], node.outputs[0], book)


def softmax_coupling(node: Node, book: CouplingRecorder) -> None:
    """Nodes along the axis share one sum: those that go are kept out of it."""
    rank = len(book.shapes[node.input(0)])
    first = normal(node.get("axis", -1 if node.opset >= 13 else 1), rank)
    for axis in [first] if node.opset >= 13 else range(first, rank):
        book.mix(node, 0, axis, "lowest")
    book.pass_on(node.input(0), node.outputs[0])


register(
    {
        **dict.fromkeys(PLAIN, OperatorSpec(plain, activation_coupling)),
        "Sigmoid": OperatorSpec(plain, activation_coupling, arity=1, squashes="yes or no"),
        "LeakyRelu": OperatorSpec(leaky_relu, activation_coupling),
        "PRelu": OperatorSpec(prelu, prelu_coupling, weights=(1,), single_weights=True),
        "Elu": OperatorSpec(elu, activation_coupling),
        "Celu": OperatorSpec(celu, activation_coupling),
        "Selu": OperatorSpec(selu, activation_coupling),
        "Gelu": OperatorSpec(gelu, activation_coupling),
        "HardSigmoid": OperatorSpec(hard_sigmoid, activation_coupling),
        "ThresholdedRelu": OperatorSpec(thresholded_relu, activation_coupling),
        "Swish": OperatorSpec(swish, activation_coupling),
        "Softmax": OperatorSpec(softmax, softmax_coupling, arity=1, squashes="classes"),
        "LogSoftmax": OperatorSpec(softmax, softmax_coupling, squashes="classes"),
    },
)

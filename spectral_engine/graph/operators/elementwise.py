"""Elementwise arithmetic, comparison and choice, with ONNX's broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.id_book import IdBook
from spectral_engine.graph.node import Node
from spectral_engine.graph.operators.axes import follow, meet
from spectral_engine.graph.operators.registry import Function, Mode, coupling, operator

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs,
    "Neg": torch.neg,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Round": torch.round,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Erf": torch.erf,
    "Not": torch.logical_not,
    "IsNaN": torch.isnan,
}
BINARY: dict[str, Callable[[Any, Any], Tensor]] = {
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Equal": torch.eq,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}
FOLDS: dict[str, Callable[[Any, Any], Tensor]] = {
    "Sum": torch.add,
    "Max": torch.maximum,
    "Min": torch.minimum,
}


@operator(*UNARY)
def unary(node: Node, mode: Mode) -> Function:
    """One tensor in, one of the same shape out."""
    return UNARY[node.op_type]


@operator(*BINARY)
def binary(node: Node, mode: Mode) -> Function:
    """Two tensors, broadcast against each other."""
    return BINARY[node.op_type]


@operator("Div")
def divide(node: Node, mode: Mode) -> Function:
    """Integers are divided towards zero, as in C."""

    def function(left: Tensor, right: Tensor) -> Tensor:
        if left.is_floating_point():
            return left / right
        return torch.div(left, right, rounding_mode="trunc")

    return function


@operator("Pow")
def power(node: Node, mode: Mode) -> Function:
    """The result has the base's type."""
    return lambda base, exponent: torch.pow(base, exponent.to(base.dtype)).to(base.dtype)


@operator(*FOLDS)
def fold(node: Node, mode: Mode) -> Function:
    """Any number of tensors."""
    combine = FOLDS[node.op_type]
    return lambda *values: reduce(combine, values)


@operator("Mean")
def mean(node: Node, mode: Mode) -> Function:
    """The mean of any number of tensors."""
    return lambda *values: reduce(torch.add, values) / len(values)


@operator("Where")
def where(node: Node, mode: Mode) -> Function:
    """Choose by a condition."""
    return torch.where


@operator("Clip")
def clip(node: Node, mode: Mode) -> Function:
    """Limits are attributes before opset 11, inputs since; either may be left out."""
    low, high = node.get("min", None), node.get("max", None)

    def function(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
        least = low if least is None else least
        most = high if most is None else most
        if isinstance(least, Tensor) or isinstance(most, Tensor):
            return _clip_to_tensors(x, least, most)
        return x if least is None and most is None else torch.clamp(x, least, most)

    return function


def _clip_to_tensors(x: Tensor, least: Any, most: Any) -> Tensor:
    x = x if least is None else torch.maximum(x, torch.as_tensor(least, dtype=x.dtype))
    return x if most is None else torch.minimum(x, torch.as_tensor(most, dtype=x.dtype))


@coupling(*UNARY, "Clip")
def unary_coupling(node: Node, book: IdBook) -> None:
    """Every node alone."""
    follow(node, book)


@coupling(*(BINARY.keys() - {"Add"}), *FOLDS, "Div", "Pow", "Mean", "Where", "Mod", "BitShift")
def elementwise_coupling(node: Node, book: IdBook) -> None:
    """Operands meet node by node."""
    meet([name for name in node.inputs if name is not None], node.outputs[0], book)


@coupling("Add")
def add_coupling(node: Node, book: IdBook) -> None:
    """Operands meet; a constant of one entry per node, added directly after a transfer, is its bias."""
    elementwise_coupling(node, book)
    for value, constant in ((0, 1), (1, 0)):
        transfer = book.transfer_before(node.input(value))
        if transfer is None or transfer.bias is not None:
            continue
        name = node.input(constant)
        nodes = book.shapes[transfer.weight][transfer.out_axis]
        ids = book.axes.get(name, ()) if name in book.float_initializers else ()
        held = [found for found in ids if found is not None]
        if len(held) == 1 and len(held[0]) == nodes and _entries(name, book) == nodes:
            book.extend_transfer(node.input(value), bias=name, output=node.outputs[0])
            return


def _entries(name: str, book: IdBook) -> int:
    return prod(book.shapes[name])

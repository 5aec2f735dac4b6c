"""Elementwise arithmetic, comparison and choice, with ONNX's broadcasting."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.operator_spec import Mode, OperatorSpec, register
from spectral_engine.graph.operators.axes import choose_origins, follow, meet, scale_origins
from spectral_engine.graph.operators.fused_dense import DENSE
from spectral_engine.graph.operators.fused_gelu import GELU
from spectral_engine.graph.operators.unsigned import WIDE, from_numpy, with_numpy
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node

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
    "Tan": torch.tan,
    "Asin": torch.asin,
    "Acos": torch.acos,
    "Atan": torch.atan,
    "Sinh": torch.sinh,
    "Cosh": torch.cosh,
    "Asinh": torch.asinh,
    "Acosh": torch.acosh,
    "Atanh": torch.atanh,
    "Det": torch.linalg.det,
}
BINARY: dict[str, Callable[..., Any]] = {
    "Add": with_numpy(torch.add, np.add),
    "Sub": with_numpy(torch.sub, np.subtract),
    "Mul": with_numpy(torch.mul, np.multiply),
    "Equal": with_numpy(torch.eq, np.equal),
    "Greater": with_numpy(torch.gt, np.greater),
    "GreaterOrEqual": with_numpy(torch.ge, np.greater_equal),
    "Less": with_numpy(torch.lt, np.less),
    "LessOrEqual": with_numpy(torch.le, np.less_equal),
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "BitwiseAnd": with_numpy(torch.bitwise_and, np.bitwise_and),
    "BitwiseOr": with_numpy(torch.bitwise_or, np.bitwise_or),
    "BitwiseXor": with_numpy(torch.bitwise_xor, np.bitwise_xor),
}
FOLDS: dict[str, Callable[[Any, Any], Tensor]] = {
    "Sum": torch.add,
    "Max": with_numpy(torch.maximum, np.maximum),
    "Min": with_numpy(torch.minimum, np.minimum),
}


def unary(node: Node, mode: Mode) -> Function:
    """One tensor in, one of the same shape out."""
    return UNARY[node.op_type]


def binary(node: Node, mode: Mode) -> Function:
    """Two tensors, broadcast against each other."""
    return BINARY[node.op_type]


def divide(node: Node, mode: Mode) -> Function:
    """Integers are divided towards zero, as in C."""

    def function(left: Tensor, right: Tensor) -> Tensor:
        if left.is_floating_point():
            return left / right
        if left.dtype in WIDE:
            return from_numpy(np.floor_divide, left, right)
        return torch.div(left, right, rounding_mode="trunc")

    return function


def power(node: Node, mode: Mode) -> Function:
    """The result has the base's type."""

    def function(base: Tensor, exponent: Tensor) -> Tensor:
        if base.is_floating_point():
            return torch.pow(base, exponent.to(base.dtype))
        if exponent.is_floating_point():
            return torch.pow(base.double(), exponent.double()).to(base.dtype)
        return torch.pow(base, exponent.to(base.dtype))

    return function


def modulo(node: Node, mode: Mode) -> Function:
    """With the divisor's sign, or with the dividend's where `fmod` is 1."""
    if node.get("fmod", 0):
        return with_numpy(torch.fmod, np.fmod)
    return with_numpy(torch.remainder, np.mod)


def bitwise_not(node: Node, mode: Mode) -> Function:
    """All bits turned."""
    return with_numpy(torch.bitwise_not, np.bitwise_not)


def bit_shift(node: Node, mode: Mode) -> Function:
    """Left or right; only unsigned integers."""
    if node.get("direction", "") == "LEFT":
        return with_numpy(torch.bitwise_left_shift, np.left_shift)
    return with_numpy(torch.bitwise_right_shift, np.right_shift)


def is_infinite(node: Node, mode: Mode) -> Function:
    """Of either sign, or of one where the node says so."""
    below, above = bool(node.get("detect_negative", 1)), bool(node.get("detect_positive", 1))

    def function(x: Tensor) -> Tensor:
        infinite = torch.zeros_like(x, dtype=torch.bool)
        infinite = infinite | torch.isneginf(x) if below else infinite
        return infinite | torch.isposinf(x) if above else infinite

    return function


def fold(node: Node, mode: Mode) -> Function:
    """Any number of tensors."""
    combine = FOLDS[node.op_type]
    return lambda *values: reduce(combine, values)


def mean(node: Node, mode: Mode) -> Function:
    """The mean of any number of tensors."""
    return lambda *values: reduce(torch.add, values) / len(values)


def where(node: Node, mode: Mode) -> Function:
    """Choose by a condition."""
    return torch.where


def clip(node: Node, mode: Mode) -> Function:
    """Limits are attributes before opset 11, inputs since; either may be left out."""
    low, high = node.get("min", None), node.get("max", None)

    def function(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
        least = low if least is None else least
        most = high if most is None else most
        if least is None and most is None:
            return x
        if x.dtype in WIDE:
            return from_numpy(np.clip, x, *_limits(x, least, most))
        return torch.clamp(x, least, most)

    return function


def _limits(x: Tensor, least: Tensor | None, most: Tensor | None) -> tuple[Tensor, Tensor]:
    range_ = torch.iinfo(x.dtype)
    low = torch.tensor(range_.min, dtype=x.dtype) if least is None else least
    return low, torch.tensor(range_.max, dtype=x.dtype) if most is None else most


def unary_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every node alone."""
    follow(node, book)


def elementwise_coupling(node: Node, book: CouplingRecorder) -> None:
    """Operands meet node by node."""
    meet([name for name in node.inputs if name is not None], node.outputs[0], book)


def product_coupling(node: Node, book: CouplingRecorder) -> None:
    """Operands meet; a number times one of the run, as heads × batch, is still that number."""
    scale_origins(node, book)
    elementwise_coupling(node, book)


def choice_coupling(node: Node, book: CouplingRecorder) -> None:
    """Operands meet; a number that was chosen is still the one on its side."""
    choose_origins(node, book)
    elementwise_coupling(node, book)


def add_coupling(node: Node, book: CouplingRecorder) -> None:
    """Operands meet; a constant of one entry per node, added directly after a transfer, is its bias."""
    elementwise_coupling(node, book)
    for value, constant in ((0, 1), (1, 0)):
        transfer = book.transfer_before(node.input(value))
        if transfer is None or transfer.bias is not None:
            continue
        name = node.input(constant)
        nodes = book.shapes[transfer.weight][transfer.out_axis]
        ids = book.axes.get(name, ()) if name in book.float_initializers else ()
        coupled = [axis_ids for axis_ids in ids if axis_ids is not None]
        if len(coupled) == 1 and len(coupled[0]) == nodes and _entries(name, book) == nodes:
            book.extend_transfer(node.input(value), bias=name, output=node.outputs[0])
            return


def _entries(name: str, book: CouplingRecorder) -> int:
    return prod(book.shapes[name])


register(
    {
        **dict.fromkeys(UNARY, OperatorSpec(unary, unary_coupling)),
        "Erf": OperatorSpec(unary, unary_coupling, arity=1),
        "Det": OperatorSpec(unary, in_single=True),
        **dict.fromkeys(BINARY, OperatorSpec(binary, elementwise_coupling)),
        "Add": OperatorSpec(binary, add_coupling, weights=(0, 1), arity=2, fusion=DENSE),
        "Sub": OperatorSpec(binary, elementwise_coupling, weights=(0, 1)),
        "Mul": OperatorSpec(binary, product_coupling, weights=(0, 1), arity=2, fusion=GELU),
        "Div": OperatorSpec(divide, elementwise_coupling, weights=(0, 1), arity=2),
        "Pow": OperatorSpec(power, elementwise_coupling),
        "Mod": OperatorSpec(modulo, elementwise_coupling),
        "BitwiseNot": OperatorSpec(bitwise_not, unary_coupling),
        "BitShift": OperatorSpec(bit_shift, elementwise_coupling),
        "IsInf": OperatorSpec(is_infinite, unary_coupling),
        **dict.fromkeys(FOLDS, OperatorSpec(fold, elementwise_coupling)),
        "Mean": OperatorSpec(mean, elementwise_coupling),
        "Where": OperatorSpec(where, choice_coupling),
        "Clip": OperatorSpec(clip, unary_coupling),
    },
)

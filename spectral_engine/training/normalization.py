"""Batch normalisation for the time of the training: put after transfers that an exporter folded it into.

Exporters fold a BatchNormalization into the weights before it, and the net without it trains far worse. Here it
comes back: γ and β are the deviation and the mean of the transfer's output on training rows, so that nothing changes
at the start; γ is the node's eigenvalue from then on (a λ before a normalisation would cancel). After the training it
is folded again (Jacob et al., CVPR 2018, eq. 14), and the graph is the one that came in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor

from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import copy_model
from spectral_engine.onnx_io.initializers import add_initializer
from spectral_engine.training.feed import Feed

PREFIX = "eigenpress.norm."
EPSILON, MOMENTUM = 1e-5, 0.9
CALIBRATION_ROWS = 1024
PARTS = ("scale", "bias", "mean", "variance")


@dataclass(frozen=True)
class Normalized:
    """A model with normalisations put in, and its coupling: the groups are those of the original."""

    model: ir.Model
    coupling: Coupling


def normalize(module: OnnxModule, coupling: Coupling, feed: Feed) -> Normalized | None:
    """Return a copy of the model with a normalisation after every transfer that can take one, or None."""
    chosen = [transfer for transfer in coupling.transfers if _takes_one(module, coupling, transfer)]
    uses = Counter(transfer.weight for transfer in coupling.transfers)
    chosen = [transfer for transfer in chosen if uses[transfer.weight] == 1]
    if not chosen:
        return None
    moments = _moments(module, chosen, feed)
    model = copy_model(module.model)
    for transfer in chosen:
        _insert(model, transfer, *moments[transfer.output])
    normalized = couple(OnnxModule(model, module.rows).leave(module.untaken), feed.split.row_shapes)
    same = normalized.count == coupling.count and all(
        _equal(normalized.axes.get(name), axes)
        for name, axes in coupling.axes.items()
        if name in module.model.graph.initializers
    )
    return Normalized(model, normalized) if same else None


def fold(model: ir.Model) -> None:
    """Fold every normalisation that `normalize` put in back into the weights before it."""
    for node in list(model.graph):
        if node.op_type != "BatchNormalization":
            continue
        scale = node.inputs[1]
        if scale is None or not (scale.name or "").startswith(PREFIX):
            continue
        _fold_one(model, node)


def folded_into(coupling: Coupling) -> set[str]:
    """Return the weights and biases into which `fold` folds a normalisation."""
    return {
        name
        for transfer in coupling.transfers
        if (transfer.norm_scale or "").startswith(PREFIX)
        for name in (transfer.weight, transfer.bias)
        if name is not None
    }


def _takes_one(module: OnnxModule, coupling: Coupling, transfer: Transfer) -> bool:
    """Say whether a normalisation after this transfer can be folded back: a convolution with a bias of its own."""
    ids = coupling.axes[transfer.weight][transfer.out_axis]
    return (
        transfer.kind in KINDS
        and transfer.norm_scale is None
        and transfer.bias is not None
        and transfer.bias in module.trainable
        and transfer.weight in module.trainable
        and ids is not None
        and not coupling.pinned[ids].any()
        and _node_of(module.model, transfer) is not None
    )


KINDS: tuple[str, ...] = ("conv",)


def _node_of(model: ir.Model, transfer: Transfer) -> ir.Node | None:
    """Return the Conv or Gemm that holds weight and bias as its own inputs."""
    for node in model.graph:
        names = [value.name if value is not None else None for value in node.inputs]
        if node.op_type in {"Conv", "Gemm"} and names[1:] == [transfer.weight, transfer.bias]:
            plain = node.op_type == "Conv" or _is_plain(node)
            return node if plain and node.outputs[0].name == transfer.output else None
    return None


def _is_plain(node: ir.Node) -> bool:
    """Say whether a Gemm is x Wᵀ + b or x W + b, with no factors."""
    factors = [node.attributes.get(name) for name in ("alpha", "beta")]
    return all(factor is None or factor.as_float() == 1.0 for factor in factors)


@torch.no_grad()
def _moments(
    module: OnnxModule, transfers: list[Transfer], feed: Feed
) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance of each transfer's output [nodes] over training rows and positions."""
    watch = {transfer.output for transfer in transfers}
    sums: dict[str, Tensor] = {}
    for batch in feed.in_order(CALIBRATION_ROWS):
        values = module.compute(batch.inputs, watch=watch)
        for name in watch:
            seen = values[name].transpose(0, 1).flatten(1).double()
            part = torch.stack(
                [seen.sum(1), seen.square().sum(1), torch.full_like(seen[:, 0], seen.shape[1])]
            )
            sums[name] = sums[name] + part if name in sums else part
    moments = {}
    for name, (total, squares, count) in sums.items():
        mean = total / count
        moments[name] = (mean.float(), (squares / count - mean**2).clamp_min(0).float())
    return moments


def _insert(model: ir.Model, transfer: Transfer, mean: Tensor, variance: Tensor) -> None:
    node = _node_of(model, transfer)
    if node is None:
        raise ValueError(f"{transfer.name} is gone")
    raw = node.outputs[0]
    values = [(variance + EPSILON).sqrt(), mean, mean, variance]
    inputs = [
        add_initializer(
            model, f"{PREFIX}{transfer.name}.{part}", value.cpu().numpy(), ir.DataType.FLOAT
        )
        for part, value in zip(PARTS, values, strict=True)
    ]
    out = ir.Value(name=raw.name, type=raw.type, shape=raw.shape)
    norm = ir.node(
        "BatchNormalization",
        [raw, *inputs],
        attributes={"epsilon": _as_stored(EPSILON), "momentum": _as_stored(MOMENTUM)},
        outputs=[out],
        name=f"{PREFIX}{transfer.name}",
    )
    raw.replace_all_uses_with(out)
    norm.replace_input_with(0, raw)
    raw.name = f"{PREFIX}{transfer.name}.raw"
    model.graph.insert_after(node, norm)


def _as_stored(number: float) -> float:
    """Return an attribute as a file holds it: what a graph computes does not depend on whether it has been in one."""
    return float(np.float32(number))


def _fold_one(model: ir.Model, norm: ir.Node) -> None:
    raw, *parts = norm.inputs
    node = None if raw is None else raw.producer()
    if raw is None or node is None:
        raise ValueError(f"{norm.name} follows no transfer")
    scale, offset, mean, variance = (_array(value) for value in parts)
    weight, bias = node.inputs[1], node.inputs[2]
    if weight is None or bias is None:
        raise ValueError(f"{node.name} has no bias")
    gain = scale / np.sqrt(variance + EPSILON)
    rows_first = node.op_type == "Conv" or bool(
        (flag := node.attributes.get("transB")) is not None and flag.as_int()
    )
    axis = 0 if rows_first else 1
    shape = [1] * len(_array(weight).shape)
    shape[axis] = -1
    _set(weight, _array(weight) * gain.reshape(shape))
    _set(bias, (_array(bias) - mean) * gain + offset)
    name = norm.outputs[0].name
    norm.outputs[0].replace_all_uses_with(raw)
    model.graph.remove(norm, safe=True)
    raw.name = name
    for value in parts:
        if value is not None and value.name is not None:
            del model.graph.initializers[value.name]


def _array(value: ir.Value | None) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if value is None or value.const_value is None:
        raise ValueError("a normalisation's input is no constant")
    return value.const_value.numpy().astype(np.float64)


def _set(value: ir.Value, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    kind = value.dtype or ir.DataType.FLOAT
    value.const_value = ir.Tensor(array.astype(kind.numpy()), dtype=kind, name=value.name)


def _equal(given: object, axes: object) -> bool:
    if not isinstance(given, tuple) or not isinstance(axes, tuple) or len(given) != len(axes):
        return False
    return all(
        (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
        for a, b in zip(given, axes, strict=True)
    )

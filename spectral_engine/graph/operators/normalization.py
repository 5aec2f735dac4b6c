"""Normalisations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spectral_engine.graph.coupling_recorder import CouplingRecorder
from spectral_engine.graph.ids import NodeIds
from spectral_engine.graph.operator_spec import Mode, NormForm, OperatorSpec, register
from spectral_engine.graph.operators.axes import axis_in, normal, space_of
from spectral_engine.graph.operators.whole_batch import normalize_whole_batch
from spectral_engine.graph.step import Function
from spectral_engine.onnx_io.node import Node


def batch_normalization(node: Node, mode: Mode) -> Function:
    """With the stored statistics; while a module trains, with the batch's, and the stored ones follow.

    ONNX's momentum is the share that the stored value keeps, torch's the share that the batch gives.
    """
    if node.get("training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        raise node.unsupported("training outputs are not supported: export the model for inference")
    if node.get("spatial", 1) != 1:
        raise node.unsupported("spatial=0 is not supported")
    epsilon, momentum = node.get("epsilon", 1e-5), 1.0 - node.get("momentum", 0.9)

    def function(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        training = mode.training and x.shape[0] > 1
        # Statistics are followed, not trained: torch updates them in place, once for each batch.
        share = 0.0 if mode.recomputing else momentum
        running = mean.detach(), variance.detach()
        if mode.training and mode.add_up is not None:
            return normalize_whole_batch(x, running, scale, bias, share, epsilon, mode.add_up)
        return F.batch_norm(x, *running, scale, bias, training, share, epsilon)

    return function


def instance_normalization(node: Node, mode: Mode) -> Function:
    """Each sample's channels by their own statistics."""
    epsilon = node.get("epsilon", 1e-5)
    return lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def layer_normalization(node: Node, mode: Mode) -> Function:
    """Over all axes from `axis` on; its mean and inverse deviation too where they are asked for."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)
    alone = len([name for name in node.outputs if name]) == 1

    def function(
        x: Tensor, scale: Tensor, bias: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        shape = x.shape[axis_in(axis, x.dim()) :]
        bias = None if bias is None else bias.expand(shape)
        y = F.layer_norm(x, shape, scale.expand(shape), bias, epsilon)
        if alone:
            return y
        over = tuple(range(axis_in(axis, x.dim()), x.dim()))
        variance, mean = torch.var_mean(x, dim=over, correction=0, keepdim=True)
        return y, mean, (variance + epsilon).rsqrt()

    return function


def rms_normalization(node: Node, mode: Mode) -> Function:
    """Divided by the root of the mean square over all axes from `axis` on."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)

    def function(x: Tensor, scale: Tensor) -> Tensor:
        shape = x.shape[axis_in(axis, x.dim()) :]
        return F.rms_norm(x, shape, scale.expand(shape), epsilon)

    return function


def group_normalization(node: Node, mode: Mode) -> Function:
    """Each sample's groups of channels by their own statistics; before opset 21 scale and bias were the groups'."""
    groups, epsilon = node.get("num_groups", 1), node.get("epsilon", 1e-5)

    def function(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
        if node.opset < 21:
            width = x.shape[1] // groups
            scale, bias = scale.repeat_interleave(width), bias.repeat_interleave(width)
        return F.group_norm(x, groups, scale, bias, epsilon)

    return function


def channel_norm_coupling(node: Node, book: CouplingRecorder) -> None:
    """Every channel by its own statistics; γ directly after a transfer takes the place of its eigenvalues."""
    source, output = node.input(0), node.outputs[0]
    ids = book.nodes_of(source, 1)
    space = space_of(node, book, each_alone=node.op_type == "BatchNormalization")
    book.write(output, (book.axis(source, 0), ids, *space))
    parameters = [node.input(position) for position in range(1, len(node.inputs))]
    for name in parameters:
        book.attach(name, (ids,))
    transfer = book.transfer_before(source)
    ordinary = node.op_type == "BatchNormalization" and set(parameters) <= book.initializers
    if transfer is not None and transfer.norm_scale is None and ordinary:
        scale, bias, mean, _ = parameters
        book.extend_transfer(source, norm_scale=scale, norm_bias=bias, norm_mean=mean)


def layer_norm_coupling(node: Node, book: CouplingRecorder) -> None:
    """Nodes share their statistics: those that go are kept out of mean and variance."""
    source = node.input(0)
    ids, rank = book.ids(source), len(book.shapes[source])
    first = normal(node.get("axis", -1), rank)
    for axis in range(first, rank):
        book.mix(node, 0, axis, "norm")
    for position in range(1, len(node.inputs)):
        shape = book.shapes[node.input(position)]
        trailing = ids[rank - len(shape) :]
        book.attach(
            node.input(position),
            tuple(axis_ids if n > 1 else None for axis_ids, n in zip(trailing, shape, strict=True)),
        )
    book.pass_on(source, node.outputs[0])


def group_norm_coupling(node: Node, book: CouplingRecorder) -> None:
    """Whole groups go, so that the statistics of the others stay what they are."""
    source, groups = node.input(0), node.get("num_groups", 1)
    channels = book.nodes_of(source, 1)
    heads = book.unify_rows(NodeIds(channels.reshape(groups, -1)))  # [groups]
    scaled = heads if node.opset < 21 else channels
    for position in (1, 2):
        book.attach(node.input(position), (scaled,))
    book.state_width(node, heads, attribute="num_groups")
    book.write(node.outputs[0], (book.axis(source, 0), channels, *space_of(node, book)))


register(
    {
        "BatchNormalization": OperatorSpec(
            batch_normalization,
            channel_norm_coupling,
            weights=(1, 2),
            initial={1: 1.0, 2: 0.0, 3: 0.0, 4: 1.0},
        ),
        "InstanceNormalization": OperatorSpec(
            instance_normalization, channel_norm_coupling, weights=(1, 2), initial={1: 1.0, 2: 0.0}
        ),
        "LayerNormalization": OperatorSpec(
            layer_normalization,
            layer_norm_coupling,
            weights=(1, 2),
            initial={1: 1.0, 2: 0.0},
            norm=NormForm(centred=True),
        ),
        "RMSNormalization": OperatorSpec(
            rms_normalization,
            layer_norm_coupling,
            weights=(1, 2),
            initial={1: 1.0},
            norm=NormForm(centred=False),
        ),
        "GroupNormalization": OperatorSpec(
            group_normalization, group_norm_coupling, weights=(1, 2), initial={1: 1.0, 2: 0.0}
        ),
    },
)

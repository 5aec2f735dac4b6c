"""Fresh weights in the place of the uploaded ones, drawn by the seed.

Transfers: Glorot and Bengio, AISTATS 2010, eq. 16, uniform. Biases 0; normalisations as if they were not there. What
is none of these (embeddings, initial states) is drawn normal, as wide as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.coupling_recorder import Transfer
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.operators import find_spec


@torch.no_grad()
def draw_weights(module: OnnxModule, coupling: Coupling, seed: int) -> None:
    """Draw every trainable parameter anew, and start running statistics again."""
    random = torch.Generator().manual_seed(seed)
    settled: set[str] = set()
    for name, value in _constants(module, coupling):
        module.initializer(name).fill_(value)
        settled.add(name)
    for transfer in coupling.transfers:
        if transfer.kind == "lookup":
            continue
        if transfer.weight in module.trainable and transfer.weight not in settled:
            _draw_transfer(module.initializer(transfer.weight), transfer, random)
            settled.add(transfer.weight)
    for name in module.trainable:
        if name not in settled:
            parameter = module.initializer(name)
            _fill_normal(parameter, random)


def _constants(module: OnnxModule, coupling: Coupling) -> Iterator[tuple[str, float]]:
    parameters = dict(module.named_parameters())
    for node in module.every_node:
        for position, value in find_spec(node).initial.items():
            name = node.inputs[position] if position < len(node.inputs) else None
            if name in parameters:
                yield name, value
    for transfer in coupling.transfers:
        if transfer.bias in module.trainable:
            yield transfer.bias, 0.0


def _draw_transfer(weight: Tensor, transfer: Transfer, random: torch.Generator) -> None:
    nodes_out = weight.shape[transfer.out_axis]
    nodes_in = weight.shape[1 if transfer.in_axis is None else transfer.in_axis]
    kernel = weight.numel() / (nodes_out * nodes_in)
    reach = math.sqrt(6 / (kernel * (nodes_in + nodes_out)))
    drawn = torch.rand(weight.shape, generator=random) * 2 - 1
    weight.copy_(drawn * reach)


def _fill_normal(parameter: Tensor, random: torch.Generator) -> None:
    """Draw as wide as it was; a single number is a constant of the model, and stays."""
    if parameter.numel() > 1:
        drawn = torch.randn(parameter.shape, generator=random)
        parameter.copy_(drawn * parameter.std().cpu() + parameter.mean().cpu())

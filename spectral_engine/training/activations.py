"""What a forward pass keeps for its backward pass, and whether there is memory for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor

from spectral_engine.spectral.model import SpectralModel

SHARE = 0.5  # of the memory that is free
MEASURED_ROWS = 2
MEMORY, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def fit_in_memory(
    model: SpectralModel,
    inputs: Mapping[str, Tensor],
    watch: Collection[str],
    device: torch.device,
) -> bool:
    """Say whether what a step on these inputs keeps takes less than half of what is free, or that is unknown."""
    free = free_bytes(device)
    return free is None or activation_bytes(model, inputs, watch) < SHARE * free


def activation_bytes(
    model: SpectralModel, inputs: Mapping[str, Tensor], watch: Collection[str]
) -> int:
    """Return the bytes that a forward pass of the batch keeps, besides the model's own: from a pass of two rows."""
    count = len(next(iter(inputs.values())))
    rows = {name: value[:MEASURED_ROWS] for name, value in inputs.items()}
    of_model = {tensor.untyped_storage().data_ptr() for tensor in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in of_model:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    module = model.module
    was_training, was_keeping = module.training, module.mode.keeps_activations
    module.eval()
    module.mode.keeps_activations = True
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(rows, watch)  # the pass is let go of; only its sizes stay
    finally:
        module.train(was_training)
        module.mode.keeps_activations = was_keeping
    return sum(kept.values()) * count // min(count, MEASURED_ROWS)


def free_bytes(device: torch.device) -> int | None:
    """Return what a device, or this machine or container, has free; None where it does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    told = [free for free in (_free_in_machine(), _free_in_container()) if free is not None]
    return min(told, default=None)


def _free_in_machine() -> int | None:
    if not MEMORY.exists():
        return None
    lines = (line.split() for line in MEMORY.read_text().splitlines())
    return next((int(words[1]) * 1024 for words in lines if words[0] == "MemAvailable:"), None)


def _free_in_container() -> int | None:
    try:
        most, used = (CGROUP / name for name in ("memory.max", "memory.current"))
        return int(most.read_text()) - int(used.read_text())
    except (OSError, ValueError):  # no container, or one without a limit
        return None

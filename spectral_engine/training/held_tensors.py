"""The tensors of a model in training: which of them train, and all that a training changes."""

from __future__ import annotations

import torch
from torch import nn

from spectral_engine.errors import ModelInvalid
from spectral_engine.spectral.model import SpectralModel, Tracked


def start_training(model: SpectralModel, device: torch.device) -> dict[str, Tracked]:
    """Bring a model to its device and return what trains of it, by key. Raises ModelInvalid where nothing can."""
    model.to(device)
    model.release()
    model.module.train()
    trained = model.trained()
    if not trained:
        raise ModelInvalid(
            "nothing in the model can be trained or removed: no weights are held as tensors (a linear model of "
            "ONNX-ML keeps them in its node, and has no hidden nodes)"
        )
    for tracked in model.tracked():
        tracked.tensor.requires_grad_(tracked.key in trained)
    return trained


def held_tensors(model: SpectralModel) -> dict[str, nn.Parameter]:
    """Return every tensor that a training of the model changes, under stable names and not copied."""
    tensors = {f"tensor|{item.key}": item.tensor for item in model.tracked()}
    tracked = set(tensors)
    for name, parameter in model.module.named_parameters():
        if f"tensor|plain:{name}" not in tracked and name not in model.spectral:
            tensors[f"buffer|{name}"] = parameter
    return tensors

"""Removing nodes at random, and running what comes out in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.graph.coupling import Coupling


def random_removal(coupling: Coupling, share: float = 0.5, seed: int = 0) -> NDArray[np.bool_]:
    """Mark a share of the removable nodes of every layer; each layer keeps one at least, and each part too."""
    generator = np.random.default_rng(seed)
    removed = np.zeros(coupling.count, dtype=bool)
    for layer in coupling.layers:
        groups = np.unique(layer.groups[~coupling.pinned[layer.groups]])
        count = min(int(len(groups) * share), len(np.unique(layer.groups)) - 1)
        removed[generator.choice(groups, count, replace=False)] = True
    for part in coupling.parts:
        if removed[part].all():
            removed[part[0]] = False
    return removed


def in_onnxruntime(model: bytes, inputs: Mapping[str, Tensor]) -> list[NDArray[np.float32]]:
    """Return all outputs."""
    return opened(model)(inputs)


def opened(model: bytes) -> Callable[[Mapping[str, Tensor]], list[NDArray[np.float32]]]:
    """Return what answers all outputs to any number of inputs."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    return lambda inputs: session.run(None, {name: value.numpy() for name, value in inputs.items()})


def difference(left: list[NDArray[np.float32]], right: list[NDArray[np.float32]]) -> float:
    """Return the largest difference, relative to the largest value where that is above 1."""
    return max(
        float(np.abs(a - b).max() / max(1.0, np.abs(a).max()))
        for a, b in zip(left, right, strict=True)
    )

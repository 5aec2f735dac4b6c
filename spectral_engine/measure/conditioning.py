"""How far a change of a file's weights, as small as rounding's, moves each of its answers.

Where a net ends in log(1 − p), an answer near p = 1 hangs on the last bits of p: any other order of the same additions
moves it by far more than it moves all others. Such answers tell nothing of whether two files compute the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.initializers import derived
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import save_model
from spectral_engine.onnx_io.source import Source

DRAWS = 4  # an answer that one draw leaves where it was by chance is moved by another


def nearby(model: Source, relative: float) -> Iterator[Runner]:
    """Yield the model with each float weight moved at random, by this share or one unit in the last place."""
    beside = model.parent if isinstance(model, Path) else None
    moved = load_model(model)
    values = [value for graph in moved.graphs() for value in graph.initializers.values()]
    weights = [(value, value.const_value) for value in values]  # as they are in the file
    for draw in range(DRAWS):
        for index, (value, tensor) in enumerate(weights):
            if tensor is not None and tensor.dtype.is_floating_point():
                change = partial(_move, relative=relative, seed=(draw, index))
                value.const_value = derived(tensor, change)
        with tempfile.TemporaryDirectory(dir=beside, prefix="moved-") as folder:
            path = Path(folder) / "moved.onnx"
            save_model(moved, path)
            yield Runner(path, prepack=False)


def _move(array: NDArray[Any], relative: float, seed: tuple[int, int]) -> None:
    """Move each number in place; zeros stay, so that what is masked stays so."""
    ups = np.random.default_rng(seed).random(array.shape) < 0.5
    signs = np.where(ups, 1, -1).astype(array.dtype)
    step = np.maximum(np.abs(array) * np.array(relative, array.dtype), np.spacing(np.abs(array)))
    array += np.where(array == 0, 0, signs * step).astype(array.dtype)

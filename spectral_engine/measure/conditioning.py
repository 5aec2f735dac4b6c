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
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.initializers import derived
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import save_model
from spectral_engine.onnx_io.source import Source

# By operator, the inputs that say how long the axes of its output are.
SIZED_BY: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Pad", "Upsample", "OneHot", "TopK"), (1,)),
    **dict.fromkeys(("Split", "AffineGrid", "CenterCropPad", "Col2Im"), (1,)),
    "Range": (0, 1, 2),
    "Slice": (1, 2, 3, 4),
    "ConstantOfShape": (0,),
    "Resize": (1, 2, 3),
}
SIZES = {"Shape", "Size"}  # what these tell hangs on no number
DRAWS = 4  # an answer that one draw leaves where it was by chance is moved by another


def nearby(model: Source, relative: float) -> Iterator[Runner]:
    """Yield the model with each float weight moved at random, by this share or one unit in the last place."""
    beside = model.parent if isinstance(model, Path) else None
    moved = load_model(model)
    values = [value for graph in moved.graphs() for value in graph.initializers.values()]
    sizes = _telling_sizes(moved)
    # As they are in the file. A size that is worked out in floats would be another one after the smallest change.
    weights = [(value, value.const_value) for value in values if value not in sizes]
    for draw in range(DRAWS):
        for index, (value, tensor) in enumerate(weights):
            if tensor is not None and tensor.dtype.is_floating_point():
                change = partial(_move, relative=relative, seed=(draw, index))
                value.const_value = derived(tensor, change)
        with tempfile.TemporaryDirectory(dir=beside, prefix="moved-") as folder:
            path = Path(folder) / "moved.onnx"
            save_model(moved, path)
            yield Runner(path, prepack=False)


def _telling_sizes(model: ir.Model) -> set[ir.Value]:
    """Return the values from which lengths of axes are worked out."""
    nodes = [node for graph in model.graphs() for node in graph]
    left = [
        node.inputs[position]
        for node in nodes
        for position in SIZED_BY.get(node.op_type, ())
        if position < len(node.inputs)
    ]
    told: set[ir.Value] = set()
    while left:
        value = left.pop()
        if value is None or value in told:
            continue
        told.add(value)
        maker = value.producer()
        if maker is not None and maker.op_type not in SIZES:
            left.extend(maker.inputs)
    return told


def _move(array: NDArray[Any], relative: float, seed: tuple[int, int]) -> None:
    """Move each number in place; zeros stay, so that what is masked stays so."""
    ups = np.random.default_rng(seed).random(array.shape) < 0.5
    signs = np.where(ups, 1, -1).astype(array.dtype)
    step = np.maximum(np.abs(array) * np.array(relative, array.dtype), np.spacing(np.abs(array)))
    array += np.where(array == 0, 0, signs * step).astype(array.dtype)

"""The widths that this machine's runtime likes: timed once, and kept for all later jobs.

A width that is found on a clock must not change from job to job, nor while one resumes: what was measured is kept, by
runtime and processor, and a job writes it beside its checkpoints and into its report's recipe.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import os
import tempfile
from functools import cache
from pathlib import Path

import onnx
from onnx import TensorProto, helper
from pydantic import ValidationError

from spectral_engine.measure import block_timing
from spectral_engine.measure.block_timing import SHAPE, WIDTHS
from spectral_engine.records.blocks import Blocks
from spectral_engine.work_dir import write_whole

KERNELS = {"3×3": 3, "1×1": 1}  # what most of the time of convolutional nets goes to
LAYERS = 4  # of a model that is timed: one alone is mostly the cost of a call
OPSET = 13


@cache
def blocks_here() -> Blocks:
    """Return the blocks of this machine; times them where no job before has."""
    path = _folder() / f"{hashlib.sha256(block_timing.machine().encode()).hexdigest()[:16]}.json"
    kept = read_blocks(path)
    if kept is None:
        kept = Blocks.model_validate_json(block_timing.profile(models()))
        write_blocks(kept, path)
    return kept


def read_blocks(path: Path) -> Blocks | None:
    """Return what a file holds, or None where there is no such file, or another one."""
    try:
        return Blocks.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def write_blocks(blocks: Blocks, path: Path) -> None:
    """Keep blocks in a file; where none can be written, the next process measures again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, blocks.model_dump_json())
    except OSError:
        pass


def models() -> dict[str, dict[int, bytes]]:
    """Return the models that are timed, by kind and width: few bytes each, their weights are filled in on loading."""
    return {
        kind: {width: _convolutions(width, size).SerializeToString() for width in WIDTHS}
        for kind, size in KERNELS.items()
    }


def script() -> str:
    """Return a program that prints the blocks of the machine it runs on; it needs numpy and onnxruntime alone."""
    packed = {
        kind: {width: base64.b64encode(model).decode() for width, model in by_width.items()}
        for kind, by_width in models().items()
    }
    return (
        f"{inspect.getsource(block_timing)}\n\n"
        f"PACKED = {packed!r}\n\n"
        'if __name__ == "__main__":\n'
        "    import sys\n"
        "    from base64 import b64decode\n\n"
        "    models = {kind: {width: b64decode(text) for width, text in by.items()} for kind, by in PACKED.items()}\n"
        "    print(profile(models, *sys.argv[1:]))\n"
    )


def _folder() -> Path:
    kept = os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(kept) if kept else Path.home() / ".cache"
    except RuntimeError:  # a user without a home, as containers have
        cache = Path(tempfile.gettempdir())
    return cache / "eigenpress" / "widths"


def _convolutions(width: int, size: int) -> onnx.ModelProto:
    nodes, before, name = [], SHAPE[1], "x"
    for layer in range(LAYERS + 1):
        kernel = size if layer else 1
        shape = helper.make_tensor("shape", TensorProto.INT64, [4], [width, before, kernel, kernel])
        fill = helper.make_tensor("value", TensorProto.FLOAT, [1], [0.01])
        pads = [kernel // 2] * 4
        nodes += [
            helper.make_node("Constant", [], [f"shape{layer}"], value=shape),
            helper.make_node("ConstantOfShape", [f"shape{layer}"], [f"w{layer}"], value=fill),
            helper.make_node("Conv", [name, f"w{layer}"], [f"c{layer}"], pads=pads),
            helper.make_node("Relu", [f"c{layer}"], [f"y{layer}"]),
        ]
        before, name = width, f"y{layer}"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [value("x", TensorProto.FLOAT, SHAPE)],
        [value(name, TensorProto.FLOAT, [1, width, *SHAPE[2:]])],
    )
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)

"""How far answers agree, and where single precision has no right one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto

from benchmarks.feeding import Feed
from spectral_engine.graph.module import OnnxModule

TOLERANCE, HALF_TOLERANCE = 1e-4, 2e-2
LARGEST = 1e18  # whose square single precision cannot hold


def tolerance_of(source: bytes) -> float:
    """Return how far answers may differ: farther where a file computes in half precision, of which we do in single."""
    model = onnx.load_from_string(source)
    stored = {tensor.data_type for tensor in model.graph.initializer}
    cast = {a.i for n in model.graph.node for a in n.attribute if n.op_type == "Cast"}
    taken = {value.type.tensor_type.elem_type for value in model.graph.input}
    constant = {a.t.data_type for n in model.graph.node for a in n.attribute if a.name == "value"}
    half = TensorProto.FLOAT16 in stored | cast | taken | constant
    return HALF_TOLERANCE if half else TOLERANCE


def apart(computed: NDArray[Any], wanted: NDArray[Any], tolerance: float) -> str:
    """Say how answers differ, "" where they agree: to a share of the largest, as sums may be taken in any order."""
    if computed.shape != wanted.shape:
        return f"shape {computed.shape} for {wanted.shape}"
    if wanted.dtype.kind not in "fbiu":
        return "" if np.array_equal(computed, wanted) else "other texts"
    ours, other = computed.astype(np.float64), wanted.astype(np.float64)
    size = np.abs(other[np.isfinite(other)]).max(initial=1.0)
    near = np.isclose(ours, other, rtol=1e-3, atol=tolerance * size, equal_nan=True)
    return (
        ""
        if near.all()
        else f"{int((~near).sum())} of {near.size} numbers differ, {computed.shape}"
    )


def overflows(module: OnnxModule, feed: Feed) -> bool:
    """Tell whether values arise whose squares single precision cannot hold: then no answer is right."""
    inner = [name for step in module.plan.steps for name in step.node.outputs if name]
    with torch.no_grad():
        values = module.run(as_tensors(feed), watch=inner).values()
    floats = [v for v in values if isinstance(v, torch.Tensor) and v.is_floating_point()]
    return any(not bool((v.abs() < LARGEST).all()) for v in floats)


def as_tensors(feed: Feed) -> dict[str, torch.Tensor]:
    """Return copies that nobody else holds."""
    return {name: torch.from_numpy(np.array(value)) for name, value in feed.items()}

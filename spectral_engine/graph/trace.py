"""Concrete shapes of every value, from one run."""

from __future__ import annotations

import onnx_ir as ir
import torch
from torch import Tensor

from spectral_engine.errors import ModelInvalid
from spectral_engine.graph.module import OnnxModule

TRACED_BATCH = 2


def trace_shapes(module: OnnxModule, batch: int = TRACED_BATCH) -> dict[str, tuple[int, ...]]:
    """Run once on ones and return the shape of every value, initializers included.

    Symbolic dimensions other than the batch are taken as 1. Raises ModelInvalid where the model cannot run so.
    """
    inputs = {value.name or "": example_input(value, batch) for value in module.model.graph.inputs}
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            values = module.compute(inputs, watch=[*module.plan.slots])
    except (RuntimeError, ValueError, IndexError) as error:
        raise ModelInvalid(f"the model does not run on a batch of {batch}: {error}") from error
    finally:
        module.train(was_training)
    return {name: tuple(value.shape) for name, value in values.items() if isinstance(value, Tensor)}


def example_input(value: ir.Value, batch: int) -> Tensor:
    """Return ones in the shape and type that an input declares."""
    if value.shape is None or value.dtype is None:
        raise ModelInvalid(f"input {value.name!r} declares no shape or type")
    sizes = [dim if isinstance(dim, int) else 1 for dim in value.shape]
    if sizes:
        sizes[0] = batch
    if value.dtype.is_floating_point():
        return torch.ones(sizes)
    return torch.zeros(sizes, dtype=_integer(value.dtype))


def _integer(dtype: ir.DataType) -> torch.dtype:
    found = {
        ir.DataType.BOOL: torch.bool,
        ir.DataType.UINT8: torch.uint8,
        ir.DataType.INT8: torch.int8,
        ir.DataType.INT16: torch.int16,
        ir.DataType.INT32: torch.int32,
    }
    return found.get(dtype, torch.int64)

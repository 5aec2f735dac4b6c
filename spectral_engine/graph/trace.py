"""Concrete shapes of every value, from one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir
import torch
from torch import Tensor

from spectral_engine.errors import ModelInvalid
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.operators.types import TORCH_TYPES

TRACED_BATCH = 2
MISFITS = (RuntimeError, ValueError, IndexError, TypeError, ModelInvalid)
MOST_NUMBERS = 64  # in a vector that states shapes, axes or bounds
# Lengths to try for symbolic dimensions: sequences first, then images that are halved again and again.
FREE_SIZES = (7, 8, 1, 32, 224, 299)


def trace_shapes(
    module: OnnxModule,
    batch: int = TRACED_BATCH,
    known: Mapping[str, tuple[int, ...]] | None = None,
) -> dict[str, tuple[int, ...]]:
    """Run once and return the shape of every value, initializers included; see `run_once` for what is raised."""
    values, _ = run_once(module, batch, known)
    return _shapes(values)


def _shapes(values: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in values.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class Trace:
    """The shape of every value, and small integer vectors that are worked out while the model runs: bounds, counts.

    `settled` are those of the numbers that no batch and no free dimension changes.
    """

    shapes: dict[str, tuple[int, ...]]
    numbers: dict[str, Tensor]
    settled: frozenset[str]


def trace(module: OnnxModule, known: Mapping[str, tuple[int, ...]] | None) -> Trace:
    """Run a few times, with other batches and other lengths of symbolic dimensions, and compare."""
    first, inputs = run_once(module, TRACED_BATCH, known)
    numbers = {name: value for name, value in first.items() if _is_small(value)}
    shapes, settled = _shapes(first), set(numbers)
    del first  # all values of the pass: of the others only the numbers are kept
    for other in _other_runs(module, inputs, known, numbers):
        settled = {name for name in settled if torch.equal(numbers[name], other[name])}
    return Trace(shapes, numbers, frozenset(settled))


def _is_small(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.dtype in {torch.int32, torch.int64}
        and value.dim() <= 1
        and value.numel() <= MOST_NUMBERS
    )


def _other_runs(
    module: OnnxModule,
    inputs: Mapping[str, Tensor],
    known: Mapping[str, tuple[int, ...]] | None,
    watch: Collection[str],
) -> Iterator[dict[str, Tensor]]:
    yield run_once(module, TRACED_BATCH + 1, known, watch)[0]
    if not any(_is_free(value) for value in module.model.graph.inputs):
        return
    for size in FREE_SIZES:
        other = {
            value.name or "": example_input(value, TRACED_BATCH, None, size)
            for value in module.model.graph.inputs
        }
        if any(other[name].shape != value.shape for name, value in inputs.items()):
            try:
                yield _run(module, other, watch)
            except MISFITS:
                continue
            return


def traced_inputs(module: OnnxModule, batch: int) -> dict[str, Tensor]:
    """Return inputs that the model runs on."""
    _, inputs = run_once(module, batch, None, ())
    return inputs


def run_once(
    module: OnnxModule,
    batch: int,
    known: Mapping[str, tuple[int, ...]] | None,
    watch: Collection[str] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run on ones; return every value, or those to `watch` and the answers, and the inputs.

    `known` gives shapes of inputs without their batch. Symbolic dimensions that it does not tell are tried at a few
    sizes. Raises ModelInvalid where the model runs at none of them.
    """
    free = not known and any(_is_free(value) for value in module.model.graph.inputs)
    failure: Exception | None = None
    for size in FREE_SIZES if free else FREE_SIZES[:1]:
        inputs = {
            value.name or "": example_input(value, batch, (known or {}).get(value.name or ""), size)
            for value in module.model.graph.inputs
        }
        try:
            return _run(module, inputs, watch), inputs
        except MISFITS as error:
            failure = failure or error
    raise ModelInvalid(f"the model does not run on a batch of {batch}: {failure}") from failure


def _run(
    module: OnnxModule, inputs: Mapping[str, Tensor], watch: Collection[str] | None = None
) -> dict[str, Tensor]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module.compute(inputs, watch=[*module.plan.slots] if watch is None else watch)
    finally:
        module.train(was_training)


def _is_free(value: ir.Value) -> bool:
    return value.shape is not None and any(not isinstance(dim, int) for dim in value.shape[1:])


def example_input(
    value: ir.Value, batch: int, known: tuple[int, ...] | None = None, free: int = 1
) -> Tensor:
    """Return ones in the shape and type that an input declares; `free` is the length of symbolic dimensions."""
    if value.shape is None or value.dtype is None:
        raise ModelInvalid(f"input {value.name!r} declares no shape or type")
    sizes = [dim if isinstance(dim, int) else free for dim in value.shape]
    if known is not None and len(known) + 1 == len(sizes):
        sizes[1:] = known
    if sizes:
        sizes[0] = batch
    if value.dtype.is_floating_point():
        return torch.ones(sizes, dtype=TORCH_TYPES.get(int(value.dtype), torch.float32))
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

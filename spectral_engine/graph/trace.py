"""Concrete shapes of every value, from one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    first, inputs = run_once(module, traced_batch(module), known)
    numbers = {name: value for name, value in first.items() if _is_small(value)}
    settled = set(numbers)
    for other in _other_runs(module, inputs, known):
        settled = {name for name in settled if torch.equal(numbers[name], other[name])}
    return Trace(_shapes(first), numbers, frozenset(settled))


def _is_small(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.dtype in {torch.int32, torch.int64}
        and value.dim() <= 1
        and value.numel() <= MOST_NUMBERS
    )


def _other_runs(
    module: OnnxModule, inputs: Mapping[str, Tensor], known: Mapping[str, tuple[int, ...]] | None
) -> Iterator[dict[str, Tensor]]:
    if module.rows.at_once is None:
        yield run_once(module, TRACED_BATCH + 1, known)[0]
    if not any(_is_free(value, module) for value in module.model.graph.inputs):
        return
    for size in FREE_SIZES:
        other = {
            value.name or "": example_input(
                value, traced_batch(module), None, size, module.rows.of_input(value.name or "")
            )
            for value in module.model.graph.inputs
        }
        if any(other[name].shape != value.shape for name, value in inputs.items()):
            try:
                yield _run(module, other)
            except MISFITS:
                continue
            return


def traced_batch(module: OnnxModule) -> int:
    """Return how many rows a traced run holds."""
    return module.rows.at_once or TRACED_BATCH


def traced_inputs(module: OnnxModule, batch: int) -> dict[str, Tensor]:
    """Return inputs in the shapes that the model runs on, of so many rows or of as many as it is frozen to."""
    _, inputs = run_once(module, batch, None)
    return inputs


def run_once(
    module: OnnxModule, batch: int, known: Mapping[str, tuple[int, ...]] | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Run on ones; return every value, and the inputs.

    `known` gives shapes of inputs without their batch. Symbolic dimensions that it does not tell are tried at a few
    sizes. Raises ModelInvalid where the model runs at none of them.
    """
    batch = module.rows.at_once or batch
    free = not known and any(_is_free(value, module) for value in module.model.graph.inputs)
    failure: Exception | None = None
    for size in FREE_SIZES if free else FREE_SIZES[:1]:
        inputs = {
            value.name or "": example_input(
                value,
                batch,
                (known or {}).get(value.name or ""),
                size,
                module.rows.of_input(value.name or ""),
            )
            for value in module.model.graph.inputs
        }
        try:
            return _run(module, inputs), inputs
        except MISFITS as error:
            failure = failure or error
    raise ModelInvalid(f"the model does not run on {batch} rows: {failure}") from failure


def _run(module: OnnxModule, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module.run(inputs, watch=[*module.plan.slots])
    finally:
        module.train(was_training)


def _is_free(value: ir.Value, module: OnnxModule) -> bool:
    rows = module.rows.of_input(value.name or "")
    sizes = [] if value.shape is None else [*value.shape]
    return any(not isinstance(dim, int) for axis, dim in enumerate(sizes) if axis != rows)


def example_input(
    value: ir.Value,
    batch: int,
    known: tuple[int, ...] | None = None,
    free: int = 1,
    rows: int | None = 0,
) -> Tensor:
    """Return ones in the shape and type that an input declares, with `batch` rows along axis `rows`.

    `known` is the shape of one row, `free` the length of symbolic dimensions where it does not tell.
    """
    if value.shape is None or value.dtype is None:
        raise ModelInvalid(f"input {value.name!r} declares no shape or type")
    sizes = [dim if isinstance(dim, int) else free for dim in value.shape]
    if rows is not None and rows < len(sizes):
        sizes.pop(rows)
        sizes = list(known) if known is not None and len(known) == len(sizes) else sizes
        sizes.insert(rows, batch)
    elif known is not None and len(known) == len(sizes):
        sizes = list(known)
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

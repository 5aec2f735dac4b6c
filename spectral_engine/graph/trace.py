"""Shapes and integers of every value, from a few runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import onnx_ir as ir
import torch
from torch import Tensor

from spectral_engine.errors import ModelInvalid, ModelTooLarge
from spectral_engine.graph.bodies import (
    MISFITS,
    Body,
    BodyKey,
    graphs_of,
    is_if,
    is_within,
    keyed_bodies,
    run_bodies,
)
from spectral_engine.graph.free_axes import FreeAxes, Lengths
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.operators.types import TORCH_TYPES
from spectral_engine.graph.rows import dims_of
from spectral_engine.graph.shape_flow import ShapeFlow
from spectral_engine.graph.step import with_known
from spectral_engine.onnx_io.nodes import graph_nodes

TRACED_BATCH = 2
ALIKE = 6  # failures of one wording at so many lengths
MOST_NUMBERS = 64  # in a vector that states shapes, axes or bounds


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
    bodies: Mapping[BodyKey, Body] = field(default_factory=dict)  # of If, as far as they run


def trace(module: OnnxModule, known: Mapping[str, tuple[int, ...]] | None = None) -> Trace:
    """Trace a graph, and the bodies of its Ifs that read weights."""
    return replace(_traced(module, known), bodies=_traced_bodies(module, known or {}))


def _traced_bodies(module: OnnxModule, known: Mapping[str, tuple[int, ...]]) -> dict[BodyKey, Body]:
    """Return the bodies that read weights, each from the first lengths at which it runs."""
    weights, ran = set(module.names), dict[BodyKey, Body]()
    free, batch, failures = _free_axes(module), traced_batch(module), list[Exception]()
    wanted = {
        key for key, graph in keyed_bodies(module.nodes) if not weights.isdisjoint(graph.captured())
    }
    outermost = {
        key: with_known(node, module.plan.known)
        for node in module.nodes
        if is_if(node)
        for key in graphs_of(node)
        if key in wanted
    }
    for lengths in _lengths_to_try(free, known, failures) if wanted else ():
        inputs = _examples(module, free, lengths, batch)
        for key, node in outermost.items():
            if not any(is_within(one, key) for one in wanted - ran.keys()):
                continue
            values_of = partial(module.values_of, inputs)
            try:
                with torch.no_grad():
                    further = run_bodies(node, key[1], module.mode, module.names, values_of)
            except MISFITS as error:
                failures.append(error)
            else:
                ran = {**further, **ran}
        if wanted <= ran.keys():
            break
    return ran


def _traced(module: OnnxModule, known: Mapping[str, tuple[int, ...]] | None) -> Trace:
    """Say which numbers are settled, by the graph itself and by runs with other batches and lengths of free axes.

    Lengths that strides round alike tell nothing apart, and some models run at one length alone: so a number is settled
    only where the graph leaves no choice. Runs are held against that.
    """
    batch = traced_batch(module)
    first, lengths = _first_run(module, batch, known)
    numbers = {name: value for name, value in first.items() if _is_small(value)}
    computed = [name for name in numbers if name not in module.plan.known]
    settled, shapes = set(numbers), _shapes(first)
    if not computed:
        return Trace(shapes, numbers, frozenset(settled))
    settled -= _open_numbers(module, shapes, numbers)
    free = _free_axes(module)
    del first  # all values of the pass: of the others only the numbers are kept

    def runs(rows: int, other: Lengths) -> bool:
        """Run with this batch and these lengths, and keep what stays the same; say whether it ran."""
        try:
            values = _run(module, _examples(module, free, other, rows), computed)
        except MISFITS:
            return False
        settled.difference_update(n for n in computed if not _is_same(numbers[n], values[n]))
        return True

    # Frozen rows are not free, though the module takes any number.
    if module.rows.at_once is None or free.has_free_rows:
        runs(batch + 1, lengths)
    free.others(lengths, lambda other: runs(batch, other))
    return Trace(shapes, numbers, frozenset(settled))


def at_other_sizes(module: OnnxModule, traced: Trace) -> Iterator[Trace]:
    """Yield what runs with another number of rows, and with another length of each free axis, tell, as far as it runs.

    What is settled stays so. Bodies are those of the first run.
    """
    free, batch = _free_axes(module), traced_batch(module)
    lengths = {
        called: traced.shapes[input_axes[0][0]][input_axes[0][1]]
        for called, input_axes in free.input_axes.items()
    }
    traces: list[Trace] = []

    def runs(rows: int, other: Lengths) -> bool:
        try:
            values = _run(module, _examples(module, free, other, rows), [*module.plan.slots])
        except MISFITS:
            return False
        numbers = {name: values[name] for name in traced.numbers}
        traces.append(replace(traced, shapes=_shapes(values), numbers=numbers))
        return True

    if module.rows.at_once is None or free.has_free_rows:
        runs(batch + 1, lengths)
    free.others(lengths, lambda other: runs(batch, other))
    yield from traces


def any_open(module: OnnxModule, traced: Trace, axes: Iterable[tuple[str, int]]) -> bool:
    """Say whether the number of rows or a free axis may change the length of one of these axes of values."""
    flow = _flow(module, traced.shapes, traced.numbers)
    flow.follow(graph_nodes(module.model))
    return any(isinstance(flow.dims_of(name)[axis], str) for name, axis in axes)


def _open_numbers(
    module: OnnxModule, shapes: Mapping[str, tuple[int, ...]], numbers: Mapping[str, Tensor]
) -> frozenset[str]:
    """Return the integers that may depend on the number of rows or on a free axis."""
    flow = _flow(module, shapes, numbers)
    return flow.open_numbers(graph_nodes(module.model)) - _constants(module)


def _flow(
    module: OnnxModule, shapes: Mapping[str, tuple[int, ...]], numbers: Mapping[str, Tensor]
) -> ShapeFlow:
    arrays = {name: value.numpy() for name, value in numbers.items()}
    return ShapeFlow(module.model, shapes, arrays, _constants(module))


def _constants(module: OnnxModule) -> set[str]:
    return {*module.plan.known, *module.model.graph.initializers}


def _is_same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _is_small(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.dtype in {torch.int32, torch.int64}
        and value.dim() <= 1
        and value.numel() <= MOST_NUMBERS
    )


def traced_batch(module: OnnxModule) -> int:
    """Return how many rows a traced run holds."""
    return module.rows.at_once or TRACED_BATCH


def traced_inputs(
    module: OnnxModule, batch: int, known: Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, Tensor]:
    """Return ones in the shapes that the model runs on, of so many rows or of as many as it is frozen to.

    `known` gives shapes of rows by input. Free axes that it does not tell are tried at a few lengths. Raises
    ModelInvalid where the model runs at none of them, ModelTooLarge where a node makes too large a tensor.
    """
    batch = module.rows.at_once or batch
    _, lengths = _first_run(module, batch, known, ())
    return _examples(module, _free_axes(module), lengths, batch)


def _first_run(
    module: OnnxModule,
    batch: int,
    known: Mapping[str, tuple[int, ...]] | None,
    watch: Collection[str] | None = None,
) -> tuple[dict[str, Tensor], Lengths]:
    """Run at the first lengths that fit; return the values to watch, all where none are named, and the lengths."""
    free, failures = _free_axes(module), list[Exception]()
    wanted = [*module.plan.slots] if watch is None else watch
    for lengths in _lengths_to_try(free, known or {}, failures):
        try:
            values = _run(module, _examples(module, free, lengths, batch), wanted)
        except MISFITS as error:
            failures.append(error)
        else:
            return values, lengths
    failure = failures[0] if failures else None
    if isinstance(failure, ModelTooLarge):
        raise failure
    hint = (
        ""
        if known or not free.input_axes
        else "; data beside it would say how long its free axes are"
    )
    raise ModelInvalid(f"the model does not run on {batch} rows: {failure}{hint}") from failure


def _lengths_to_try(
    free: FreeAxes, known: Mapping[str, tuple[int, ...]], failures: Sequence[Exception]
) -> Iterator[Lengths]:
    """Yield usual lengths, then further ones, unless it is always the same that fails: then no length is at fault."""
    yield from free.first(known)
    if len({str(failure) for failure in failures[-ALIKE:]}) > 1:
        yield from free.further(known)


def _free_axes(module: OnnxModule) -> FreeAxes:
    return FreeAxes({v.name or "": dims_of(v) for v in module.model.graph.inputs}, module.rows)


def _examples(
    module: OnnxModule, free: FreeAxes, lengths: Lengths, batch: int
) -> dict[str, Tensor]:
    """Return ones in the shapes and types that the inputs declare."""
    return {
        value.name or "": _ones(value, free.sizes(value.name or "", lengths, batch))
        for value in module.model.graph.inputs
    }


def _run(
    module: OnnxModule, inputs: Mapping[str, Tensor], watch: Collection[str]
) -> dict[str, Tensor]:
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            return module.run(inputs, watch=watch)
    finally:
        module.train(was_training)


def _ones(value: ir.Value, sizes: Sequence[int]) -> Tensor:
    if value.shape is None or value.dtype is None:
        raise ModelInvalid(f"input {value.name!r} declares no shape or type")
    if value.dtype.is_floating_point():
        return torch.ones([*sizes], dtype=TORCH_TYPES.get(int(value.dtype), torch.float32))
    return torch.zeros([*sizes], dtype=_integer(value.dtype))


def _integer(dtype: ir.DataType) -> torch.dtype:
    torch_types = {
        ir.DataType.BOOL: torch.bool,
        ir.DataType.UINT8: torch.uint8,
        ir.DataType.INT8: torch.int8,
        ir.DataType.INT16: torch.int16,
        ir.DataType.INT32: torch.int32,
    }
    return torch_types.get(dtype, torch.int64)

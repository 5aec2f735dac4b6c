"""Inputs of a mutant: batches and lengths at which onnxruntime runs it, rows and free axes drawn apart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.feeding import Feed, dtype_of, runs

Symbols = Mapping[str, Sequence[str]]  # of the axes of each input, where a base has names for them

MOST_FEEDS = 6
TRIED = 24
SECONDS = 3.0
MOST_ELEMENTS = 10**6
BATCHES = (1, 2, 3, 5)
LENGTHS = (1, 2, 3, 5, 7, 8, 9, 12, 16, 20, 24, 31, 33, 40)
# The first ones, by (rows, lengths): what most of the bases run on, so that a base runs on some feeds.
FIRST = ((2, 16), (3, 9), (1, 7), (2, 24))
ROWS = {"N", "batch", "batch_size", "rows"}


def quiet(*, optimized: bool) -> onnxruntime.SessionOptions:
    """Return options for one thread, without a word, and without what onnxruntime rewrites for speed."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not optimized:
        off = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.graph_optimization_level = off
    return options


def symbols_of(inputs: Sequence[Any]) -> dict[str, list[str]]:
    """Return the names of axes that a session's inputs declare; "" for those without."""
    return {
        value.name: [dim if isinstance(dim, str) else "" for dim in value.shape] for value in inputs
    }


def feeds_of(
    session: onnxruntime.InferenceSession, symbols: Symbols, ranks: Mapping[str, int], seed: int
) -> list[Feed]:
    """Return inputs on which a mutant runs, of different shapes; none where there are none.

    `symbols` are the base's names of axes and `ranks` those of its inputs: for what a mutant does not tell.
    """
    feeds: list[Feed] = []
    tried: set[tuple[tuple[int, ...], ...]] = set()
    until = time.monotonic() + SECONDS
    for feed in _candidates(session.get_inputs(), symbols, ranks, np.random.default_rng(seed)):
        shapes = tuple(value.shape for value in feed.values())
        if shapes not in tried and runs(session, feed):
            feeds.append(feed)
        tried.add(shapes)
        if len(feeds) == MOST_FEEDS or time.monotonic() > until:
            break
    return feeds


def _candidates(
    inputs: Sequence[Any], symbols: Symbols, ranks: Mapping[str, int], random: np.random.Generator
) -> Iterator[Feed]:
    dims = {value.name: _dims(value, symbols, ranks) for value in inputs}
    names = sorted({dim for declared in dims.values() for dim in declared if isinstance(dim, str)})
    for count in range(TRIED if names else 1):
        if count < len(FIRST):
            rows, length = FIRST[count]
            sizes = {name: rows if name in ROWS else length for name in names}
        else:
            sizes = {
                name: int(random.choice(BATCHES if name in ROWS else LENGTHS)) for name in names
            }
        shapes = {
            name: [sizes[dim] if isinstance(dim, str) else dim for dim in declared]
            for name, declared in dims.items()
        }
        if sum(prod(shape) for shape in shapes.values()) <= MOST_ELEMENTS:
            yield {value.name: _filled(value, shapes[value.name], random) for value in inputs}


def _dims(value: Any, symbols: Symbols, ranks: Mapping[str, int]) -> list[int | str]:
    """Return numbers and names of an input's axes: its own names, the base's, or its place."""
    declared, told = list(value.shape), symbols.get(value.name, ())
    if not declared:  # a scalar, or nothing is declared
        declared = [None] * ranks.get(value.name, 0)
    hints = told if len(told) == len(declared) else [""] * len(declared)
    return [
        dim if isinstance(dim, int) else dim or hint or f"{value.name}/{axis}"
        for axis, (dim, hint) in enumerate(zip(declared, hints, strict=True))
    ]


def _filled(value: Any, shape: list[int], random: np.random.Generator) -> NDArray[Any]:
    dtype = dtype_of(value)
    if dtype.kind == "f":
        return random.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return np.asarray(random.random(shape) < 0.5)
    return np.asarray(random.integers(1, 6, shape)).astype(dtype)

"""Inputs of a file that nobody here made: batches and lengths at which onnxruntime runs it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.feeding import Feed, dtype_of, runs

BATCHES = (2, 3, 1)
# Sequences, windows of sound at 8 and 16 kHz, and images that are halved again and again.
LENGTHS = (7, 8, 21, 32, 48, 64, 100, 160, 224, 320, 480, 512, 576, 640, 1000, 16000)
HIGHEST = (50, 9, 2)  # integers from 0 up to these: tables of tokens differ in length
SCALARS = (16000, 8000, 1)  # sample rates, or flags
MOST_FEEDS = 5
MOST_ELEMENTS = 1_500_000  # an image of 700 × 700
SECONDS = 8.0  # of this process, to look for feeds
IN_TURN = 4  # lengths that are tried of one batch before the next


def open_quietly(model: bytes) -> onnxruntime.InferenceSession:
    """Open a model on one thread, without a word."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def feeds_of(session: onnxruntime.InferenceSession) -> list[Feed]:
    """Return up to five inputs on which the model runs, of several batches and lengths; none where it never does."""
    feeds: list[Feed] = []
    tried: set[tuple[tuple[int, ...], ...]] = set()
    until = time.process_time() + SECONDS
    for feed in _candidates(session.get_inputs()):
        shapes = tuple(value.shape for value in feed.values())
        small = sum(value.size for value in feed.values()) <= MOST_ELEMENTS
        if small and shapes not in tried and runs(session, feed):
            tried.add(shapes)
            feeds.append(feed)
        if len(feeds) == MOST_FEEDS or time.process_time() > until:
            break
    return feeds


def _candidates(inputs: Sequence[Any]) -> Iterator[Feed]:
    # A few lengths, then batches: what a file is most often wrong about comes first. Integers last: one of them fits.
    free = any(_is_free(size) for value in inputs for size in value.shape[1:])
    highest = HIGHEST if any(_holds_integers(value) and value.shape for value in inputs) else (1,)
    scalars = (
        SCALARS if any(_holds_integers(value) and not value.shape for value in inputs) else (1,)
    )
    lengths = LENGTHS if free else (1,)
    turns = [lengths[at : at + IN_TURN] for at in range(0, len(lengths), IN_TURN)]
    for batch, length in itertools.chain.from_iterable(
        itertools.product(BATCHES, turn) for turn in turns
    ):
        for most, scalar, second in itertools.product(highest, scalars, (False, True)):
            yield _feed(inputs, (batch, length, second), most, scalar)


def _holds_integers(value: Any) -> bool:
    return "int" in value.type


def _is_free(size: Any) -> bool:
    return not isinstance(size, int) or size < 1


def _feed(inputs: Sequence[Any], sizes: tuple[int, int, bool], highest: int, scalar: int) -> Feed:
    random = np.random.default_rng(0)
    feed: Feed = {}
    for value, shape in zip(inputs, _shapes(inputs, *sizes), strict=True):
        feed[value.name] = _filled(dtype_of(value), shape, random, highest, scalar)
    return feed


def _shapes(inputs: Sequence[Any], batch: int, length: int, second: bool) -> list[list[int]]:
    """Return a shape of each input; with `second`, rows lie on the second axis where the first has a length."""
    # A symbol that names the first axis of some input counts rows wherever else it stands.
    rows = {value.shape[0] for value in inputs if value.shape and _is_free(value.shape[0])}
    rows -= {"", None}

    def size_of(size: Any, axis: int, first: Any) -> int:
        if not _is_free(size):
            return int(size)
        counts_rows = axis == 0 or size in rows or (second and axis == 1 and not _is_free(first))
        return batch if counts_rows else length

    return [
        [size_of(size, axis, value.shape[0]) for axis, size in enumerate(value.shape)]
        for value in inputs
    ]


def _filled(
    kind: np.dtype[Any], sizes: list[int], random: np.random.Generator, highest: int, scalar: int
) -> NDArray[Any]:
    if kind.kind == "f":
        return random.standard_normal(sizes).astype(kind)
    if kind.kind == "b":
        return np.ones(sizes, kind)
    return random.integers(0, highest, sizes).astype(kind) if sizes else np.array(scalar, kind)


def answers(
    session: onnxruntime.InferenceSession, feed: Feed, names: list[str] | None = None
) -> list[Any]:
    """Return these outputs, by default all."""
    outputs: list[Any] = session.run(names, feed)
    return outputs


def difference(left: Sequence[Any], right: Sequence[Any]) -> float:
    """Return the largest difference, relative to the largest value above 1; infinite where shapes or classes differ.

    What is no number on both sides is alike.
    """
    worst = 0.0
    for one, other in zip(left, right, strict=True):
        if not isinstance(one, np.ndarray):
            continue
        if one.shape != other.shape:
            return float("inf")
        if one.dtype.kind != "f":
            worst = worst if np.array_equal(one, other) else float("inf")
        elif one.size:
            same = (one == other) | (np.isnan(one) & np.isnan(other))
            apart = np.where(same, 0.0, np.abs(one.astype(np.float64) - other))
            largest = float(np.abs(one[np.isfinite(one)]).max(initial=1.0))
            worst = max(worst, float(np.nan_to_num(apart.max() / largest, nan=np.inf)))
    return worst

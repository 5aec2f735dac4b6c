"""A mutant cut at random, beside the same nodes silenced, at every shape at which the whole one runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.feeding import Feed
from benchmarks.fuzzing.agreement import apart, overflows, tolerance_of
from benchmarks.fuzzing.feeds import quiet
from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.ranking import choose_removal, floors
from spectral_engine.data import Split
from spectral_engine.errors import EngineError, Internal
from spectral_engine.graph.coupling import Coupling, couple
from spectral_engine.graph.masking import mask
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.measure.rows import rows_of
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.preparation.in_rows import in_declared_rows, in_rows

SHARE = 0.6  # of the nodes that stay


def narrowed(
    source: bytes,
    module: OnnxModule,
    feeds: Sequence[Feed],
    seed: int,
    tell: Callable[[str], None],
) -> tuple[str, str]:
    """Return `cut` where both agree, `torn` where they do not, `same` where nothing is cut, and why.

    Mutants of even seeds are coupled as a job with data has them, all others from what the file declares.
    """
    tell("theirs")  # which dies of a few files while it makes them faster
    whole = _opened(source) if feeds else None
    tell("ours")
    try:
        taken, coupling = _coupled(source, module, feeds, seed)
    except Internal:
        raise
    except EngineError as error:
        return "same", f"refused: {error.detail}"
    removed = _chosen(coupling, seed)
    if not removed.any():
        return "same", "nothing can go"
    masked = to_bytes(mask(taken.model, coupling, removed))
    narrow = to_bytes(cut(taken.model, coupling, removed))
    if whole is None or any(_run(whole, feed) is None for feed in feeds):
        return "cut", ""  # made faster, onnxruntime does not run the whole one either
    problem = _difference(masked, narrow, feeds, tolerance_of(source))
    if not problem:
        return "cut", ""
    clear = not any(overflows(module, feed) for feed in feeds)
    return ("torn" if clear else "beyond"), problem


def _coupled(
    source: bytes, module: OnnxModule, feeds: Sequence[Feed], seed: int
) -> tuple[OnnxModule, Coupling]:
    if not feeds:
        return module, couple(module)
    original = OpenedModel(source)
    if seed % 2:
        row_module = in_declared_rows(original)
        return row_module, couple(row_module)
    split = Split(_as_rows(feeds[0], original), None)
    row_module = in_rows(original.module(), original, split)
    return row_module, couple(row_module, split.row_shapes)


def _as_rows(feed: Feed, original: OpenedModel) -> dict[str, Any]:
    """Return a feed as a data set would hold it: rows first, and what is the same for all of them once for each."""
    rows = rows_of(feed, original.runner.declared)
    count = max((len(array) for array in rows.values()), default=1)
    return {
        name: array
        if len(array) == count
        else np.broadcast_to(array[:1], (count, *array.shape[1:]))
        for name, array in rows.items()
    }


def _chosen(coupling: Coupling, seed: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    scores = np.random.default_rng(seed).random(coupling.count)
    nodes = cost_of(coupling, np.zeros(coupling.count, dtype=bool)).nodes
    budget = Budget({"nodes": SHARE * nodes})
    return choose_removal(coupling, scores, budget, floors(coupling, 1))


def _difference(masked: bytes, narrow: bytes, feeds: Sequence[Feed], tolerance: float) -> str:
    """Say what the cut file answers otherwise than the masked one, or where one of them does not run."""
    wide, thin = _opened(masked), _opened(narrow)
    if wide is None or thin is None:
        return "the masked file does not open" if wide is None else "the cut file does not open"
    for feed in feeds:
        before, after = _run(wide, feed), _run(thin, feed)
        if before is None or after is None:
            which = "masked" if before is None else "cut"
            return f"the {which} file does not run on {_shapes(feed)}"
        for value, one, other in zip(thin.get_outputs(), after, before, strict=True):
            problem = _answer_difference(one, other, tolerance)
            if problem:
                return f"{value.name}: {problem} on {_shapes(feed)}"
    return ""


def _answer_difference(one: Any, other: Any, tolerance: float) -> str:
    if not isinstance(one, np.ndarray):
        return ""  # a list of maps, made of what stands in another output or behind it
    return apart(one, other, tolerance)


def _opened(model: bytes) -> onnxruntime.InferenceSession | None:
    try:
        return onnxruntime.InferenceSession(model, quiet(optimized=True))
    except Exception:  # onnxruntime has many
        return None


def _run(session: onnxruntime.InferenceSession, feed: Feed) -> list[Any] | None:
    try:
        answers: list[Any] = session.run(None, feed)
    except Exception:  # as above
        return None
    return answers


def _shapes(feed: Feed) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())

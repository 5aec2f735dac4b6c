"""One file through the engine: imported, analysed, narrowed by half of what can go, and proved."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.feeding import Feed
from benchmarks.real_files.feeds import answers, difference, open_quietly
from spectral_engine.analysis import analyze
from spectral_engine.cost.budget import Budget, cost_of
from spectral_engine.cost.ranking import all_that_can_go, choose_removal, floors
from spectral_engine.data import Split
from spectral_engine.errors import EngineError, ModelInvalid, NumericMismatch
from spectral_engine.graph.coupling import Coupling, couple, narrowed_shape
from spectral_engine.graph.loading import load
from spectral_engine.graph.masking import mask
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut
from spectral_engine.measure.exactness import TOLERANCE, compare
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.measure.rows import rows_of
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.preparation.in_rows import in_declared_rows, in_rows
from spectral_engine.preparation.taken_bodies import untaken

SHARE = 0.5
IMPORT_TOLERANCE = 1e-3
Row = dict[str, Any]


def examine(source: bytes, feeds: Sequence[Feed]) -> Row:
    """Return what becomes of a file, step by step; `why` tells the first thing that went wrong."""
    row: Row = {"imported": False, "analysed": False, "narrowed": False, "why": ""}
    _step(row, "imported", lambda: _imported(source, feeds))
    _step(row, "analysed", lambda: _analysed(source))
    _step(row, "narrowed", lambda: _narrowed(source, feeds))
    return row


def _step(row: Row, name: str, work: Callable[[], Row]) -> None:
    begun = time.perf_counter()
    try:
        outcome = work()
        row[name] = not outcome.get("why")
    except EngineError as error:
        outcome = {"why": f"refused: {error.detail}"}
    except Exception as error:  # whatever it is, it is a fault of ours
        outcome = {"why": f"traceback: {type(error).__name__}: {error}"}
    outcome["why"] = row["why"] or " ".join(str(outcome.get("why", "")).split())[:300]
    row.update(outcome)
    row[f"{name}_seconds"] = round(time.perf_counter() - begun, 2)


def _imported(source: bytes, feeds: Sequence[Feed]) -> Row:
    """Compare the module with onnxruntime at every feed."""
    module, session = load(source), open_quietly(source)
    worst = 0.0
    for feed in feeds:
        with torch.no_grad():
            inputs = {name: torch.from_numpy(value) for name, value in feed.items()}
            outputs = {name: value.numpy() for name, value in module(**inputs).items()}
        expected = answers(session, feed, list(outputs))
        worst = max(worst, difference(expected, list(outputs.values())))
    return {
        "import_difference": worst,
        "why": "" if worst <= IMPORT_TOLERANCE else f"the module differs by {worst:.3g}",
    }


def _analysed(source: bytes) -> Row:
    analysis = analyze(source, batch_size=1)
    kept = Counter[str]()
    for layer in analysis.layers:
        if layer.removable < layer.nodes:
            kept[layer.reason or "?"] += layer.nodes - layer.removable
    return {"layers": len(analysis.layers), "kept": dict(kept.most_common(5))}


def _narrowed(source: bytes, feeds: Sequence[Feed]) -> Row:
    """Cut half of the nodes that can go, those of the smallest weights, and compare with the same nodes masked."""
    module, coupling = _coupled(source, feeds)
    nodes = cost_of(coupling, np.zeros(coupling.count, dtype=bool)).nodes
    removed = choose_removal(
        coupling,
        weight_norms(module, coupling),
        Budget({"nodes": SHARE * nodes}),
        floors(coupling, 1),
    )
    row = {**ceiling(coupling), "nodes": nodes, "params": coupling.params()}
    if not removed.any():
        return {**row, "why": "nothing can go"}
    narrow = to_bytes(cut(module.model, coupling, removed))
    row |= {"params_after": coupling.params(removed), "bytes_after": len(narrow)}
    wide = to_bytes(mask(module.model, coupling, removed))
    masked, session = open_quietly(wide), open_quietly(narrow)
    apart = [difference(answers(masked, feed), answers(session, feed)) for feed in feeds]
    row["proof_difference"] = max(apart, default=np.inf)
    if not np.isfinite(row["proof_difference"]):
        return row | {"why": "broken: an answer has another shape or class"}
    # The proof runs at lengths around: once, and wherever more than rounding stands between the two.
    doubtful = [feed for feed, far in zip(feeds, apart, strict=True) if far > TOLERANCE]
    try:
        return row | {"why": _proved(wide, narrow, doubtful or feeds[:1])}
    except ModelInvalid as error:  # a net of graphs: a feed is one graph, and no rows
        return row | {"why": error.detail if doubtful else ""}


def _proved(masked: bytes, narrow: bytes, feeds: Sequence[Feed]) -> str:
    """Say where the product's own proof, on these feeds and at lengths around, finds masked and cut apart."""
    axes = Runner(masked).declared
    for feed in feeds:
        try:
            compare(masked, narrow, Split(_rows(feed, axes), None))
        except NumericMismatch as error:
            return error.detail
    return ""


def _rows(feed: Feed, axes: RowAxes) -> dict[str, NDArray[Any]]:
    """Return a feed as rows of data, with what all rows share repeated."""
    first = rows_of(feed, axes)
    count = max(len(array) for array in first.values())
    return {
        name: array if len(array) == count else np.broadcast_to(array, (count, *array.shape[1:]))
        for name, array in first.items()
    }


def _coupled(source: bytes, feeds: Sequence[Feed]) -> tuple[OnnxModule, Coupling]:
    """Return module and coupling as a job with such data has them: with the rows' own lengths."""
    original = OpenedModel(source)
    axes = original.runner.declared
    taken = max(
        feeds, key=lambda feed: max((value.shape[:1] or (0,))[0] for value in feed.values())
    )
    split = Split(_rows(taken, axes), None)
    try:
        module = in_rows(original.module(), original, split)
    except ModelInvalid:  # a net of graphs: as `analyze` reads it without data
        module = in_declared_rows(original)
        return module, couple(module)
    # A body of an If counts as taken where any of the feeds takes it.
    left = [untaken(module, Split(_rows(feed, axes), None)) for feed in feeds]
    module.leave(frozenset.intersection(*left))
    return module, couple(module, split.row_shapes)


def ceiling(coupling: Coupling) -> Row:
    """Return the share of the weights that could go: of all of them, and of those that linear maps hold."""
    gone = all_that_can_go(coupling, 1)
    maps = {transfer.weight for transfer in coupling.transfers}
    before = sum(prod(coupling.sizes[name]) for name in maps)
    after = sum(
        prod(narrowed_shape(coupling.sizes[name], coupling.axes.get(name), gone)) for name in maps
    )
    return {
        "ceiling": round(1 - coupling.params(gone) / max(1, coupling.params()), 3),
        "ceiling_of_maps": round(1 - after / max(1, before), 3),
    }


def weight_norms(module: OnnxModule, coupling: Coupling) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the length of all weights that make each node group [count]."""
    squares = np.zeros(coupling.count)
    for transfer in coupling.transfers:
        ids = coupling.axes[transfer.weight][transfer.out_axis]
        if ids is None:
            continue
        weight = module.initializer(transfer.weight).detach().double().movedim(transfer.out_axis, 0)
        np.add.at(squares, ids, weight.flatten(1).square().sum(1).numpy())
    return np.sqrt(squares)

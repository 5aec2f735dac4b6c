"""Masked and cut model at the same ranks: what a net puts in an order, rounding alone may put in another.

A detector that ends in TopK answers with its best boxes in their order. Where scores tie but for their last bits, two
files that compute the same answer with other boxes in the same place. So both are given the ranks that the masked model
finds: then what is ranked must agree, and so must all that follows from it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.errors import ModelInvalid
from spectral_engine.measure.runtime import Runner, failures
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import save_model
from spectral_engine.onnx_io.source import Source

# By operator: the output that holds ranks, and the inputs that are ranked.
RANKING: dict[str, tuple[int, tuple[int, ...]]] = {
    "TopK": (1, (0,)),
    "ArgMax": (0, (0,)),
    "ArgMin": (0, (0,)),
    "NonMaxSuppression": (0, (0, 1)),
}
GATHERS_FROM = 11  # the opset since which GatherElements is there
Feeds = Mapping[str, NDArray[Any]]
Answers = dict[str, NDArray[Any]]


def at_the_same_ranks(
    masked: Source, cut: Source, runs: Iterable[Feeds]
) -> Iterator[tuple[Answers, Answers]]:
    """Yield the answers of both for each run, and what is ranked among them; nothing where nothing is ranked.

    Raises ModelInvalid where one of them does not run.
    """
    told, wide, narrow = load_model(masked), load_model(masked), load_model(cut)
    names = _tell_ranks(told)
    if not names or len(names) != len(_ranking(narrow)):
        return
    for model in (wide, narrow):
        _take_ranks(model)
    with (
        _opened(told, masked) as ranks,
        _opened(wide, masked) as left,
        _opened(narrow, cut) as right,
    ):
        for feeds in runs:
            given = {**feeds, **dict(zip(names, _run(ranks, names, feeds), strict=True))}
            yield left.answer(given), right.answer(given)


def _run(runner: Runner, names: list[str], feeds: Feeds) -> list[NDArray[Any]]:
    try:
        return list(runner.session.run(names, dict(feeds)))
    except failures() as error:
        raise ModelInvalid(f"the model fails: {error}") from error


@contextmanager
def _opened(model: ir.Model, source: Source) -> Iterator[Runner]:
    beside = source.parent if isinstance(source, Path) else None
    with tempfile.TemporaryDirectory(dir=beside, prefix="ranks-") as folder:
        path = Path(folder) / "model.onnx"
        save_model(model, path)
        yield Runner(path, prepack=False)


def _ranking(model: ir.Model) -> list[ir.Node]:
    """Return the nodes that rank, in the order of the graph; those in bodies are left as they are."""
    if model.opset_imports.get("", 0) < GATHERS_FROM:
        return []
    return [node for node in model.graph if not node.domain and node.op_type in RANKING]


def _tell_ranks(model: ir.Model) -> list[str]:
    """Add the ranks to a model's outputs, and return their names."""
    ranks = [node.outputs[RANKING[node.op_type][0]] for node in _ranking(model)]
    already = {value.name for value in model.graph.outputs}
    model.graph.outputs.extend(value for value in ranks if value.name not in already)
    return [value.name or "" for value in ranks]


def _take_ranks(model: ir.Model) -> None:
    """Make the ranks inputs of a model, under their own names, and what is ranked its outputs."""
    outputs = model.graph.outputs
    for node in _ranking(model):
        rank_output, ranked = RANKING[node.op_type]
        ranks = node.outputs[rank_output]
        given = ir.Value(name=ranks.name, shape=ranks.shape, type=ir.TensorType(ir.DataType.INT64))
        ranks.name = f"{ranks.name}/unused"
        if ranks in outputs:
            outputs.remove(ranks)  # integers: they are not compared
        ir.convenience.replace_all_uses_with(ranks, given)
        model.graph.inputs.append(given)
        if node.op_type == "TopK":
            _gather(model, node, given)
        inputs = (node.inputs[at] for at in ranked)
        outputs.extend(one for one in inputs if one is not None and one not in outputs)


def _gather(model: ir.Model, node: ir.Node, ranks: ir.Value) -> None:
    """Let what is best be read at the given ranks."""
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    best = node.outputs[0]
    gather = ir.node("GatherElements", [node.inputs[0], ranks], {"axis": axis})
    (taken,) = gather.outputs
    taken.name, taken.type, taken.shape = best.name, best.type, best.shape
    best.name = f"{best.name}/unused"
    model.graph.insert_after(node, gather)
    ir.convenience.replace_all_uses_with(best, taken, replace_graph_outputs=True)

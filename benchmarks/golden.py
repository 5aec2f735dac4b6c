"""Candidates of small jobs, byte for byte: what a change of the house must leave as it is.

Run `python -m benchmarks.golden FILE` before the change, which writes the digests, and again after it, which compares
them. Digests hold for one machine and one set of packages: floating point does not promise more.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import spectral_engine as se

ROWS = 900
RECIPES: dict[str, dict[str, Any]] = {
    "gradual": {"method": "prune", "target": {"max_macs": 0.4}},
    "post": {"method": "prune", "target": {"max_macs": 0.5}, "prune": {"when": "post"}},
    "pre": {"method": "prune", "target": {"keep_nodes": 0.5}, "prune": {"when": "pre"}},
    "retrain": {"method": "retrain", "spectral": {"train": "eigenvalues"}},
    "sparse": {"method": "sparse", "target": {"density": 0.2}},
    "unlabelled": {"method": "prune", "target": {"max_params": 0.5}},
    "floor": {"method": "prune", "target": {"max_metric_drop": 0.02}},
}
VARIES = {"latency", "speedups", "provenance"}  # with the clock


def main(written: Path) -> None:
    current = dict(digests())
    if not written.is_file():
        written.write_text(json.dumps(current, indent=1) + "\n")
        return
    before = json.loads(written.read_text())
    changed = [name for name in before if before[name] != current.get(name)]
    print(f"{len(before) - len(changed)} of {len(before)} as before", *changed, sep="\n")
    sys.exit(bool(changed))


def digests() -> Iterator[tuple[str, str]]:
    """Yield the digest of every candidate's file, and of what each report says besides times."""
    for net in ("perceptron", "convolutional"):
        for name, recipe in RECIPES.items():
            with tempfile.TemporaryDirectory() as folder:
                yield from _job(net, name, recipe, Path(folder))


def _job(net: str, name: str, recipe: dict[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    rng = np.random.default_rng(7)
    model = folder / "model.onnx"
    images = net == "convolutional"
    onnx.save(_convolutional(rng) if images else _perceptron(rng), model)
    x = rng.standard_normal((ROWS, 1, 8, 8) if images else (ROWS, 12)).astype(np.float32)
    y = (x.reshape(ROWS, -1)[:, :4].sum(1) > 0).astype(np.int64)
    arrays = {"x": x} if name == "unlabelled" else {"x": x, "y": y}
    np.savez(folder / "data.npz", **arrays)
    options = {"training": {"epochs": 2}, "allow_poor_original": True, "seed": 3}
    result = se.compress(model, folder / "data.npz", {**options, **recipe})
    for candidate in result.candidates:
        path = folder / f"{candidate.id}.onnx"
        candidate.save(path)
        yield f"{net}/{name}/{candidate.id}", _sha(path.read_bytes())
    report = _without(json.loads(result.report.data.model_dump_json()), VARIES)
    yield f"{net}/{name}/report", _sha(json.dumps(report, sort_keys=True).encode())


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(item, names) for name, item in value.items() if name not in names}
    return [_without(item, names) for item in value] if isinstance(value, list) else value


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _perceptron(rng: np.random.Generator) -> onnx.ModelProto:
    nodes, weights = [], []
    sizes = (12, 24, 16, 2)
    for layer, (wide, out) in enumerate(itertools.pairwise(sizes)):
        weights += [
            _weight(rng, f"w{layer}", (out, wide), wide),
            _weight(rng, f"b{layer}", (out,), 9),
        ]
        last = layer == len(sizes) - 2
        source, answer = f"h{layer}" if layer else "x", "y" if last else f"a{layer}"
        nodes.append(
            helper.make_node(
                "Gemm", [source, f"w{layer}", f"b{layer}"], [answer], f"g{layer}", transB=1
            )
        )
        if not last:
            nodes.append(helper.make_node("Relu", [answer], [f"h{layer + 1}"], f"r{layer}"))
    return _model(nodes, weights, [12])


def _convolutional(rng: np.random.Generator) -> onnx.ModelProto:
    weights = [
        _weight(rng, "k0", (8, 1, 3, 3), 9),
        _weight(rng, "c0", (8,), 9),
        _weight(rng, "k1", (8, 8, 3, 3), 72),
        _weight(rng, "c1", (8,), 9),
        _weight(rng, "w", (2, 8), 8),
        _weight(rng, "b", (2,), 9),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "k0", "c0"], ["p0"], "conv0", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["p0"], ["h0"], "relu0"),
        helper.make_node("Conv", ["h0", "k1", "c1"], ["p1"], "conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["p1", "h0"], ["s"], "add"),
        helper.make_node("Relu", ["s"], ["h1"], "relu1"),
        helper.make_node("GlobalAveragePool", ["h1"], ["m"], "pool"),
        helper.make_node("Flatten", ["m"], ["f"], "flat"),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], "head", transB=1),
    ]
    return _model(nodes, weights, [1, 8, 8])


def _weight(rng: np.random.Generator, name: str, shape: tuple[int, ...], wide: int) -> TensorProto:
    return numpy_helper.from_array(
        (rng.standard_normal(shape) / np.sqrt(wide)).astype(np.float32), name
    )


def _model(
    nodes: list[onnx.NodeProto], weights: list[TensorProto], shape: list[int]
) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "golden", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

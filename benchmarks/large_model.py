"""A model that no protobuf holds, compressed from file to file: seconds, and how much memory it took.

    python -m benchmarks.large_model [--hidden 9] [--width 8192] [--keep 0.5]

A perceptron of random weights, 2.3 GiB of them, and random rows with its own answers as labels. What is measured is
the engine: a few steps say nothing of the quality. It needs 11 GiB of memory and 16 GiB of disk for temporary files
(`TMPDIR`). With `--keep 0.97` what comes out is over 2 GiB too.
"""

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx_ir as ir

import spectral_engine as se
from benchmarks import rows
from spectral_engine.data import Split
from spectral_engine.measure.runtime import Runner

FEATURES, CLASSES, ROWS = 784, 10, 600
BATCH = 32
SAMPLING_SECONDS = 0.05


def build(path: Path, width: int, hidden: int) -> Path:
    """Write a perceptron with `hidden` square matrices; one of them is in memory at a time."""
    sizes = [FEATURES, *[width] * (hidden + 1), CLASSES]
    value = source = _value("x", FEATURES)
    nodes, initializers = [], []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        parameters = [_weight(index, outputs, inputs), _bias(index, outputs)]
        initializers += parameters
        nodes.append(ir.node("Gemm", [value, *parameters], {"transB": 1}, name=f"layer{index}"))
        if outputs != CLASSES:
            nodes.append(ir.node("Relu", nodes[-1].outputs, name=f"act{index}"))
        value = nodes[-1].outputs[0]
    for node in nodes:
        node.outputs[0].name = f"{node.name}.y"
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", CLASSES])
    graph = ir.Graph(
        [source],
        [value],
        nodes=nodes,
        initializers=initializers,
        opset_imports={"": 17},
        name="perceptron",
    )
    ir.save(ir.Model(graph, ir_version=9), path, external_data=f"{path.name}.data")
    return path


def _value(name: str, width: int) -> ir.Value:
    kind = ir.TensorType(ir.DataType.FLOAT)
    return ir.Value(name=name, shape=ir.Shape(["batch", width]), type=kind)


def _weight(index: int, outputs: int, inputs: int) -> ir.Value:
    name, shape = f"w{index}", ir.Shape([outputs, inputs])

    def draw() -> ir.Tensor:
        normal = np.random.default_rng(index).standard_normal((outputs, inputs), dtype=np.float32)
        normal *= np.float32((2 / inputs) ** 0.5)
        return ir.Tensor(normal, name=name)

    tensor = ir.LazyTensor(draw, ir.DataType.FLOAT, shape, name=name)
    kind = ir.TensorType(ir.DataType.FLOAT)
    return ir.Value(name=name, shape=shape, type=kind, const_value=tensor)


def _bias(index: int, outputs: int) -> ir.Value:
    tensor = ir.Tensor(np.zeros(outputs, np.float32), name=f"b{index}")
    kind = ir.TensorType(ir.DataType.FLOAT)
    return ir.Value(name=tensor.name, shape=tensor.shape, type=kind, const_value=tensor)


def draw_rows(model: Path, path: Path) -> Path:
    """Write random rows, and as their labels what the model says."""
    x = np.random.default_rng(0).standard_normal((ROWS, FEATURES), dtype=np.float32)
    np.savez(path, x=x, y=Runner(model, prepack=False).predict(Split({"x": x}, None)).argmax(1))
    return path


class Peak:
    """The most memory that the process had of its own, without the pages of mapped files, in MiB."""

    mib = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at it until the block ends."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), daemon=True)
        watcher.start()
        yield
        done.set()
        watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(SAMPLING_SECONDS):
            lines = Path("/proc/self/status").read_text().splitlines()
            anonymous_kib = next(
                int(line.split()[1]) for line in lines if line.startswith("RssAnon")
            )
            self.mib = max(self.mib, anonymous_kib / 1024)


def measure(folder: Path, width: int, hidden: int, keep: float) -> dict[str, object]:
    """Build, compress, save, run what was saved, and return the figures."""
    model = build(folder / "large.onnx", width, hidden)
    data = draw_rows(model, folder / "rows.npz")
    recipe = {
        "target": {"keep_nodes": keep},
        "training": {"epochs": 1, "batch_size": BATCH, "learning_rate": 1e-4},
        "prune": {"candidates": 1},
    }
    peak, begun = Peak(), time.perf_counter()
    with peak.watched():
        result = se.compress(model, data, recipe)
        saved = result.chosen.save(folder / "small.onnx")
    seconds = time.perf_counter() - begun
    answers = Runner(saved).predict(Split({"x": np.zeros((3, FEATURES), np.float32)}, None))
    assert answers.shape == (3, CLASSES)
    report = result.report.data
    before, after = report.baseline, report.chosen_candidate().measurement
    return {
        "width": width,
        "hidden": hidden,
        "keep_nodes": keep,
        "outcome": result.outcome,
        "file_bytes": [before.file_bytes, after.file_bytes],
        "params": [before.params, after.params],
        "in_one_file": not result.chosen.external,
        "exactness": report.chosen_candidate().exactness.max_abs_difference,
        "largest_output": report.chosen_candidate().exactness.max_abs_output,
        "seconds": seconds,
        "training_seconds": report.provenance.training_seconds,
        "peak_own_mib": peak.mib,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden", type=int, default=9)
    parser.add_argument("--width", type=int, default=8192)
    parser.add_argument("--keep", type=float, default=0.5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = measure(Path(folder), asked.width, asked.hidden, asked.keep)
    rows.append("large_model", row)
    print(row, flush=True)


if __name__ == "__main__":
    main()

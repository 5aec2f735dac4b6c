"""Data larger than memory: a small job on files of several GB, under a limit on memory.

Run `python -m benchmarks.larger_than_memory [GB [FILE …]]`. Each file is generated in a temporary folder on disk and
removed again. The job runs in a process of its own whose private memory is limited (RLIMIT_DATA counts what a process
allocates, and no mapped files); its anonymous pages (RssAnon) are sampled while it runs.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from onnx import TensorProto, helper, numpy_helper, save

import spectral_engine as se
from benchmarks.rows import append

NAME = "larger_than_memory"
FEATURES, HIDDEN, CLASSES = 1024, 32, 4
LIMIT_BYTES = 3 * 2**29
AT_ONCE = 2**14  # rows that are written together
SAMPLED_SECONDS = 0.05
RECIPE: dict[str, Any] = {
    "target": {"max_macs": 0.6},
    "training": {"epochs": 1, "batch_size": 1024},
}
Chunks = Iterator[tuple[np.ndarray, np.ndarray]]


def main(gigabytes: float, kinds: Sequence[str]) -> None:
    """Run the job on a file of each of these kinds, and keep a row of each."""
    rows = int(gigabytes * 1e9) // (FEATURES * 4)
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="larger-") as folder:
            data, model = Path(folder) / kind, Path(folder) / "model.onnx"
            save(_net(), model)
            WRITERS[kind](data, rows)
            size = sum(file.stat().st_size for file in Path(folder).iterdir())
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.larger_than_memory", "job", str(model), str(data)],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
            said = dict(line.split("=") for line in done.stdout.split() if "=" in line)
            append(NAME, {
                "file": kind, "rows": rows, "file_gb": round(size / 1e9, 2),
                "limit_mib": LIMIT_BYTES // 2**20,
                "peak_anonymous_mib": int(said["anonymous"]), "peak_data_mib": int(said["data"]),
                "before_job_mib": int(said["before"]),
                "metric_before": float(said["metric"]), "metric_after": float(said["after"]),
                "seconds": round(time.monotonic() - began),
            })  # fmt: skip


def job(model: Path, data: Path) -> None:
    """Run one job under the limit, and print what it took in MiB."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))
    se.compress  # noqa: B018  # loads what a job needs
    before = _status("RssAnon")
    peak = {"RssAnon": 0, "VmData": 0}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(SAMPLED_SECONDS):
            peak.update({name: max(most, _status(name)) for name, most in peak.items()})

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = se.compress(model, data, RECIPE)
    finally:
        ended.set()
        watcher.join()
    print(f"before={before} anonymous={peak['RssAnon']} data={peak['VmData']}")
    baseline, chosen = result.report.data.baseline, result.report.data.candidates[-1].measurement
    print(f"metric={baseline.metric.value:.4f} after={chosen.metric.value:.4f}")


def _status(field: str) -> int:
    """Return what the kernel says of this process, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) // 1024
    raise LookupError(field)


def _weights() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        (random.normal(size=shape) / shape[0] ** 0.5).astype(np.float32)
        for shape in ((FEATURES, HIDDEN), (HIDDEN, CLASSES))
    ]


def _net() -> Any:
    """Return a perceptron whose answers, with some noise, are the labels."""
    initializers = [numpy_helper.from_array(one, f"w{at}") for at, one in enumerate(_weights())]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("MatMul", ["h", "w1"], ["y"]),
    ]
    taken = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])
    given = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", CLASSES])
    graph = helper.make_graph(nodes, "perceptron", [taken], [given], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _chunks(rows: int) -> Chunks:
    """Yield inputs and labels; where the noise is largest the label is another one than the answer."""
    random, (first, second) = np.random.default_rng(1), _weights()
    for start in range(0, rows, AT_ONCE):
        x = random.standard_normal((min(AT_ONCE, rows - start), FEATURES), np.float32)
        scores = np.maximum(x @ first, 0) @ second
        yield x, (scores + random.normal(size=scores.shape) * scores.std() * 0.2).argmax(1)


def _write_npy(path: Path, rows: int) -> None:
    """Write `npy`, with its labels beside it as `y.npy` would lie beside `x.npy`."""
    labels = []
    with path.open("wb") as file:
        _header(file, rows)
        for x, y in _chunks(rows):
            x.tofile(file)
            labels.append(y)
    np.save(path.with_name("y.npy"), np.concatenate(labels))


def _header(file: Any, rows: int) -> None:
    said = {"descr": "<f4", "fortran_order": False, "shape": (rows, FEATURES)}
    npy.write_array_header_1_0(file, said)


def _write_npz(path: Path, rows: int) -> None:
    labels = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("x.npy", "w", force_zip64=True) as file:
            _header(file, rows)
            for x, y in _chunks(rows):
                file.write(x.tobytes())
                labels.append(y)
        with archive.open("y.npy", "w") as file:
            npy.write_array(file, np.concatenate(labels))


def _write_parquet(path: Path, rows: int) -> None:
    # Here alone: the process of the job is to import it as any job does.
    import pyarrow as pa
    import pyarrow.parquet

    names = [f"f{place}" for place in range(FEATURES)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("label", pa.int64())])
    with pyarrow.parquet.ParquetWriter(path, schema) as file:
        for x, y in _chunks(rows):
            columns = [*np.ascontiguousarray(x.T), y]
            file.write_table(pa.table(columns, schema=schema))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "x.npy": _write_npy,
    "d.npz": _write_npz,
    "d.parquet": _write_parquet,
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["job"]:
        job(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        main(float(sys.argv[1]) if len(sys.argv) > 1 else 8, sys.argv[2:] or list(WRITERS))

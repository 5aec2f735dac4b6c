"""Import, coupling and surgery of ever larger graphs: is their time linear in the number of nodes?

    python -m benchmarks.import_scale [--largest 10000]

Residual perceptrons: blocks of Gemm, Relu, Gemm, Add. The last row is as wide as a billion parameters need.
"""

import argparse
import resource
import time

import numpy as np
import onnx_ir as ir

from benchmarks import rows
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut

SIZES = (100, 300, 1000, 3000, 10_000)
WIDTH = 32
MANY_PARAMETERS = 1_000_000_000
NODES_PER_BLOCK = 4


def residual_perceptron(nodes: int, width: int) -> ir.Model:
    """Return a graph of about so many nodes; its weights are zeros that are not held more than once."""
    blocks = nodes // NODES_PER_BLOCK
    zeros = np.zeros((width, width), dtype=np.float32)
    value = source = _value("x", ["batch", width])
    graph_nodes, initializers = [], []
    for block in range(blocks):
        weights = [_weight(f"w{block}.{part}", zeros) for part in range(2)]
        initializers += weights
        inner = ir.node("Gemm", [value, weights[0]], {"transB": 1}, name=f"in{block}")
        act = ir.node("Relu", [inner.outputs[0]], name=f"act{block}")
        outer = ir.node("Gemm", [act.outputs[0], weights[1]], {"transB": 1}, name=f"out{block}")
        add = ir.node("Add", [value, outer.outputs[0]], name=f"add{block}")
        graph_nodes += [inner, act, outer, add]
        for node in graph_nodes[-NODES_PER_BLOCK:]:
            node.outputs[0].name = f"{node.name}.y"
        value = add.outputs[0]
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", width])
    graph = ir.Graph(
        [source], [value], nodes=graph_nodes, initializers=initializers, opset_imports={"": 17}
    )
    return ir.Model(graph, ir_version=9)


def _value(name: str, shape: list[int | str]) -> ir.Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(ir.DataType.FLOAT))


def _weight(name: str, array: np.ndarray) -> ir.Value:
    return ir.Value(
        name=name,
        shape=ir.Shape(array.shape),
        type=ir.TensorType(ir.DataType.FLOAT),
        const_value=ir.Tensor(array, name=name),
    )


def measure(nodes: int, width: int, surgery: bool) -> dict[str, float]:
    """Time each step once."""
    model = residual_perceptron(nodes, width)
    begun = time.perf_counter()
    module = OnnxModule(model)
    imported = time.perf_counter()
    coupling = couple(module)
    coupled = time.perf_counter()
    row = {
        "nodes": len(list(model.graph)),
        "params": coupling.params(),
        "groups": int((~coupling.pinned).sum()),
        "import_seconds": imported - begun,
        "couple_seconds": coupled - imported,
    }
    if surgery:
        removed = np.zeros(coupling.count, dtype=bool)
        for layer in coupling.layers:
            if layer.prunable:
                removed[layer.groups[::2]] = True
        begun = time.perf_counter()
        cut(module.model, coupling, removed)
        row["cut_seconds"] = time.perf_counter() - begun
    spent = sum(row.get(f"{step}_seconds", 0.0) for step in ("import", "couple", "cut"))
    row["ms_per_node"] = 1e3 * spent / row["nodes"]
    row["peak_memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=max(SIZES))
    largest = parser.parse_args().largest
    wide = int((MANY_PARAMETERS / (largest // NODES_PER_BLOCK * 2)) ** 0.5) + 1
    plans = [(size, WIDTH, True) for size in SIZES if size <= largest] + [(largest, wide, False)]
    for nodes, width, surgery in plans:
        row = {"width": width, **measure(nodes, width, surgery)}
        rows.append("import_scale", row)
        print(row, flush=True)


if __name__ == "__main__":
    main()

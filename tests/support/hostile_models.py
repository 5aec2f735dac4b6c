"""Small models that grow: each declares far more than any machine has, by another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import onnx
from onnx import FunctionProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17
Tensors = Sequence[TensorProto]


def hostile(
    nodes: Sequence[NodeProto],
    tensors: Tensors = (),
    width: int = 64,
    functions: Sequence[FunctionProto] = (),
    domains: Sequence[str] = (),
) -> bytes:
    """Return a net x [n, width] -> Gemm -> y [n, 10] with more nodes; what they make as `r` is added to its answer."""
    rng = np.random.default_rng(0)
    weight = floats("W", rng.standard_normal((64, 10)))
    answered = any("y" in node.output for node in nodes)
    tail = [] if answered else [helper.make_node("Add", ["y0", "r"], ["y"])]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y0"]), *nodes, *tail],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [weight, *tensors],
    )
    opsets = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(one, 1) for one in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=functions)
    return bytes(model.SerializeToString())


def floats(name: str, values: object) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def ints(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def summed(*nodes: NodeProto) -> list[NodeProto]:
    """Return nodes of which the last makes `c`, and what makes one number of it."""
    return [*nodes, helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0)]


def _made(op: str, inputs: Sequence[str], *tensors: TensorProto, **more: object) -> bytes:
    return hostile(summed(helper.make_node(op, list(inputs), ["c"], **more)), tensors)


def _in_a_body() -> bytes:
    body = helper.make_graph(
        summed(helper.make_node("Expand", ["one", "s"], ["c"])),
        "body",
        [],
        [helper.make_tensor_value_info("r", TensorProto.FLOAT, [])],
    )
    node = helper.make_node("If", ["yes"], ["z"], then_branch=body, else_branch=body)
    add = helper.make_node("Add", ["y0", "z"], ["y"])
    yes = numpy_helper.from_array(np.array(True), "yes")
    return hostile([node, add], [yes, floats("one", [1]), ints("s", 10**6, 10**6)])


def _in_a_function() -> bytes:
    body = [
        helper.make_node("Constant", [], ["s"], value=ints("s", 10**6, 10**6)),
        helper.make_node("ConstantOfShape", ["s"], ["c"]),
        helper.make_node("ReduceSum", ["c"], ["t"], keepdims=0),
        helper.make_node("Add", ["a", "t"], ["b"]),
    ]
    function = helper.make_function("loc", "f", ["a"], ["b"], body, [helper.make_opsetid("", OPSET)])  # fmt: skip
    call = helper.make_node("f", ["y0"], ["y"], domain="loc")
    return hostile([call], functions=[function], domains=["loc"])


def laughs(depth: int, calls: int = 2, held: int = 0) -> bytes:
    """Return a net with functions that call each other `calls` times, `depth` deep; the last holds floats."""
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("loc", 1)]
    inner = [helper.make_node("Relu", ["a"], ["b"])]
    if held:
        inner = [
            helper.make_node("Constant", [], ["k"], value=floats("k", np.zeros(held))),
            helper.make_node("ReduceSum", ["k"], ["t"], keepdims=0),
            helper.make_node("Add", ["a", "t"], ["b"]),
        ]
    functions = [helper.make_function("loc", "f0", ["a"], ["b"], inner, opsets)]
    for level in range(1, depth + 1):
        names = ["a", *(f"t{at}" for at in range(1, calls)), "b"]
        nodes = [
            helper.make_node(f"f{level - 1}", [before], [after], domain="loc")
            for before, after in pairwise(names)
        ]
        functions.append(helper.make_function("loc", f"f{level}", ["a"], ["b"], nodes, opsets))
    call = helper.make_node(f"f{depth}", ["y0"], ["y"], domain="loc")
    return hostile([call], functions=functions, domains=["loc"])


def calls_itself() -> bytes:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("loc", 1)]
    functions = [
        helper.make_function("loc", name, ["a"], ["b"], [helper.make_node(other, ["a"], ["b"], domain="loc")], opsets)
        for name, other in (("f", "g"), ("g", "f"))
    ]  # fmt: skip
    call = helper.make_node("f", ["y0"], ["y"], domain="loc")
    return hostile([call], functions=functions, domains=["loc"])


def many_nodes(count: int) -> bytes:
    """Return a net followed by as many nodes that say nothing: two bytes each."""
    model = onnx.ModelProto.FromString(hostile([], [floats("r", 0)]))
    graph = model.graph.SerializeToString() + b"\x0a\x00" * count
    del model.graph.node[:]
    model.ClearField("graph")
    length, written = len(graph), bytearray(b"\x3a")
    while length >= 0x80:
        written.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(model.SerializeToString() + written + bytes([length]) + graph)


ONE, LONG = floats("one", [1]), 60_000
GROWING: dict[str, Callable[[], bytes]] = {
    "ConstantOfShape": lambda: _made("ConstantOfShape", ["s"], ints("s", LONG, LONG)),
    "Expand": lambda: _made("Expand", ["one", "s"], ONE, ints("s", 10**6, 10**6)),
    "Range": lambda: _made(
        "Range", ["a", "b", "d"], floats("a", 0), floats("b", 1e12), floats("d", 1)
    ),
    "Tile": lambda: _made("Tile", ["one", "s"], ONE, ints("s", 10**11)),
    "Pad of a constant": lambda: _made("Pad", ["one", "p"], ONE, ints("p", 0, 10**10)),
    "Pad of an answer": lambda: _made("Pad", ["y0", "p"], ints("p", 0, 0, 0, 10**10)),
    "a weight that is made": lambda: hostile(
        [
            helper.make_node("ConstantOfShape", ["s"], ["c"]),
            helper.make_node("MatMul", ["x", "c"], ["h"]),
            helper.make_node("ReduceMax", ["h"], ["r"], axes=[1], keepdims=1),
        ],
        [ints("s", 64, 30_000_000)],
    ),
    "a product of two vectors": lambda: _made(
        "Mul", ["a", "b"], floats("a", np.ones((LONG, 1))), floats("b", np.ones((1, LONG)))
    ),
    "a matrix product": lambda: _made(
        "MatMul", ["a", "b"], floats("a", np.ones((LONG, 1))), floats("b", np.ones((1, LONG)))
    ),
    "rows gathered again and again": lambda: _made(
        "Gather", ["a", "i"], floats("a", np.ones((1, 100_000))), ints("i", *([0] * 100_000))
    ),
    "a shape that is worked out": lambda: hostile(
        summed(
            helper.make_node("Mul", ["w", "w"], ["s"]),
            helper.make_node("ConstantOfShape", ["s"], ["c"]),
        ),
        [ints("w", 10**5)],
    ),
    "OneHot": lambda: hostile(
        [
            helper.make_node("OneHot", ["i", "d", "v"], ["h"]),
            helper.make_node("ReduceSum", ["h"], ["r"], keepdims=0),
        ],
        [ints("i", *range(1000)), ints("d", 10**9), floats("v", [0, 1])],
    ),
    "EyeLike": lambda: hostile(
        summed(
            helper.make_node("ConstantOfShape", ["s"], ["e"]),
            helper.make_node("EyeLike", ["e"], ["c"]),
        ),
        [ints("s", LONG, LONG)],
    ),
    "Resize": lambda: _made(
        "Resize", ["i", "", "z"], floats("i", np.ones((1, 1, 8, 8))), floats("z", [1, 1, 1e4, 1e4])
    ),
    "numbers drawn at random": lambda: _made("RandomNormal", [], shape=[LONG, LONG]),
    "a sparse constant": lambda: _made(
        "Constant",
        [],
        sparse_value=helper.make_sparse_tensor(floats("S", [1]), ints("i", 0), [10**6, 10**6]),
    ),
    "many of a few hundred megabytes": lambda: hostile(
        [
            *(helper.make_node("ConstantOfShape", ["s"], [f"c{at}"]) for at in range(12)),
            helper.make_node("Sum", [f"c{at}" for at in range(12)], ["t"]),
            helper.make_node("ReduceSum", ["t"], ["r"], keepdims=0),
        ],
        [ints("s", 7_000, 7_000)],
    ),
    "a body of If": _in_a_body,
    "a local function": _in_a_function,
    "a wide input": lambda: hostile([], [floats("r", 0)], width=2 * 10**9),
    "a wider input": lambda: hostile([], [floats("r", 0)], width=10**12),
    "functions nested thirty times": lambda: laughs(30),
    "functions nested a few times, called often": lambda: laughs(5, calls=12),
    "a constant in a function that is called often": lambda: laughs(12, held=250_000),
}

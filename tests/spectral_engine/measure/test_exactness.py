"""Masked against cut: what rounding explains passes, and nothing else does."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from spectral_engine.data.split import Split
from spectral_engine.errors import NumericMismatch
from spectral_engine.measure.exactness import compare

WIDTH = 96


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    """A net whose logits are large, so that 1 - p keeps a few bits only."""
    rng = np.random.default_rng(0)
    return {
        "first": rng.normal(size=(8, WIDTH)).astype(np.float32),
        "second": (rng.normal(size=(WIDTH, 1))).astype(np.float32),
    }


def saturated(weights: dict[str, np.ndarray]) -> bytes:
    """Return log(1 - sigmoid(relu(x first) second)) as a file."""
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "second"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Sub", ["one", "p"], ["q"]),
        helper.make_node("Clip", ["q", "least"], ["c"]),
        helper.make_node("Log", ["c"], ["y"]),
    ]
    return to_file(nodes, weights | {"one": np.float32(1), "least": np.float32(1e-14)}, 1)


def to_file(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], answers: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", 1, ["n", 8])],
        [helper.make_tensor_value_info("y", 1, ["n", answers])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def reordered(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the same net with its hidden nodes in another order: its sums round otherwise."""
    order = np.random.default_rng(1).permutation(WIDTH)
    return {"first": weights["first"][:, order].copy(), "second": weights["second"][order].copy()}


def rows() -> Split:
    return Split({"x": np.random.default_rng(2).normal(size=(400, 8)).astype(np.float32)}, None)


def test_answers_that_rounding_alone_moves_as_far_are_told_and_pass(weights):
    proof = compare(saturated(weights), saturated(reordered(weights)), rows())
    assert proof.max_abs_difference > proof.tolerance * proof.max_abs_output
    assert proof.ill_conditioned > 0


@pytest.mark.parametrize("share", [1e-3, 0.1])
def test_another_net_behind_the_same_end_is_found(weights, share):
    other = reordered(weights)
    other["second"][np.abs(other["second"]).argmax()] *= 1 + share
    with pytest.raises(NumericMismatch, match="differ by"):
        compare(saturated(weights), saturated(other), rows())


def test_a_well_conditioned_net_needs_no_such_grace(weights):
    proof = compare(saturated(weights), saturated(weights), rows())
    assert (proof.max_abs_difference, proof.ill_conditioned) == (0, 0)


def overflowing(weights: dict[str, np.ndarray]) -> bytes:
    """Return log(x first second), which is no number where the sum is negative, and infinite where it is zero."""
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"]),
        helper.make_node("MatMul", ["h", "second"], ["z"]),
        helper.make_node("Log", ["z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "overflowing",
        [helper.make_tensor_value_info("x", 1, ["n", 8])],
        [helper.make_tensor_value_info("y", 1, ["n", 1])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_answers_that_are_no_number_in_both_are_the_same(weights):
    x = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    x[0] = 0
    rows = Split({"x": x}, None)
    proof = compare(overflowing(weights), overflowing(weights), rows)
    assert proof.max_abs_difference == 0
    assert np.isfinite(proof.max_abs_output)
    turned = weights | {"second": -weights["second"]}
    with pytest.raises(NumericMismatch):
        compare(overflowing(weights), overflowing(turned), rows)


BOXES = 40


@pytest.fixture
def detector() -> dict[str, np.ndarray]:
    """A net whose scores come in pairs that tie but for rounding: two sums of the same terms in two orders."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(8, WIDTH // 2)).repeat(2, axis=1)  # nodes in pairs that say the same
    scores = rng.normal(size=(WIDTH, BOXES))
    other_of_each_pair = np.arange(WIDTH) ^ 1
    return {
        "first": first.astype(np.float32),
        "scores": np.concatenate([scores, scores[other_of_each_pair]], axis=1).astype(np.float32),
        "boxes": rng.normal(size=(WIDTH, 2 * BOXES)).astype(np.float32),
    }


def best_boxes(weights: dict[str, np.ndarray]) -> bytes:
    """Return the best boxes by score, in their order, as a file that also tells which these are."""
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "scores"], ["s"]),
        helper.make_node("MatMul", ["r", "boxes"], ["b"]),
        helper.make_node("TopK", ["s", "count"], ["best", "ranks"]),
        helper.make_node("GatherElements", ["b", "ranks"], ["y"], axis=1),
    ]
    model = onnx.load_from_string(to_file(nodes, weights | {"count": np.array([BOXES])}, BOXES))
    model.graph.output.append(helper.make_tensor_value_info("ranks", 7, ["n", BOXES]))
    model.graph.output.append(helper.make_tensor_value_info("best", 1, ["n", BOXES]))
    return model.SerializeToString()


def in_another_order(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    order = np.random.default_rng(1).permutation(WIDTH)
    changed = {name: array[order].copy() for name, array in weights.items() if name != "first"}
    return changed | {"first": weights["first"][:, order].copy()}


def test_what_nearly_ties_may_come_in_another_order(detector):
    proof = compare(best_boxes(detector), best_boxes(in_another_order(detector)), rows())

    assert proof.max_abs_difference > 1  # other boxes in the same place
    assert proof.ill_conditioned > 0


@pytest.mark.parametrize("wrong", ["scores", "boxes", "first"])
def test_a_detector_that_computes_something_else_does_not_pass(detector, wrong):
    other = in_another_order(detector)
    other[wrong][3] *= 1.01

    with pytest.raises(NumericMismatch):
        compare(best_boxes(detector), best_boxes(other), rows())

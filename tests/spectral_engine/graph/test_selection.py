"""What finished boxes were chosen from: found behind suppression, sorting and gathering, and no further."""

import numpy as np
import onnx.parser
import pytest
from onnx import numpy_helper

from spectral_engine.graph.loading import load
from spectral_engine.graph.selection import before_selection

HEAD = '<ir_version: 8, opset_import: ["": 17]> g (float[1, 8, 6] x) => ({outputs}) {{'
# Boxes [1, 8, 4] and probabilities [1, 8, 3] of a net, each with weights of its own.
NET = "boxes = MatMul(x, w4) raw = MatMul(x, w3) scores = Sigmoid(raw)"
FLOATS = {"w4": (6, 4), "w3": (6, 3), "w6": (4, 6)}
INTS = {"five": [5], "one": [1], "two": [2], "flat": [8, 4], "last": [-1]}


def before_choice(body, *outputs):
    kinds = ", ".join(f"float {name}" for name in outputs)
    model = onnx.parser.parse_model(HEAD.format(outputs=kinds) + body + "}")
    random = np.random.default_rng(0)
    initializers = {name: random.normal(size=shape).astype("f") for name, shape in FLOATS.items()}
    initializers |= {name: np.array(value, np.int64) for name, value in INTS.items()}
    for name, value in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return set(before_selection(load(model.SerializeToString()).nodes, outputs))


SUPPRESSED = f"""{NET} turned = Transpose<perm = [0, 2, 1]>(scores)
    picked = NonMaxSuppression(boxes, turned, five)
    column = Gather<axis = 1>(picked, two) place = Squeeze(column, one)
    rows = Reshape(boxes, flat) y = Gather<axis = 0>(rows, place)"""
SORTED = f"""{NET} best = ReduceMax<axes = [2], keepdims = 0>(scores) most, place = TopK(best, five)
    wide = Unsqueeze(place, last) both = Concat<axis = 2>(wide, wide) four = Concat<axis = 2>(both, both)
    y = GatherElements<axis = 1>(boxes, four)"""
LABELLED = f"""{NET} kind = ArgMax<axis = 2>(scores) label = Cast<to = 1>(kind)
    y = Concat<axis = 2>(boxes, label)"""
TWICE = f"""{SUPPRESSED.replace(" y =", " kept =")} sum = ReduceSum(kept, one) flatsum = Squeeze(sum, one)
    most, order = TopK(flatsum, five) y = Gather<axis = 0>(kept, order)"""


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (SUPPRESSED, {"boxes", "scores"}),
        (SORTED, {"boxes", "best"}),
        (LABELLED, {"boxes", "scores"}),
        (TWICE, {"boxes", "scores"}),
    ],
    ids=["suppressed", "sorted", "labelled", "suppressed and sorted"],
)
def test_the_values_before_the_choice_are_found(body, values):
    assert before_choice(body, "y") == values


def test_a_choice_with_weights_behind_it_is_the_networks_own():
    """As between the encoder and the decoder of a DETR: what the decoder answers is no list that was chosen."""
    decoder = SORTED.replace(" y =", " queries =") + " y = MatMul(queries, w6)"
    assert before_choice(decoder, "y") == set()
    again = f"{decoder} peak, at = TopK<axis = 1>(y, one)"
    assert before_choice(again, "peak") == {"y"}


def test_outputs_that_nothing_chooses_have_nothing_before_them():
    assert before_choice(NET, "boxes", "scores") == set()

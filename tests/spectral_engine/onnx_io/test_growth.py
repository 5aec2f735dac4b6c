"""A small model that grows is refused before anything of it has grown."""

import resource

import numpy as np
import pytest
from onnx import helper

from spectral_engine.errors import ModelInvalid, ModelTooLarge
from spectral_engine.onnx_io.load import load_mapped, load_model
from spectral_engine.onnx_io.message_count import refuse_many_fields
from tests.support.hostile_models import (
    GROWING,
    calls_itself,
    floats,
    hostile,
    ints,
    laughs,
    many_nodes,
    summed,
)

SPENT = 300 * 2**20  # bytes: what reading a file of some megabytes may take


@pytest.mark.parametrize("kind", GROWING)
def test_what_would_grow_is_too_large_and_nothing_grows(kind):
    model = GROWING[kind]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    with pytest.raises(ModelTooLarge) as refused:
        load_mapped(model)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    assert after - before < SPENT
    assert "at most" in refused.value.detail
    assert refused.value.code == "model-too-large"


@pytest.mark.parametrize(
    ("kind", "node"), [("Tile", "Tile"), ("a body of If", "Expand"), ("Pad of an answer", "Pad")]
)
def test_the_node_is_named(kind, node):
    with pytest.raises(ModelTooLarge) as refused:
        load_model(GROWING[kind]())
    assert refused.value.node is not None
    assert refused.value.node.op_type == node


def test_nodes_that_say_nothing_are_counted_before_they_are_decoded():
    refuse_many_fields(many_nodes(900), most=1000)
    with pytest.raises(ModelTooLarge, match="more than 1,000 nodes"):
        refuse_many_fields(many_nodes(1000), most=1000)


def test_functions_that_call_each_other_in_a_circle_are_invalid():
    with pytest.raises(ModelInvalid, match="calls itself"):
        load_model(calls_itself())


def test_what_grows_a_little_is_read():
    mask = summed(helper.make_node("ConstantOfShape", ["s"], ["c"]))
    assert load_model(hostile(mask, [ints("s", 2048, 2048)])).graph is not None
    assert load_model(laughs(6)).graph.num_nodes() > 2**6


def test_constants_made_of_large_weights_may_take_as_much_as_these():
    transposed = summed(
        helper.make_node("Transpose", ["V"], ["t"]), helper.make_node("Neg", ["t"], ["c"])
    )
    assert load_mapped(hostile(transposed, [floats("V", np.ones((2000, 500)))])).mapped

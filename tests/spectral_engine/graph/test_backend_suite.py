"""Every operator against ONNX's own node cases: each case passes or is refused by name; none is wrong."""

import collections

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from spectral_engine.errors import EngineError, UnsupportedOperator
from spectral_engine.graph.operators import supported_operators
from spectral_engine.loading import load

SUPPORTED = {name for domain, name in supported_operators() if domain == ""}


def cases():
    found = collections.defaultdict(list)
    for case in collect_testcases(None):
        ops = {node.op_type for node in case.model.graph.node}
        if len(ops) == 1 and ops <= SUPPORTED and case.model.opset_import[0].version >= 7:
            found[ops.pop()].append(case)
    return found


CASES = cases()


def plain(value):
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def run(case, inputs):
    module = load(case.model.SerializeToString())
    names = [value.name for value in case.model.graph.input]
    given = {
        name: torch.from_numpy(np.array(value)) for name, value in zip(names, inputs, strict=False)
    }
    with torch.no_grad():
        return module(**given)


def numeric(values):
    return all(isinstance(v, np.ndarray | np.generic) and v.dtype.kind in "fiub" for v in values)


def outcome(case, given, expected):
    """Return None where a case is refused, else whether it was checked."""
    try:
        found = run(case, given)
    except EngineError:
        return None
    for name, wanted in zip([v.name for v in case.model.graph.output], expected, strict=False):
        half = wanted.dtype == np.float16
        np.testing.assert_allclose(
            found[name].numpy().astype(np.float64),
            np.asarray(wanted).astype(np.float64),
            rtol=1e-3 if half else case.rtol,
            atol=1e-3 if half else max(case.atol, 1e-7),
            err_msg=case.name,
        )
        assert found[name].shape == np.shape(wanted), case.name
    return True


@pytest.mark.parametrize("op_type", sorted(CASES))
def test_an_operator_passes_or_is_refused_by_name(op_type):
    outcomes = [
        outcome(case, given, expected)
        for case in CASES[op_type]
        for given, expected in (
            [[plain(v) for v in side] for side in pair] for pair in case.data_sets
        )
        if numeric([*given, *expected])
    ]
    assert any(outcomes), "all cases were refused"


def test_an_operator_that_is_not_known_is_refused_by_node_operator_and_opset():
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float[N] x) => (float[N] y) { y = Asinh(x) }'
    )
    graph.graph.node[0].name = "odd one"
    with pytest.raises(UnsupportedOperator) as caught:
        load(graph.SerializeToString())
    assert caught.value.node.op_type == "Asinh"
    assert caught.value.node.opset == 17
    assert "odd one" in caught.value.detail

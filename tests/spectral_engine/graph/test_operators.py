"""Every operator against ONNX's own node cases: each case passes or is refused by name; none is wrong."""

import collections

import numpy as np
import onnx
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


@pytest.mark.parametrize("op_type", sorted(CASES))
def test_an_operator_passes_or_is_refused_by_name(op_type):
    passed, refused = 0, []
    for case in CASES[op_type]:
        for inputs, outputs in case.data_sets:
            inputs, outputs = [plain(v) for v in inputs], [plain(v) for v in outputs]
            if any(not isinstance(v, np.ndarray | np.generic) for v in inputs):
                continue
            if any(v.dtype.kind not in "fiub" for v in [*inputs, *outputs]):
                continue
            try:
                found = run(case, inputs)
            except UnsupportedOperator as error:
                assert op_type in str(error) or "opset" in str(error)
                refused.append(case.name)
                continue
            except (EngineError, TypeError) as error:
                refused.append(f"{case.name}: {error}")
                continue
            names = [value.name for value in case.model.graph.output]
            for name, expected in zip(names, outputs, strict=False):
                actual = found[name].numpy()
                np.testing.assert_allclose(
                    actual.astype(np.float64),
                    np.asarray(expected).astype(np.float64),
                    rtol=1e-3 if expected.dtype == np.float16 else case.rtol,
                    atol=1e-3 if expected.dtype == np.float16 else max(case.atol, 1e-7),
                    err_msg=case.name,
                )
                assert actual.shape == np.shape(expected), case.name
            passed += 1
    assert passed, f"all refused: {refused}"

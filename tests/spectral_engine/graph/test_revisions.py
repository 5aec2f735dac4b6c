"""Older revisions of operators: ONNX's cases, stated for an older opset where they are legal, against onnxruntime."""

import collections
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from spectral_engine.errors import EngineError
from spectral_engine.graph.loading import load
from tests.support.backend_suite import as_value, cases, outcome_of

OLDEST, NEWEST_OF_ONNXRUNTIME = 7, 25
# Here onnxruntime gives other numbers than ONNX itself expects, and than we do.
ODD = {
    "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
    "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    "test_maxunpool_export_with_output_shape",
}
# Inputs of newer revisions that were attributes of older ones.
MOVED = {
    "Squeeze": {1: "axes"},
    "Unsqueeze": {1: "axes"},
    "Slice": {1: "starts", 2: "ends", 3: "axes"},
    "Pad": {1: "pads", 2: "value"},
    "Split": {1: "split"},
    "TopK": {1: "k"},
    "Clip": {1: "min", 2: "max"},
    "Upsample": {1: "scales"},
}
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
MOVED |= {f"Reduce{name}": {1: "axes"} for name in REDUCTIONS}


def revisions(op_type):
    """Return the opsets at which an operator changed."""
    versions = {
        s.since_version
        for s in onnx.defs.get_all_schemas_with_history()
        if s.name == op_type and not s.domain
    }
    return sorted({max(OLDEST, version) for version in versions})


def older(case, version):
    """Return (model, inputs) for an older opset: as they are, or with inputs turned into attributes."""
    given = [as_value(value) for value in case.data[0][0]]
    names = [value.name for value in case.model.graph.input]
    yield with_opset(case.model, version), dict(zip(names, given, strict=False))
    moved = MOVED.get(case.operator)
    if moved is None or len(given) < 2:
        return
    model = with_opset(case.model, version)
    node = model.graph.node[0]
    values = dict(zip(names, given, strict=False))
    for position in sorted(moved, reverse=True):
        if position < len(node.input):
            name = node.input[position]
            if name:
                value = values.pop(name)
                plain = value.tolist() if value.dim() else value.item()
                plain = plain[0] if moved[position] == "k" and isinstance(plain, list) else plain
                if plain == []:
                    return
                node.attribute.append(helper.make_attribute(moved[position], plain))
            del node.input[position]
    kept = [value for value in model.graph.input if value.name in values]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    yield model, values


def with_opset(model, version):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.opset_import[0].version = version
    copy.ir_version = min(copy.ir_version, 10)
    return copy


def in_onnxruntime(model, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})


def close(computed, wanted):
    computed, exact = computed.astype("f8"), wanted.astype("f8")
    share = 2e-3 if wanted.dtype == np.float16 else 1e-5
    size = np.abs(exact[np.isfinite(exact)]).max(initial=1.0)
    return np.isclose(computed, exact, 1e-3, share * size, equal_nan=True)


def agreed(model, inputs):
    """Return True or what differs; None where somebody refuses."""
    try:
        onnx.checker.check_model(model, full_check=True)
        expected = in_onnxruntime(model, inputs)
    except Exception:  # not legal there, or not known to onnxruntime
        return None
    try:
        with torch.no_grad():
            computed = load(model.SerializeToString())(**inputs)
    except EngineError as error:
        return f"refused: {error.detail}"
    for value, wanted in zip(computed.values(), expected, strict=True):
        if tuple(value.shape) != wanted.shape:
            return f"shape {tuple(value.shape)} for {wanted.shape}"
        near = close(value.numpy(), wanted)
        if not near.all():
            return f"{int((~near).sum())} of {near.size} numbers"
    return True


@pytest.mark.slow
def test_older_revisions_compute_what_onnxruntime_computes():
    wrong, right = {}, collections.defaultdict(set)
    for case in cases():
        alone = len(case.model.graph.node) == 1 and case.data
        if not alone or case.name in ODD or outcome_of(case).verdict != "passed":
            continue
        newest = min(case.model.opset_import[0].version, NEWEST_OF_ONNXRUNTIME)
        for version in revisions(case.operator):
            if version <= newest:
                for model, inputs in older(case, version):
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        result = agreed(model, inputs)
                    if result is True:
                        right[case.operator].add(version)
                    elif result is not None:
                        wrong[case.name, version] = result
    assert wrong == {}
    assert sum(map(len, right.values())) >= 450

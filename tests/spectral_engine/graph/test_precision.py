"""A training in bfloat16: layers hand on values in half precision, and every operator takes them."""

import pytest
import torch

from examples.specimens.zoo import NETS, specimen
from spectral_engine.graph.loading import load
from tests.support.backend_suite import fails_in_half, outcomes


def test_no_operator_fails_on_values_in_half_precision():
    passed = [one.case for one in outcomes() if one.verdict == "passed" and one.case.data]
    failed = {case.name: reason for case in passed if (reason := fails_in_half(case))}
    assert not failed


@pytest.mark.parametrize("name", ["lstm", "gru_both_ways", "llama", "vision"])
def test_a_net_learns_in_half_precision(name):
    exported = specimen(name)
    module = load(exported.model).train()
    with torch.autocast("cpu", torch.bfloat16):
        answers = module(**exported.sample(5))
    (answer,) = (a.float() for a in answers.values())
    answer.square().sum().backward()
    assert bool(answer.isfinite().all())
    for key in module.trainable:
        assert module.initializer(key).grad is not None, key


def test_recurrence_is_computed_in_single_precision_whatever_comes_before():
    assert set(NETS) >= {"lstm"}
    exported = specimen("lstm")
    inputs = exported.sample(5)
    with torch.no_grad():
        wanted = load(exported.model)(**inputs)
        with torch.autocast("cpu", torch.bfloat16):
            half = load(exported.model)(**inputs)
    for name, value in wanted.items():
        torch.testing.assert_close(half[name].float(), value, rtol=0.05, atol=0.05)

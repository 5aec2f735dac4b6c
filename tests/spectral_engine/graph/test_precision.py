"""A training in bfloat16: layers hand on values in half precision, and every operator takes them."""

import pytest
import torch

from examples.specimens.zoo import NETS, specimen
from spectral_engine.graph.loading import load
from tests.support.backend_suite import cases, fails_in_half, outcome_of


def test_no_operator_fails_on_values_in_half_precision():
    failed = {case: reason for case in cases() if case.data and (reason := fails_in_half(case))}
    assert not [(c.name, r) for c, r in failed.items() if outcome_of(c).verdict == "passed"]


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

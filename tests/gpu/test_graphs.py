"""Graphs on a GPU: every net of the zoo with its gradients, and ONNX's own backend cases."""

import collections

import pytest
import torch

from examples.specimens.zoo import NETS, specimen
from spectral_engine.graph.loading import load
from tests.gpu.jobs import DEVICE
from tests.support.backend_suite import cases, fails_in_half, judge, outcomes


def answers_and_gradients(net, device):
    module = load(net.model).to(device)
    inputs = {name: value.to(device) for name, value in net.sample(5).items()}
    answers = module(**inputs)
    sum(a.square().sum() for a in answers.values() if a.is_floating_point()).backward()
    gradients = {name: p.grad.cpu() for name, p in module.named_parameters() if p.grad is not None}
    return {name: a.detach().cpu() for name, a in answers.items()}, gradients


@pytest.fixture(autouse=True)
def plain_arithmetic():
    """Convolutions round to TF32 by default; here both devices round alike."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("name", NETS)
def test_a_net_answers_and_learns_as_on_the_cpu(name):
    net = specimen(name)
    answers, gradients = answers_and_gradients(net, DEVICE)
    wanted, wanted_gradients = answers_and_gradients(net, torch.device("cpu"))
    for key, value in wanted.items():
        torch.testing.assert_close(answers[key], value, rtol=1e-3, atol=1e-4)
    assert gradients.keys() == wanted_gradients.keys()
    for key, value in wanted_gradients.items():
        size = float(value.nan_to_num().abs().max())
        torch.testing.assert_close(
            gradients[key], value, rtol=1e-2, atol=1e-3 * max(1.0, size), equal_nan=True
        )


@pytest.mark.parametrize("name", NETS)
def test_a_net_answers_and_learns_in_half_precision(name):
    net = specimen(name)
    module = load(net.model).to(DEVICE).train()
    inputs = {key: value.to(DEVICE) for key, value in net.sample(5).items()}
    with torch.autocast(DEVICE.type, torch.bfloat16):
        answers = module(**inputs)
    floats = [a.float() for a in answers.values() if a.is_floating_point()]
    assert all(bool(a.isfinite().all()) for a in floats)
    sum(a.square().sum() for a in floats).backward()


def test_onnx_cases_pass_where_they_pass_on_the_cpu():
    cpu = {one.case.name: one.verdict for one in outcomes()}
    judged = [judge(case, DEVICE) for case in cases()]
    other = [
        (one.case.operator, one.case.name, one.verdict, one.reason)
        for one in judged
        if one.verdict != cpu[one.case.name]
    ]
    counted = collections.Counter(one.verdict for one in judged)
    assert not other, "\n".join(map(str, other))
    assert counted["passed"] > 1_543


def test_no_operator_fails_on_values_in_half_precision():
    passed = [one.case for one in outcomes() if one.verdict == "passed" and one.case.data]
    failed = [
        (case.operator, case.name, reason)
        for case in passed
        if (reason := fails_in_half(case, DEVICE))
    ]
    assert not failed, "\n".join(map(str, failed))

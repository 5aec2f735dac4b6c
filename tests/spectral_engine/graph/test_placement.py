"""Graphs on an accelerator: every value lies where those that it meets lie. The device is pretended."""

import collections

import onnx.parser
import pytest
import torch

from examples.specimens.zoo import NETS, specimen
from spectral_engine.graph.loading import load
from tests.support.backend_suite import cases, judge, outcome_of
from tests.support.pretended_device import Pretended, pretended_cuda


def learn(exported, device):
    """Return a net's answers and the gradients of their squares."""
    module = load(exported.model).to(device)
    answers = module(**{name: value.to(device) for name, value in exported.sample(5).items()})
    sum(a.square().sum() for a in answers.values() if a.is_floating_point()).backward()
    gradients = {n: p.grad for n, p in module.named_parameters() if p.grad is not None}
    return {name: a.detach() for name, a in answers.items()} | gradients


@pytest.mark.parametrize("name", NETS)
def test_a_net_answers_and_learns_on_one_device(name):
    exported = specimen(name)
    with pretended_cuda() as cuda:
        there = learn(exported, cuda)
        assert all(isinstance(value, Pretended) for value in there.values())
        brought = {name: value.cpu() for name, value in there.items()}
    here = learn(exported, torch.device("cpu"))
    assert brought.keys() == here.keys()
    for key, value in here.items():
        torch.testing.assert_close(brought[key], value, rtol=1e-4, atol=1e-5, equal_nan=True)


def test_onnx_cases_pass_on_one_device_where_they_pass_on_the_cpu():
    with pretended_cuda() as cuda:
        judged = [judge(case, cuda) for case in cases()]
    failed = [one for one in judged if one.verdict != "passed"]
    assert not [(o.case.name, o.reason) for o in failed if o.verdict != outcome_of(o.case).verdict]
    assert collections.Counter(one.verdict for one in judged)["passed"] > 1_543


def parsed(text):
    header = '<ir_version: 8, opset_import: ["": 18]>'
    return load(onnx.parser.parse_model(f"{header} g {text}").SerializeToString())


def test_numbers_of_shapes_stay_on_the_host_and_what_meets_values_is_brought_over():
    module = parsed(
        """(float[N,4] x) => (float[N,M] y, int64[K] s) {
            s = Shape(x)
            scale = Cast<to = 1>(s)
            ones = ConstantOfShape<value = float[1] {1}>(s)
            moved = Add(x, ones)
            last = Constant<value = int64[1] {1}>()
            width = Gather(scale, last)
            y = Div(moved, width)
        }"""
    )
    with pretended_cuda() as cuda:
        x = torch.arange(8.0).view(2, 4)
        computed = module(x=x.to(cuda))
        assert isinstance(computed["y"], Pretended)
        assert not isinstance(computed["s"], Pretended)
        torch.testing.assert_close(computed["y"].cpu(), (x + 1) / 4)


def test_a_mask_that_is_a_constant_is_brought_over_once(monkeypatch):
    module = parsed(
        """(float[N,3] x) => (float[N,3] y)
        <bool[3] seen = {1, 0, 1}> { nothing = Sub(x, x) y = Where(seen, x, nothing) }"""
    )
    with pretended_cuda() as cuda:
        x = torch.ones(2, 3).to(cuda)
        module(x=x)
        moves = []
        whole = torch.Tensor.to
        monkeypatch.setattr(torch.Tensor, "to", lambda *a, **k: moves.append(a) or whole(*a, **k))
        computed = module(x=x)["y"]
        monkeypatch.undo()
        assert not moves
        assert computed.tolist() == [[1.0, 0.0, 1.0]] * 2


def test_a_body_brings_over_what_it_reads_from_around():
    module = parsed(
        """(float[N,3] x, int64 n) => (float[N,3] y) {
            shape = Shape(x)
            more = ConstantOfShape<value = float[1] {2}>(shape)
            y = Loop(n, , x) <body = step(int64 i, bool go, float[N,3] held)
                => (bool on, float[N,3] next) { on = Identity(go) next = Add(held, more) }>
        }"""
    )
    with pretended_cuda() as cuda:
        computed = module(x=torch.zeros(2, 3).to(cuda), n=torch.tensor(4).to(cuda))["y"]
        assert computed.tolist() == [[8.0] * 3] * 2

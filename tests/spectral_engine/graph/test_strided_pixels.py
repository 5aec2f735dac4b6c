"""Strided kernels of one pixel with few channels, images laid channels last: torch alone crashes on some processors."""

import subprocess
import sys

import pytest

# In a process of its own: what is written beyond a buffer is seen when memory is given back, or never.
PROGRAM = """
import sys
import onnx.parser
import torch
from spectral_engine.graph.loading import load

into, out = map(int, sys.argv[1:])
weights = ", ".join(["0.1"] * into * out)
model = onnx.parser.parse_model(
    f'<ir_version: 8, opset_import: ["": 17]> g (float[N, {into}, 8, 8] x) => (float[N, {out}, 4, 4] y) '
    f'<float[{out}, {into}, 1, 1] w = {{{weights}}}> {{ y = Conv<strides = [2, 2]>(x, w) }}'
)
module = load(model.SerializeToString())
(weight,) = module.parameters()
x = torch.randn(32, into, 8, 8).contiguous(memory_format=torch.channels_last)
for _ in range(60):
    weight.grad = None
    module(x=x)["y"].square().sum().backward()
plain = weight.detach().double().requires_grad_()
torch.einsum("ncij, ocab -> noij", x.double()[..., ::2, ::2], plain).square().sum().backward()
torch.testing.assert_close(weight.grad.double(), plain.grad, rtol=1e-4, atol=1e-2)
"""


@pytest.mark.parametrize(("into", "out"), [(4, 4), (3, 16), (5, 7)])
def test_a_training_goes_through_and_has_the_right_gradient(into, out):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(into), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr

"""Import: what onnxruntime computes, the imported module computes, and its gradients are the original's."""

import collections
import dataclasses
import io

import numpy as np
import onnx
import onnx.parser
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from examples.specimens.zoo import EXPORTERS, NETS, export, settle, specimen
from examples.specimens.zoo.exporting import IMAGE
from spectral_engine.graph.loading import load
from spectral_engine.graph.trace import trace, traced_inputs
from spectral_engine.onnx_io.save import to_bytes
from tests.support.cutting import in_onnxruntime

ALL = pytest.mark.parametrize(("name", "exporter"), [(n, e) for n in NETS for e in EXPORTERS])


def relative(left, right):
    return float(np.abs(left - right).max() / np.abs(right).max())


@ALL
def test_the_module_computes_what_onnxruntime_computes(name, exporter):
    exported = specimen(name, exporter)
    module = load(exported.model)
    for batch in (1, 5):
        inputs = exported.sample(batch)
        with torch.no_grad():
            outputs = module(**inputs)
        for output, wanted in zip(
            outputs.values(), in_onnxruntime(exported.model, inputs), strict=True
        ):
            assert relative(output.numpy(), wanted) <= 1e-4


@ALL
def test_gradients_are_those_of_the_module_that_was_exported(name, exporter):
    """Exporters rename, turn, stack and fold weights; each that kept its values must have kept its gradient."""
    exported = specimen(name, exporter)
    module, inputs = load(exported.model), exported.sample(6)
    exported.net.zero_grad()
    loss_of(exported.net(*inputs.values())).backward()
    loss_of(tuple(module(**inputs).values())).backward()
    originals, gradients = twins(exported.net), {}
    for key in module.trainable:
        parameter = module.initializer(key)
        twin = next((one for one in originals if one.equals(parameter)), None)
        if twin is not None:
            gradient = parameter.grad.view(twin.gradient.shape)
            gradients.setdefault(twin, []).append(gradient)
    whole = collections.defaultdict(int)
    for (
        twin,
        copies,
    ) in gradients.items():  # a tied weight may be written twice: its copies share its gradient
        whole[twin.plain] = whole[twin.plain] + twin.back(sum(copies))
    for twin, gradient in whole.items():
        scale = float(twin.gradient.abs().max())
        torch.testing.assert_close(gradient, twin.gradient, rtol=1e-3, atol=1e-5 * (1 + scale))
    seen = {name for twin in whole for name in twin.names}
    folded = sum(
        isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)
        for m in exported.net.modules()
    )
    reached = [
        p for p in exported.net.parameters() if p.grad is not None and p.grad.abs().max() > 1e-7
    ]
    assert len(seen) >= len(reached) - 4 * folded


@dataclasses.dataclass(eq=False)
class Twin:
    """Parameters of a net in a form that an exporter may write them in, with their gradient in that form."""

    names: tuple[str, ...]
    value: torch.Tensor
    gradient: torch.Tensor
    of: "Twin | None" = None  # what this one is, turned

    @property
    def plain(self):
        return self.of or self

    def equals(self, parameter):
        same = self.value.numel() == parameter.numel()
        return same and torch.equal(self.value.view(-1), parameter.view(-1))

    def back(self, gradient):
        return gradient if self.of is None else gradient.T


def loss_of(outputs):
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    generator = torch.Generator().manual_seed(2)
    targets = [torch.randn(output.shape, generator=generator) for output in several]
    return sum(nn.functional.mse_loss(o, t) for o, t in zip(several, targets, strict=True))


def twins(net):
    """Return every parameter as it is, turned, and as ONNX stacks recurrent ones."""
    forms = []
    for name, parameter in net.named_parameters():
        plain = Twin((name,), parameter.detach(), parameter.grad)
        forms.append(plain)
        if parameter.dim() == 2 and parameter.grad is not None:
            turned = parameter.detach().T.contiguous(), parameter.grad.T.contiguous()
            forms.append(Twin((name,), *turned, of=plain))
    for prefix, module in net.named_modules():
        if isinstance(module, nn.LSTM | nn.GRU | nn.RNN):
            forms += stacked(prefix, module)
    return forms


def stacked(prefix, module):
    order = {nn.LSTM: [0, 3, 1, 2], nn.GRU: [1, 0, 2], nn.RNN: [0]}[type(module)]
    directions = ["", "_reverse"] if module.bidirectional else [""]
    stacks = []
    for layer in range(module.num_layers):
        ends = [f"_l{layer}{direction}" for direction in directions]
        for kinds in (["weight_ih"], ["weight_hh"], ["bias_ih", "bias_hh"]):
            names = [kind + end for end in ends for kind in kinds]
            parameters = [getattr(module, name) for name in names]
            full_names = tuple(f"{prefix}.{name}" for name in names)
            values = [reorder(p.detach(), order) for p in parameters]
            gradients = [reorder(p.grad, order) for p in parameters]
            stacks.append(Twin(full_names, torch.cat(values), torch.cat(gradients)))
    return stacks


def reorder(rows, order):
    return torch.cat([rows.chunk(len(order))[gate] for gate in order])


@ALL
def test_parameters_bear_the_initializers_names(name, exporter):
    exported = specimen(name, exporter)
    names = {n for n, _ in load(exported.model).named_parameters()}
    floats = {
        t.name for t in onnx.load_from_string(exported.model).graph.initializer if t.data_type == 1
    }
    assert floats <= names


@pytest.mark.parametrize("name", ["residual", "without_bias", "depthwise"])
def test_what_is_trained_is_written_back_into_the_graph_that_came_in(name):
    exported = specimen(name)
    module, inputs = load(exported.model), exported.sample(4)
    with torch.no_grad():
        for key in module.trainable:
            module.initializer(key).mul_(1.1).add_(0.01)
        (expected,) = module(**inputs).values()
    module.write_back()
    written = to_bytes(module.model)
    assert relative(in_onnxruntime(written, inputs)[0], expected.numpy()) <= 1e-4
    before, after = (
        onnx.load_from_string(exported.model).graph,
        onnx.load_from_string(written).graph,
    )
    assert (after.input, after.output) == (before.input, before.output)


def test_weights_can_be_replaced_for_one_call_and_gradients_flow_to_them():
    exported = specimen("perceptron_relu")
    module, inputs = load(exported.model), exported.sample(3)
    name = module.trainable[0]
    weight = torch.zeros_like(module.initializer(name)).requires_grad_()
    replaced = module.compute(inputs, {name: weight})
    next(iter(replaced.values())).sum().backward()
    assert weight.grad is not None
    assert module.initializer(name).grad is None


def test_batch_statistics_are_used_and_followed_while_a_module_trains():
    net = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 8), nn.Flatten())
    settle(net, (IMAGE,))
    module = load(export(net, (IMAGE,), ("in0",), "torchscript"))
    (mean_name,) = [n for n, _ in module.named_parameters() if "mean" in n]
    before, x = module.initializer(mean_name).detach().clone(), torch.randn(8, 3, 8, 8)
    net.train()
    module.train()
    (output,) = module(in0=x).values()
    torch.testing.assert_close(output, net(x), rtol=1e-4, atol=1e-5)
    assert not torch.equal(module.initializer(mean_name), before)
    torch.testing.assert_close(module.initializer(mean_name).detach(), net[0].running_mean)


def test_a_batch_size_frozen_to_one_runs_batched_all_the_same():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 36, 5)

        def forward(self, x):
            return self.head(torch.relu(self.conv(x)).reshape(1, 144))

    net, file = Frozen().eval(), io.BytesIO()
    torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), file, input_names=["x"], dynamo=False)
    module, x = load(file.getvalue()), torch.randn(7, 1, 8, 8)
    with torch.no_grad():
        (together,) = module(x=x).values()
        alone = torch.cat([net(row[None]) for row in x])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


def test_half_precision_models_train_in_single_and_are_written_back_in_half():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g (float16[N, 3] x) => (float16[N, 2] y) { y = MatMul(x, w) }'
    )
    model.graph.initializer.append(numpy_helper.from_array(np.ones((3, 2), np.float16), "w"))
    module = load(model.SerializeToString())
    assert module.initializer("w").dtype == torch.float32
    module.write_back({"w": torch.full((3, 2), 1e-42)})
    written = onnx.load_from_string(to_bytes(module.model)).graph.initializer[0]
    assert written.data_type == onnx.TensorProto.FLOAT16


def test_numbers_too_small_to_be_normal_are_written_as_zero():
    module = load(specimen("perceptron_relu").model)
    name = module.trainable[0]
    module.write_back({name: torch.full_like(module.initializer(name), 1e-40)})
    assert not module.model.graph.initializers[name].const_value.numpy().any()


def test_shapes_of_all_values_are_known_from_one_run():
    exported = specimen("inception")
    module = load(exported.model)
    inputs = traced_inputs(module, batch=3)
    shapes = {name: tuple(value.shape) for name, value in (inputs | module.run(inputs)).items()}
    assert shapes[module.output_names[0]] == (3, 5)
    assert shapes["in0"] == (3, 3, 8, 8)
    assert trace(module).shapes.keys() >= {*shapes, *module.names}

"""Small nets of every shape that is supported, written in torch and exported by both of its exporters."""

import functools
import io
import warnings
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EXPORTERS = ("torchscript", "dynamo")


def perceptron(activation: type[nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 20), activation(), nn.Linear(20, 16), activation(), nn.Linear(16, 5)
    )


class WithoutBias(nn.Module):
    """MatMul alone, and MatMul with an Add of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(12, 20) * 0.3)
        self.second = nn.Parameter(torch.randn(20, 16) * 0.3)
        self.shift = nn.Parameter(torch.randn(16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(torch.relu(x @ self.first) @ self.second + self.shift))


class Residual(nn.Module):
    """Stem and blocks share one row of channels; one block goes round by a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(8)
        self.a = nn.Conv2d(8, 8, 3, padding=1)
        self.b = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.side = nn.Conv2d(8, 12, 1, stride=2)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem_norm(self.stem(x)))
        x = torch.relu(x + self.norm(self.b(torch.relu(self.a(x)))))
        x = torch.relu(self.down(x) + self.side(x))
        return self.head(x.mean(dim=(2, 3)))


class PreActivation(nn.Module):
    """Normalisations before the convolutions, so that no exporter folds them away."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm_a, self.norm_b = nn.BatchNorm2d(8), nn.BatchNorm2d(10)
        self.a, self.b = nn.Conv2d(8, 10, 3, padding=1), nn.Conv2d(10, 8, 3, padding=1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.b(torch.relu(self.norm_b(self.a(torch.relu(self.norm_a(x))))))
        return self.head(nn.functional.adaptive_avg_pool2d(torch.relu(x), 1).flatten(1))


class Inception(nn.Module):
    """Branches joined along the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 6, 1)
        self.three = nn.Conv2d(3, 7, 3, padding=1)
        self.five = nn.Conv2d(3, 4, 5, padding=2)
        self.after = nn.Conv2d(17, 9, 3, padding=1)
        self.head = nn.Linear(9 * 16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([torch.relu(conv(x)) for conv in (self.one, self.three, self.five)], dim=1)
        x = nn.functional.max_pool2d(torch.relu(self.after(x)), 2)
        return self.head(x.flatten(1))


class Depthwise(nn.Module):
    """Inverted residual: expand, filter each channel alone, project back."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.expand = nn.Conv2d(8, 24, 1)
        self.filter = nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.project = nn.Conv2d(24, 8, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.hardswish(self.stem(x))
        x = x + self.project(nn.functional.relu6(self.filter(nn.functional.relu6(self.expand(x)))))
        return self.head(x.mean(dim=(2, 3)))


class SqueezeExcite(nn.Module):
    """Channels weighed by what a small net says of their means."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 10, 3, padding=1)
        self.squeeze, self.excite = nn.Conv2d(10, 4, 1), nn.Conv2d(4, 10, 1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.nn.functional.silu(self.stem(x))
        weight = torch.sigmoid(
            self.excite(torch.relu(self.squeeze(x.mean(dim=(2, 3), keepdim=True))))
        )
        return self.head((x * weight).mean(dim=(2, 3)))


def plain_convolutions(activation: nn.Module) -> nn.Module:
    """Convolution, pooling, flatten, dense: the flattened axis repeats every channel."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        activation,
        nn.AvgPool2d(2),
        nn.Conv2d(8, 6, 2),
        activation,
        nn.Flatten(),
        nn.Linear(6 * 4, 16),
        activation,
        nn.Dropout(0.3),
        nn.Linear(16, 5),
    )


def vgg() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(48, 5),
    )


class TwoInputs(nn.Module):
    """An image and a row of numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(3, 6, 3)
        self.read = nn.Linear(12, 7)
        self.head = nn.Linear(13, 5)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        seen = torch.relu(self.look(image)).amax(dim=(2, 3))
        return self.head(torch.cat([seen, torch.tanh(self.read(numbers))], dim=1))


class Signal(nn.Module):
    """Conv1d over a signal, reshaped by a view that reads the batch size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 8, 3, padding=1), nn.Conv1d(8, 6, 3, stride=2)
        self.head = nn.Linear(6 * 5, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.leaky_relu(self.first(x.view(x.size(0), 2, 12)), 0.1)
        x = nn.functional.gelu(self.second(x))
        return self.head(x.view(x.size(0), -1))


ROW, IMAGE = (12,), (3, 8, 8)
NETS = {
    "perceptron_relu": (lambda: perceptron(nn.ReLU), (ROW,)),
    "perceptron_sigmoid": (lambda: perceptron(nn.Sigmoid), (ROW,)),
    "perceptron_tanh": (lambda: perceptron(nn.Tanh), (ROW,)),
    "without_bias": (WithoutBias, (ROW,)),
    "residual": (Residual, (IMAGE,)),
    "pre_activation": (PreActivation, (IMAGE,)),
    "inception": (Inception, (IMAGE,)),
    "depthwise": (Depthwise, (IMAGE,)),
    "squeeze_excite": (SqueezeExcite, (IMAGE,)),
    "plain_elu": (lambda: plain_convolutions(nn.ELU()), (IMAGE,)),
    "plain_sigmoid": (lambda: plain_convolutions(nn.Sigmoid()), (IMAGE,)),
    "vgg": (vgg, (IMAGE,)),
    "two_inputs": (TwoInputs, (IMAGE, ROW)),
    "signal": (Signal, ((24,),)),
}


@dataclass(frozen=True)
class Specimen:
    """A net, the ONNX file that an exporter wrote of it, and the names of its inputs."""

    name: str
    net: nn.Module
    model: bytes
    inputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    def sample(self, batch: int, seed: int = 0) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.randn(batch, *shape, generator=generator)
            for name, shape in zip(self.inputs, self.shapes, strict=True)
        }


@functools.cache
def specimen(name: str, exporter: str = "torchscript") -> Specimen:
    """Build, settle its statistics on random data, and export; exported once per session."""
    make, shapes = NETS[name]
    torch.manual_seed(len(name))
    net = settle(make(), shapes)
    names = tuple(f"in{i}" for i in range(len(shapes)))
    return Specimen(name, net, export(net, shapes, names, exporter), names, shapes)


def settle(net: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> nn.Module:
    """Give biases and running statistics values that are not the usual zeros and ones."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
        net.train()
        for _ in range(3):
            net(*[torch.randn(16, *shape, generator=generator) for shape in shapes])
    return net.eval()


def export(
    net: nn.Module, shapes: tuple[tuple[int, ...], ...], names: tuple[str, ...], exporter: str
) -> bytes:
    example = tuple(torch.randn(2, *shape) for shape in shapes)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "torchscript":
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=["out"],
                dynamic_axes={name: {0: "batch"} for name in (*names, "out")}, dynamo=False,
            )  # fmt: skip
        else:
            batch = torch.export.Dim("batch")
            torch.onnx.export(
                net, example, file, input_names=list(names), output_names=["out"],
                dynamic_shapes=tuple({0: batch} for _ in names), dynamo=True, verbose=False,
            )  # fmt: skip
    return file.getvalue()

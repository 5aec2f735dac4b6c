"""Perceptrons: plain, with bare matrices, several inputs, several outputs, shared weights, gates."""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import IMAGE, ROW


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


class TwoAnswers(nn.Module):
    """One body, two heads: what and how much."""

    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner = nn.Linear(12, 20), nn.Linear(20, 14)
        self.what, self.how_much = nn.Linear(14, 5), nn.Linear(20, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.relu(self.body(x))
        return self.what(torch.tanh(self.inner(x))), self.how_much(x)


class Twins(nn.Module):
    """One layer read twice: its nodes go from both readings."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.head = nn.Linear(12, 18), nn.Linear(36, 5)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        both = [torch.relu(self.shared(x)) for x in (left, right)]
        return self.head(torch.cat(both, dim=1))


class Gated(nn.Module):
    """Halves of one layer, the one gating the other, with a layer norm before the head."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.norm, self.head = nn.Linear(12, 32), nn.LayerNorm(16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(nn.functional.glu(self.wide(x))))


class Cross(nn.Module):
    """Wide and deep: products of features with themselves beside a perceptron, a slope learned for each node."""

    def __init__(self) -> None:
        super().__init__()
        self.cross, self.deep, self.slope = nn.Linear(12, 12), nn.Linear(12, 20), nn.PReLU(20)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        crossed = x * self.cross(x) + x
        return self.head(torch.cat([crossed, self.slope(self.deep(x))], dim=1))


PERCEPTRONS = {
    "perceptron_relu": (lambda: perceptron(nn.ReLU), (ROW,)),
    "perceptron_sigmoid": (lambda: perceptron(nn.Sigmoid), (ROW,)),
    "perceptron_tanh": (lambda: perceptron(nn.Tanh), (ROW,)),
    "without_bias": (WithoutBias, (ROW,)),
    "two_inputs": (TwoInputs, (IMAGE, ROW)),
    "two_answers": (TwoAnswers, (ROW,)),
    "twins": (Twins, (ROW, ROW)),
    "gated": (Gated, (ROW,)),
    "cross": (Cross, (ROW,)),
}

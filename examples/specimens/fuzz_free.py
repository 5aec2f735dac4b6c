"""Nets whose inputs have free axes besides their rows, written in torch: sound, lines of text, tokens, images."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.specimens.zoo import Input, settle
from examples.specimens.zoo.exporting import TOKENS

Names = Sequence[str]  # of the axes of an input; "" for one of a fixed length
LONGEST = 64  # places that tokens may stand at


class Sound(nn.Module):
    """Convolutions over time; answers of the whole, or of each step."""

    def __init__(self, each_step: bool) -> None:
        super().__init__()
        self.each_step, stride = each_step, 1 if each_step else 2
        self.first, self.norm = nn.Conv1d(4, 12, 5, stride, 2), nn.BatchNorm1d(12)
        self.second, self.head = nn.Conv1d(12, 10, 3, stride, 1), nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.second(torch.relu(self.norm(self.first(x)))))
        return self.head(seen.transpose(1, 2) if self.each_step else seen.mean(dim=2))


class Line(nn.Module):
    """A line of text, 48 high and as wide as it comes: what is read at each step of its width."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, (4, 2), 1), nn.ReLU(),
        )  # fmt: skip
        self.read, self.head = nn.GRU(48, 6, batch_first=True, bidirectional=True), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.look(x)
        rows, channels, height, width = seen.shape
        steps = seen.reshape(rows, channels * height, width).transpose(1, 2)
        return self.head(self.read(steps)[0]).softmax(-1)


class Attention(nn.Module):
    """Two heads whose sizes are read from what comes in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        rows, steps, width = x.shape
        parts = self.all(x).reshape(rows, steps, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        seen = (parts[0] @ parts[1].transpose(2, 3) / 2).softmax(-1) @ parts[2]
        return self.norm(x + self.out(seen.transpose(1, 2).reshape(rows, steps, width)))


class Tokens(nn.Module):
    """Tokens [N, T] with their places, attention, and one answer."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.attend = nn.Embedding(TOKENS, 8), Attention(8)
        self.places = nn.Parameter(torch.randn(LONGEST, 8))
        self.wide, self.head = nn.Linear(8, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.attend(self.words(x) + self.places[: x.shape[1]])
        return self.head(F.gelu(self.wide(seen)).mean(dim=1))


class Steps(nn.Module):
    """Steps [N, T, C], attention, and an answer for each; nowhere is a length stated."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.attend = nn.Linear(6, 8), Attention(8)
        self.wide, self.back, self.head = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.attend(self.into(x))
        return self.head(seen + self.back(torch.relu(self.wide(seen))))


class Recurrent(nn.Module):
    """A recurrent body whose first states are zeros in a number that it reads."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.wide, self.head = body, nn.Linear(width, 14), nn.Linear(14, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.wide(self.body(x)[0])))


class Carried(nn.Module):
    """A recurrent body that takes and answers its state [layers, N, H]."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(6, 10)
        self.body, self.head = nn.GRU(10, 8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        steps, last = self.body(torch.relu(self.into(x)), state)
        return self.head(steps), last


class Picture(nn.Module):
    """An image of any size, each pixel answered: down, up to the size that was read, and past a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 12, 3, 2, 1)
        self.up, self.head = nn.Conv2d(12, 8, 1), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.first(x))
        small = torch.relu(self.up(torch.relu(self.down(seen))))
        return self.head(torch.cat([seen, F.interpolate(small, size=x.shape[2:])], dim=1))


class Boxes(nn.Module):
    """Boxes in pixels, scores and the best of them, for each cell of an image of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU(),
        )  # fmt: skip
        self.box_head, self.score = nn.Conv2d(12, 4, 1), nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.body(x)
        boxes = self.box_head(seen).flatten(2).transpose(1, 2)
        scores = torch.sigmoid(self.score(seen).flatten(2).transpose(1, 2))
        return boxes * x.shape[3], scores, scores.argmax(-1)


SOUND, ROWS = ("N", "", "T"), ("N", "T", "")
Made = tuple[Callable[[], nn.Module], Sequence[Input], Sequence[Names]]
FREE: dict[str, Made] = {
    "sound": (lambda: Sound(False), [Input((4, 16))], [SOUND]),
    "sound_steps": (lambda: Sound(True), [Input((4, 16))], [SOUND]),
    "line": (Line, [Input((1, 48, 24))], [("N", "", "", "W")]),
    "tokens": (Tokens, [Input((6,), tokens=True)], [("N", "T")]),
    "steps": (Steps, [Input((6, 6))], [ROWS]),
    "lstm_both_ways": (
        lambda: Recurrent(nn.LSTM(6, 8, batch_first=True, bidirectional=True), 16),
        [Input((5, 6))],
        [ROWS],
    ),
    "picture": (Picture, [Input((3, 16, 16))], [("N", "", "H", "W")]),
}
SEVERAL: dict[str, Made] = {"boxes": (Boxes, [Input((3, 16, 16))], [("N", "", "H", "W")])}
TIME_MAJOR: dict[str, Made] = {
    "time_major_gru": (lambda: Recurrent(nn.GRU(6, 9), 9), [Input((5, 6))], [("T", "N", "")]),
}


def exported(nets: dict[str, Made]) -> dict[str, bytes]:
    """Return the nets as torch's older exporter writes them, by name."""
    return {
        name: _export(settle(make(), tuple(inputs)), inputs, axes)
        for name, (make, inputs, axes) in nets.items()
    }


def carried_state() -> bytes:
    """Return a net beside whose steps a state [2, N, H] comes in."""
    net, sample = Carried().eval(), (torch.randn(3, 5, 6), torch.randn(2, 3, 8))
    return _written(net, sample, [ROWS, ("", "N", "")], ["steps", "last"])


def _export(net: nn.Module, inputs: Sequence[Input], axes: Sequence[Names]) -> bytes:
    generator = torch.Generator().manual_seed(0)
    sample = tuple(one.sample(3, generator) for one in inputs)
    answers = net(*sample)
    count = len(answers) if isinstance(answers, tuple) else 1
    return _written(net, sample, axes, [f"out{i}" for i in range(count)])


def _written(
    net: nn.Module, sample: tuple[Tensor, ...], axes: Sequence[Names], outputs: list[str]
) -> bytes:
    names, file = [f"in{i}" for i in range(len(sample))], io.BytesIO()
    dynamic = {
        name: {axis: called for axis, called in enumerate(along) if called}
        for name, along in zip(names, axes, strict=True)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, sample, file, input_names=names, output_names=outputs, dynamic_axes=dynamic,
            dynamo=False, opset_version=17,
        )  # fmt: skip
    return file.getvalue()

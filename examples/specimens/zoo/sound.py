"""Nets over signals, lines of text and words of any length: dilated, separable, recurrent behind convolutions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.specimens.zoo.exporting import TOKENS, Input
from examples.specimens.zoo.transformers import Attention

WAVE = Input((2, 12), free=((1, "steps"),))
LINE = Input((1, 8, 12), free=((2, "width"),))
FRAMES = Input((8, 12), free=((0, "frames"),))
WORDS = Input((6,), tokens=True, free=((0, "words"),))


class WaveNet(nn.Module):
    """Gated, dilated and causal; what each block skips to the end is summed."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, 8, 1)
        self.filters = nn.ModuleList(nn.Conv1d(8, 12, 2, dilation=d) for d in (1, 2))
        self.gates = nn.ModuleList(nn.Conv1d(8, 12, 2, dilation=d) for d in (1, 2))
        self.backs = nn.ModuleList(nn.Conv1d(12, 8, 1) for _ in range(2))
        self.skips = nn.ModuleList(nn.Conv1d(12, 10, 1) for _ in range(2))
        self.last, self.out = nn.Conv1d(10, 10, 1), nn.Conv1d(10, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.stem(x), None
        for at, (filter_, gate) in enumerate(zip(self.filters, self.gates, strict=True)):
            padded = F.pad(x, (at + 1, 0))
            inner = torch.tanh(filter_(padded)) * torch.sigmoid(gate(padded))
            skip = self.skips[at](inner)
            total = skip if total is None else total + skip
            x = x + self.backs[at](inner)
        return self.out(torch.relu(self.last(torch.relu(total))))


class AudioTagger(nn.Module):
    """Strided filters over the samples; mean and maximum over time side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv1d(2, 8, 4, 2, 1), nn.BatchNorm1d(8), nn.ReLU()),
            *(nn.Conv1d(8, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU(), nn.MaxPool1d(2)),
        )
        self.wide, self.head = nn.Linear(24, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return self.head(torch.relu(self.wide(x)))


class LineReader(nn.Module):
    """CRNN: columns of an image's features, read both ways; an answer for every column."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, (2, 1), 1)
        self.read = nn.LSTM(16, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.relu(self.first(x)), (2, 1))
        x = torch.relu(self.second(x)).flatten(1, 2).transpose(1, 2)
        return self.head(self.read(x)[0]).log_softmax(dim=2)


class Tagger(nn.Module):
    """Words through a GRU both ways; a tag for each."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, 10)
        self.read = nn.GRU(10, 8, batch_first=True, bidirectional=True)
        self.wide, self.head = nn.Linear(16, 14), nn.Linear(14, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(F.gelu(self.wide(self.read(self.words(tokens))[0])))


class SeparableText(nn.Module):
    """Words through separable convolutions and gated linear units; the strongest of each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, 10)
        self.each, self.mix = nn.Conv1d(10, 10, 3, padding=1, groups=10), nn.Conv1d(10, 24, 1)
        self.head = nn.Linear(12, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens).transpose(1, 2)
        return self.head(F.glu(self.mix(torch.relu(self.each(x))), dim=1).amax(dim=2))


class Conformer(nn.Module):
    """Half feed-forward steps about attention and a gated depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(12, 16), nn.Linear(16, 5)
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 20), nn.SiLU(), nn.Linear(20, 16))
            for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
        self.attention, self.point = Attention(), nn.Conv1d(16, 32, 1)
        self.each, self.norm = nn.Conv1d(16, 16, 3, padding=1, groups=16), nn.BatchNorm1d(16)
        self.back = nn.Conv1d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        x = x + 0.5 * self.feeds[0](x)
        x = x + self.attention(self.norms[0](x))
        inner = F.glu(self.point(self.norms[1](x).transpose(1, 2)), dim=1)
        x = x + self.back(F.silu(self.norm(self.each(inner)))).transpose(1, 2)
        x = x + 0.5 * self.feeds[1](x)
        return self.head(self.norms[2](x))


class Listener(nn.Module):
    """A sequence and a question: additive attention over a GRU's states, weighed by what is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.ask = nn.GRU(12, 10, batch_first=True), nn.Linear(12, 9)
        self.key, self.score = nn.Linear(10, 9, bias=False), nn.Linear(9, 1)
        self.join, self.head = nn.Linear(10 + 12, 14), nn.Linear(14, 5)

    def forward(self, x: Tensor, question: Tensor) -> Tensor:
        states = self.read(x)[0]
        scores = self.score(torch.tanh(self.key(states) + self.ask(question)[:, None]))
        context = torch.bmm(scores.softmax(dim=1).transpose(1, 2), states)[:, 0]
        return self.head(torch.tanh(self.join(torch.cat([context, question], dim=1))))


SOUND = {
    "wavenet": (WaveNet, (WAVE,)),
    "audio_tagger": (AudioTagger, (WAVE,)),
    "line_reader": (LineReader, (LINE,)),
    "tagger": (Tagger, (WORDS,)),
    "separable_text": (SeparableText, (WORDS,)),
    "conformer": (Conformer, (FRAMES,)),
    "listener": (Listener, (FRAMES, Input((12,)))),
}

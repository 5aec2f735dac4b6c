"""Transformers of any length and their kin: masks, token types, packed projections, relative places, experts."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.specimens.zoo.exporting import TOKENS, Input
from examples.specimens.zoo.transformers import HEADS, SIZE, WIDTH, Attention, Block, RMSNorm

WORDS = Input((6,), tokens=True, free=((0, "words"),))
STEPS = Input((6, 12), free=((0, "steps"),))
PATCHES = Input((3, 8, 8))
LONGEST = 32


def split(x: Tensor) -> Tensor:
    """[N, T, heads · size] as [N, heads, T, size]."""
    return x.view(x.shape[0], x.shape[1], HEADS, SIZE).transpose(1, 2)


def join(x: Tensor) -> Tensor:
    """[N, heads, T, size] as [N, T, heads · size]."""
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], WIDTH)


class Bert(nn.Module):
    """Words, token types and a mask; post-norm blocks; an answer for the first word and one for each."""

    outputs = 2

    def __init__(self) -> None:
        super().__init__()
        self.words, self.kinds = nn.Embedding(TOKENS, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Embedding(LONGEST, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = nn.Linear(WIDTH, 24), nn.Linear(24, WIDTH)
        self.pool, self.what = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 5)
        self.tags = nn.Linear(WIDTH, 4)

    def forward(self, tokens: Tensor, kinds: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.norms[0](self.words(tokens) + self.kinds(kinds) + self.places(places)[None])
        unseen = (1.0 - (mask > 0).to(x.dtype))[:, None, None, :] * -1e4
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        weights = (q @ k.transpose(-1, -2) / SIZE**0.5 + unseen).softmax(dim=-1)
        x = self.norms[1](x + self.out(join(weights @ v)))
        x = self.norms[2](x + self.narrow(F.gelu(self.wide(x))))
        return self.what(torch.tanh(self.pool(x[:, 0]))), self.tags(x)


class Gpt(nn.Module):
    """Projections packed into one matrix, a triangle of ones cut to the length, an answer for the next word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(TOKENS, WIDTH), nn.Embedding(LONGEST, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(3))
        self.packed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
        self.register_buffer("seen", torch.tril(torch.ones(1, 1, LONGEST, LONGEST)).bool())

    def forward(self, tokens: Tensor) -> Tensor:
        steps = tokens.shape[1]
        x = self.words(tokens) + self.places(torch.arange(steps, device=tokens.device))
        q, k, v = (split(part) for part in self.packed(self.norms[0](x)).split(WIDTH, dim=2))
        scores = (q @ k.transpose(-1, -2)) * SIZE**-0.5
        scores = scores.masked_fill(~self.seen[:, :, :steps, :steps], -1e9)
        x = x + self.out(join(scores.softmax(dim=-1) @ v))
        x = x + self.narrow(F.gelu(self.wide(self.norms[1](x)), approximate="tanh"))
        return F.linear(self.norms[2](x), self.words.weight)


class RelativePlaces(nn.Module):
    """T5's block: a bias for each head and distance, RMS norms, no biases, a gated feed-forward net."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.bias = nn.Embedding(TOKENS, WIDTH), nn.Embedding(9, HEADS)
        self.norms = nn.ModuleList(RMSNorm() for _ in range(3))
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(WIDTH, 20, bias=False), nn.Linear(WIDTH, 20, bias=False)
        self.down, self.head = nn.Linear(20, WIDTH, bias=False), nn.Linear(WIDTH, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x, steps = self.words(tokens), torch.arange(tokens.shape[1], device=tokens.device)
        far = (steps[None] - steps[:, None]).clamp(-4, 4) + 4
        inner = self.norms[0](x)
        q, k, v = split(self.q(inner)), split(self.k(inner)), split(self.v(inner))
        scores = q @ k.transpose(-1, -2) + self.bias(far).permute(2, 0, 1)[None]
        x = x + self.out(join(scores.softmax(dim=-1) @ v))
        inner = self.norms[1](x)
        x = x + self.down(F.gelu(self.gate(inner)) * self.up(inner))
        return self.head(self.norms[2](x).mean(dim=1))


class SpatialGates(nn.Module):
    """gMLP: one half of the features gates the other, mixed over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(12, 12), nn.Linear(12, 5)
        self.wide, self.narrow = nn.Linear(12, 32), nn.Linear(16, 12)
        self.norm, self.again = nn.LayerNorm(12), nn.LayerNorm(16)
        self.mix = nn.Conv1d(6, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        left, right = F.gelu(self.wide(self.norm(x))).chunk(2, dim=-1)
        return self.head((x + self.narrow(left * self.mix(self.again(right)))).mean(dim=1))


class Perceiver(nn.Module):
    """A few learnt rows look at a sequence of any length, then at themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.randn(1, 3, WIDTH))
        self.enter, self.look, self.block = nn.Linear(12, WIDTH), Attention(), Block()
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.rows.expand(x.shape[0], -1, -1)
        rows = rows + self.look(self.norm(rows), F.gelu(self.enter(x)))
        return self.head(self.block(rows).mean(dim=1))


class Experts(nn.Module):
    """Three experts, all of them asked, weighed by a gate for each step."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.gate = nn.Linear(12, WIDTH), nn.Linear(WIDTH, 3)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 20), nn.ReLU(), nn.Linear(20, WIDTH)) for _ in range(3)
        )
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.enter(x)
        weights = self.gate(x).softmax(dim=-1)
        expert_outputs = torch.stack([expert(x) for expert in self.experts], dim=-1)
        return self.head((x + (expert_outputs * weights[:, :, None]).sum(dim=-1)).mean(dim=1))


class Windows(nn.Module):
    """Swin: attention inside of windows that are shifted by half, with a bias for each pair of places."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, WIDTH, 2, 2), nn.LayerNorm(WIDTH)
        self.packed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.bias = nn.Parameter(torch.randn(HEADS, 4, 4) * 0.3)
        self.merge, self.head = nn.Linear(4 * WIDTH, 20), nn.Linear(20, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).permute(0, 2, 3, 1)
        batch, height, width, _ = x.shape
        inner = torch.roll(self.norm(x), (-1, -1), dims=(1, 2))
        inner = inner.view(batch, height // 2, 2, width // 2, 2, WIDTH)
        inner = inner.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, WIDTH)
        packed = self.packed(inner).reshape(-1, 4, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4)
        q, k, v = packed[0], packed[1], packed[2]
        mixed = (q @ k.transpose(-2, -1) * SIZE**-0.5 + self.bias).softmax(dim=-1) @ v
        inner = self.out(mixed.transpose(1, 2).reshape(-1, 4, WIDTH))
        inner = inner.view(batch, height // 2, width // 2, 2, 2, WIDTH).permute(0, 1, 3, 2, 4, 5)
        inner = inner.reshape(batch, height, width, WIDTH)
        x = x + torch.roll(inner, (1, 1), dims=(1, 2))
        parts = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.head(F.gelu(self.merge(torch.cat(parts, dim=-1))).mean(dim=(1, 2)))


LANGUAGE = {
    "bert": (Bert, (WORDS, WORDS, WORDS)),
    "gpt": (Gpt, (WORDS,)),
    "relative_places": (RelativePlaces, (WORDS,)),
    "spatial_gates": (SpatialGates, (Input((6, 12)),)),
    "perceiver": (Perceiver, (STEPS,)),
    "experts": (Experts, (STEPS,)),
    "windows": (Windows, (PATCHES,)),
}

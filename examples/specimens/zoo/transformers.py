"""Transformers: encoders and decoders, vision, gated, rotary, grouped queries, mixers."""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import IMAGE, SENTENCE, SEQUENCE, TOKENS

WIDTH, HEADS, SIZE = 16, 4, 4


class Attention(nn.Module):
    """Attention in plain operators; with fewer heads for keys and values, they are shared."""

    def __init__(self, groups: int = HEADS, rotary: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.query, self.out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.key, self.value = nn.Linear(WIDTH, groups * SIZE), nn.Linear(WIDTH, groups * SIZE)
        self.groups, self.rotary, self.fused = groups, rotary, fused
        angle = torch.arange(8)[:, None] * 0.3 ** torch.arange(SIZE // 2)[None]
        self.register_buffer("cos", torch.cos(angle).repeat(1, 2))
        self.register_buffer("sin", torch.sin(angle).repeat(1, 2))

    def forward(self, x: Tensor, memory: Tensor | None = None, causal: bool = False) -> Tensor:
        source = x if memory is None else memory
        q = self.split(self.query(x), HEADS)
        k, v = (
            self.split(self.key(source), self.groups),
            self.split(self.value(source), self.groups),
        )
        if self.rotary:
            q, k = self.turn(q), self.turn(k)
        if self.groups != HEADS:
            k, v = self.repeat(k), self.repeat(v)
        if self.fused:
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:
            scores = q @ k.transpose(-2, -1) / SIZE**0.5
            if causal:
                steps = x.shape[1]
                future = torch.triu(torch.ones(steps, steps, dtype=torch.bool), 1)
                scores = scores.masked_fill(future, -1e9)
            mixed = scores.softmax(dim=-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(x.shape[0], x.shape[1], WIDTH))

    @staticmethod
    def split(x: Tensor, heads: int) -> Tensor:
        return x.view(x.shape[0], x.shape[1], heads, SIZE).transpose(1, 2)

    def turn(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=-1)
        steps = x.shape[2]
        return x * self.cos[:steps] + torch.cat([-right, left], dim=-1) * self.sin[:steps]

    def repeat(self, x: Tensor) -> Tensor:
        batch, groups, steps, size = x.shape
        times = HEADS // self.groups
        return (
            x[:, :, None]
            .expand(batch, groups, times, steps, size)
            .reshape(batch, HEADS, steps, size)
        )


class RMSNorm(nn.Module):
    """As llama's exporters write it out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Block(nn.Module):
    """Pre-norm block with a feed-forward net."""

    def __init__(self, **attention: bool | int) -> None:
        super().__init__()
        self.norm, self.again = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention(**attention)
        self.wide, self.narrow = nn.Linear(WIDTH, 24), nn.Linear(24, WIDTH)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        x = x + self.attention(self.norm(x), causal=causal)
        return x + self.narrow(nn.functional.gelu(self.wide(self.again(x))))


class Encoder(nn.Module):
    """Tokens in, an answer out of their mean."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.positions = nn.Parameter(torch.randn(1, 6, WIDTH) * 0.3)
        self.blocks = nn.ModuleList(Block(fused=fused) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(dim=1))


class Decoder(nn.Module):
    """Causal, answering with the next token by the very embedding that it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.block = nn.Embedding(TOKENS, WIDTH), Block()
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.norm(self.block(self.embed(tokens), causal=True))
        return x @ self.embed.weight.t()


class Llama(nn.Module):
    """RMS norms, rotary embeddings, grouped queries, a SwiGLU feed-forward net."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(TOKENS, WIDTH)
        self.norms = nn.ModuleList(RMSNorm() for _ in range(3))
        self.attention = Attention(groups=2, rotary=True)
        self.gate, self.up = nn.Linear(WIDTH, 24, bias=False), nn.Linear(WIDTH, 24, bias=False)
        self.down, self.head = (
            nn.Linear(24, WIDTH, bias=False),
            nn.Linear(WIDTH, TOKENS, bias=False),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = x + self.attention(self.norms[0](x), causal=True)
        inner = self.norms[1](x)
        x = x + self.down(nn.functional.silu(self.gate(inner)) * self.up(inner))
        return self.head(self.norms[2](x))


class Translator(nn.Module):
    """A decoder that looks at an encoder's memory."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(12, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.block, self.look, self.norm = Block(), Attention(), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, memory: Tensor, tokens: Tensor) -> Tensor:
        x = self.block(self.decode(tokens), causal=True)
        x = x + self.look(self.norm(x), torch.relu(self.encode(memory)))
        return self.head(x[:, -1])


class Library(nn.Module):
    """torch's own encoder layer: packed projections, post-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(12, WIDTH)
        self.body = nn.TransformerEncoderLayer(WIDTH, HEADS, 24, dropout=0.0, batch_first=True)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.enter(x)).mean(dim=1))


class VisionTransformer(nn.Module):
    """Patches and a token of the class, packed projections taken apart by indexing."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.randn(1, 5, WIDTH) * 0.3)
        self.norm, self.again = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.packed, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 24), nn.Linear(24, WIDTH)
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        batch, steps, _ = x.shape
        packed = self.packed(self.norm(x)).reshape(batch, steps, 3, HEADS, SIZE)
        q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = (q @ k.transpose(-2, -1) * SIZE**-0.5).softmax(dim=-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, steps, WIDTH))
        x = x + self.narrow(nn.functional.gelu(self.wide(self.again(x))))
        return self.head(x[:, 0])


class Mixer(nn.Module):
    """MLP-Mixer: perceptrons over patches and over channels in turn."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 2, stride=2)
        self.norm, self.again = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.tokens = nn.Sequential(nn.Linear(16, 20), nn.GELU(), nn.Linear(20, 16))
        self.channels = nn.Sequential(nn.Linear(WIDTH, 24), nn.GELU(), nn.Linear(24, WIDTH))
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, image: Tensor) -> Tensor:
        x = self.patch(image).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.again(x))
        return self.head(x.mean(dim=1))


TRANSFORMERS = {
    "encoder": (Encoder, (SENTENCE,)),
    "encoder_fused": (lambda: Encoder(fused=True), (SENTENCE,)),
    "decoder": (Decoder, (SENTENCE,)),
    "llama": (Llama, (SENTENCE,)),
    "translator": (Translator, (SEQUENCE, SENTENCE)),
    "library": (Library, (SEQUENCE,)),
    "vision": (VisionTransformer, (IMAGE,)),
    "mixer": (Mixer, (IMAGE,)),
}

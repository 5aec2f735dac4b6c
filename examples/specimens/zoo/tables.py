"""Nets over tables, pairs, sets and graphs: factorisation machines, twins, autoencoders, adjacency."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.specimens.zoo.exporting import ROW, TOKENS, Input

KINDS = Input((4,), tokens=True)
NODES = Input((5, 12), free=((0, "nodes"),))
EDGES = Input((5, 5), free=((0, "nodes"), (1, "nodes")))
POINTS = Input((10, 3), free=((0, "points"),))


class FactorisationMachine(nn.Module):
    """DeepFM: pairs of embedded kinds, a perceptron over them and numbers, and a linear part, summed."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Embedding(4 * TOKENS, 1)
        self.factors = nn.Embedding(4 * TOKENS, 8)
        self.deep = nn.Sequential(
            nn.Linear(4 * 8 + 12, 20), nn.ReLU(), nn.Linear(20, 14), nn.ReLU(), nn.Linear(14, 1)
        )
        self.register_buffer("starts", torch.arange(4) * TOKENS)

    def forward(self, kinds: Tensor, numbers: Tensor) -> Tensor:
        at = kinds + self.starts
        linear, factors = self.first(at).sum(dim=1), self.factors(at)
        pairs = 0.5 * (factors.sum(dim=1).square() - factors.square().sum(dim=1))
        deep = self.deep(torch.cat([factors.flatten(1), numbers], dim=1))
        return linear + pairs.sum(dim=1, keepdim=True) + deep


class WideAndDeep(nn.Module):
    """An embedding for each column, normalised numbers, and a way round for the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(TOKENS, 3 + i) for i in range(4))
        self.norm, self.wide = nn.BatchNorm1d(12), nn.Linear(12, 5)
        self.deep = nn.Sequential(
            nn.Linear(18 + 12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 5)
        )

    def forward(self, kinds: Tensor, numbers: Tensor) -> Tensor:
        embedded = [table(kinds[:, at]) for at, table in enumerate(self.tables)]
        numbers = self.norm(numbers)
        return self.wide(numbers) + self.deep(torch.cat([*embedded, numbers], dim=1))


class Siamese(nn.Module):
    """Two rows through one tower, compared by distance and product."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 16), nn.ReLU())
        self.head = nn.Linear(32, 3)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        a, b = self.tower(one), self.tower(other)
        return self.head(torch.cat([(a - b).abs(), a * b], dim=1))


class Variational(nn.Module):
    """A variational autoencoder as it is used: the row again, mean and spread."""

    outputs = 3

    def __init__(self) -> None:
        super().__init__()
        self.read, self.write = nn.Linear(12, 20), nn.Linear(4, 18)
        self.mean, self.spread, self.out = nn.Linear(20, 4), nn.Linear(20, 4), nn.Linear(18, 12)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = torch.relu(self.read(x))
        mean, spread = self.mean(seen), self.spread(seen)
        return self.out(torch.tanh(self.write(mean))), mean, F.softplus(spread)


class GraphAttention(nn.Module):
    """Features of nodes and which of them are joined: a normalised sum, then attention over neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 14, bias=False)
        self.left, self.right = nn.Linear(14, 1), nn.Linear(14, 1)
        self.head = nn.Linear(14, 5)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        joined = (edges > 0.5).to(x.dtype) + torch.eye(x.shape[1], device=x.device)
        joined = joined.clamp(max=1.0)
        x = torch.relu(self.first(joined @ x / joined.sum(dim=-1, keepdim=True)))
        x = self.second(x)
        scores = F.leaky_relu(self.left(x) + self.right(x).transpose(1, 2), 0.2)
        weights = scores.masked_fill(joined < 0.5, -1e9).softmax(dim=-1)
        return self.head(F.elu(weights @ x))


class PointCloud(nn.Module):
    """PointNet: points turned by what a small net makes of all of them, then the strongest of each feature."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.turn = nn.Conv1d(3, 10, 1), nn.Linear(10, 9)
        self.body = nn.Sequential(
            nn.Conv1d(3, 12, 1), nn.BatchNorm1d(12), nn.ReLU(), nn.Conv1d(12, 16, 1)
        )
        self.head = nn.Sequential(nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 5))

    def forward(self, x: Tensor) -> Tensor:
        turn = self.turn(torch.relu(self.see(x.transpose(1, 2))).amax(dim=2)).view(-1, 3, 3)
        turned = torch.bmm(x, turn + torch.eye(3, device=x.device))
        return self.head(self.body(turned.transpose(1, 2)).amax(dim=2))


class Columns(nn.Module):
    """FT-Transformer: a word for each column, torch's own encoder, an answer from a word of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.randn(12, 16) * 0.3) for _ in range(2))
        self.word = nn.Parameter(torch.randn(1, 1, 16))
        self.body = nn.TransformerEncoderLayer(
            16, 4, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        columns = x.unsqueeze(-1) * self.scale + self.shift
        columns = torch.cat([self.word.expand(x.shape[0], -1, -1), columns], dim=1)
        return self.head(torch.relu(self.body(columns)[:, 0]))


class Highway(nn.Module):
    """Layers that decide by themselves how much of them passes, and one that keeps the stronger of two."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.head = nn.Linear(12, 16), nn.Linear(10, 5)
        self.what, self.gate = nn.Linear(16, 16), nn.Linear(16, 16)
        self.pieces = nn.Linear(16, 20)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.enter(x))
        gate = torch.sigmoid(self.gate(x))
        x = gate * torch.relu(self.what(x)) + (1 - gate) * x
        return self.head(self.pieces(x).view(x.shape[0], 10, 2).amax(dim=2))


TABLES = {
    "factorisation_machine": (FactorisationMachine, (KINDS, ROW)),
    "wide_and_deep": (WideAndDeep, (KINDS, ROW)),
    "siamese": (Siamese, (ROW, ROW)),
    "variational": (Variational, (ROW,)),
    "graph_attention": (GraphAttention, (NODES, EDGES)),
    "point_cloud": (PointCloud, (POINTS,)),
    "columns": (Columns, (ROW,)),
    "highway": (Highway, (ROW,)),
}

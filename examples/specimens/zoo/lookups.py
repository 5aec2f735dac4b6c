"""Nets that look up, select and write by index: embeddings of their own width, first states, steps, neighbours."""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import SENTENCE, SEQUENCE, TOKENS


class BagOfWords(nn.Module):
    """Embeddings that a perceptron alone reads: nothing but the table makes their dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.wide, self.head = (
            nn.Embedding(TOKENS, 16),
            nn.Linear(16, 24),
            nn.Linear(24, 5),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        known = (tokens != 0).unsqueeze(-1)
        seen = torch.relu(self.wide(self.words(tokens))) * known
        return self.head(seen.sum(dim=1) / known.sum(dim=1).clamp(min=1))


class Placed(nn.Module):
    """Words and places from two tables, normalised and read by a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(TOKENS, 16), nn.Embedding(6, 16)
        self.norm, self.look = nn.LayerNorm(16), nn.Conv1d(16, 24, 3, padding=1)
        self.head = nn.Linear(24, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        both = self.norm(self.words(tokens) + self.places(torch.arange(6, device=tokens.device)))
        return self.head(torch.relu(self.look(both.transpose(1, 2))).mean(dim=2))


class HandWrittenGru(nn.Module):
    """A GRU of linear layers and gates; its first state is one row of zeros, or an entry of each row repeated."""

    def __init__(self, repeated: bool) -> None:
        super().__init__()
        self.repeated = repeated
        self.read, self.back, self.head = nn.Linear(12, 48), nn.Linear(16, 48), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, 0, :1]).repeat(1, 16) if self.repeated else torch.zeros(1, 16)
        for step in range(3):
            reset, update, new = self.read(x[:, step]).chunk(3, dim=-1)
            of_reset, of_update, of_new = self.back(state).chunk(3, dim=-1)
            gate = torch.sigmoid(update + of_update)
            candidate = torch.tanh(new + torch.sigmoid(reset + of_reset) * of_new)
            state = (1 - gate) * candidate + gate * state
        return self.head(state)


class StrongestSteps(nn.Module):
    """Each feature's three largest answers, and the step that the input points at."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.head = nn.Linear(12, 20), nn.Linear(40, 5)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.relu(self.wide(x))
        pointed = seen[torch.arange(x.shape[0]), x[:, :, 0].argmax(dim=1)]
        return self.head(torch.cat([seen.topk(3, dim=1).values.mean(dim=1), pointed], dim=1))


class Neighbours(nn.Module):
    """What each step says is added up at the step that it names, as messages along the edges of a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.say, self.hear, self.head = nn.Linear(12, 20), nn.Linear(20, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        said = torch.relu(self.say(x))
        named = x[:, :, :6].argmax(dim=2, keepdim=True).expand(-1, -1, 20)
        heard = torch.zeros_like(said).scatter_add(1, named, said)
        return self.head(torch.tanh(self.hear(heard)).mean(dim=1))


LOOKUPS = {
    "bag_of_words": (BagOfWords, (SENTENCE,)),
    "placed": (Placed, (SENTENCE,)),
    "gru_by_hand": (lambda: HandWrittenGru(repeated=False), (SEQUENCE,)),
    "gru_by_hand_repeated": (lambda: HandWrittenGru(repeated=True), (SEQUENCE,)),
    "strongest_steps": (StrongestSteps, (SEQUENCE,)),
    "neighbours": (Neighbours, (SEQUENCE,)),
}

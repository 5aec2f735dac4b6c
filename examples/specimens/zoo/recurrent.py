"""Recurrent nets: one way and both ways, stacked, with and without gates."""

import torch
from torch import Tensor, nn

from examples.specimens.zoo.exporting import SENTENCE, SEQUENCE, TOKENS


class Recurrent(nn.Module):
    """A recurrent body over a sequence; the head reads its last step, or the mean of all."""

    def __init__(self, body: nn.Module, width: int, mean: bool) -> None:
        super().__init__()
        self.body, self.head, self.mean = body, nn.Linear(width, 5), mean

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.body(x)
        return self.head(torch.relu(steps.mean(dim=1) if self.mean else steps[:, -1]))


class Reader(nn.Module):
    """Embedded tokens through an LSTM whose final states answer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.body = nn.Embedding(TOKENS, 8), nn.LSTM(8, 10, batch_first=True)
        self.head = nn.Linear(10, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        _, (last, _) = self.body(self.embed(tokens))
        return self.head(last[-1])


RECURRENT = {
    "lstm": (lambda: Recurrent(nn.LSTM(12, 10, batch_first=True), 10, mean=False), (SEQUENCE,)),
    "lstm_stacked": (
        lambda: Recurrent(nn.LSTM(12, 8, 2, batch_first=True, bidirectional=True), 16, mean=True),
        (SEQUENCE,),
    ),
    "gru": (lambda: Recurrent(nn.GRU(12, 9, batch_first=True), 9, mean=True), (SEQUENCE,)),
    "gru_both_ways": (
        lambda: Recurrent(nn.GRU(12, 8, batch_first=True, bidirectional=True), 16, mean=False),
        (SEQUENCE,),
    ),
    "rnn": (lambda: Recurrent(nn.RNN(12, 10, batch_first=True), 10, mean=False), (SEQUENCE,)),
    "reader": (Reader, (SENTENCE,)),
}

"""Remove and retrain: small nets, trained from the start on the most relevant features alone.

After Hooker et al., "A benchmark for interpretability methods in deep neural networks" (ROAR, 2019), turned around:
what is kept, so that a ranking shows how much its first features know. All nets of one case train side by side.
"""

import numpy as np
import torch
from torch import Tensor

from benchmarks.input_relevance.start import Case

SHARES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
HIDDEN, STEPS, BATCH, PEAK_RATE = 64, 400, 128, 5e-3
MOST_ROWS = 4000
Rows = tuple[np.ndarray, np.ndarray]


def retrained(case: Case, rankings: dict[str, Tensor], rows: Rows) -> dict[str, float]:
    """Return, by name, the mean metric over the levels: 1 is that with all features, 0 that with none."""
    counts = sorted({max(1, round(share * case.features)) for share in SHARES})
    masks = [torch.zeros(case.features), torch.ones(case.features)]
    masks += [_top(ranking, count) for ranking in rankings.values() for count in counts]
    floor, top, *reached = _metrics(case, torch.stack(masks), rows)
    table = np.array(reached).reshape(len(rankings), len(counts))
    means = ((table - floor) / (top - floor)).clip(min=0).mean(axis=1)
    return dict(zip(rankings, means.tolist(), strict=True))


def _top(relevance: Tensor, count: int) -> Tensor:
    mask = torch.zeros(len(relevance))
    mask[relevance.argsort(descending=True, stable=True)[:count]] = 1
    return mask


def _metrics(case: Case, masks: Tensor, rows: Rows) -> list[float]:
    """Train one net per mask [nets, features] and return their metrics."""
    nets = _Nets(masks, case.data.outputs, case.seed)
    x, y = (torch.from_numpy(part) for part in case.data.train)
    x = x - case.means
    generator = torch.Generator().manual_seed(case.seed)
    optimizer = torch.optim.Adam(nets.parameters)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=STEPS)
    for _ in range(STEPS):
        chosen = torch.randint(len(y), (BATCH,), generator=generator)
        answers = nets(x[chosen])  # [nets, rows, outputs]
        optimizer.zero_grad()
        _loss(case, answers, y[chosen]).backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        outputs = nets(torch.from_numpy(rows[0][:MOST_ROWS]) - case.means).numpy()
    return [case.metric(answers, rows[1][:MOST_ROWS]) for answers in outputs]


def _loss(case: Case, answers: Tensor, labels: Tensor) -> Tensor:
    """Sum over nets of their mean losses: no net's gradient depends on another."""
    nets, rows, outputs = answers.shape
    if case.data.regression:
        return (answers - labels).square().mean() * nets
    repeated = labels.expand(nets, rows).reshape(-1)
    return torch.nn.functional.cross_entropy(answers.reshape(-1, outputs), repeated) * nets


class _Nets:
    """One hidden layer each, all from the same start."""

    def __init__(self, masks: Tensor, outputs: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        count, features = masks.shape
        self.masks = masks[:, None, :]  # [nets, 1, features]
        self.first = self._weights(count, features, HIDDEN, generator)
        self.second = self._weights(count, HIDDEN, outputs, generator)
        self.biases = [
            torch.zeros(count, 1, size, requires_grad=True) for size in (HIDDEN, outputs)
        ]
        self.parameters = [self.first, self.second, *self.biases]

    def __call__(self, x: Tensor) -> Tensor:
        hidden = torch.relu(torch.baddbmm(self.biases[0], x * self.masks, self.first))
        return torch.baddbmm(self.biases[1], hidden, self.second)

    @staticmethod
    def _weights(count: int, inputs: int, outputs: int, generator: torch.Generator) -> Tensor:
        one = torch.randn(inputs, outputs, generator=generator) / inputs**0.5
        return one.repeat(count, 1, 1).requires_grad_()

"""The training that every peer gets: the engine's batches, loss, clipping and rates, on plain torch."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.quality.data import Data

BATCH, CLIP, WARM_UP = 128, 1.0, 20
DISTILL, TEMPERATURE = 0.5, 2.0
AfterBackward = Callable[[nn.Module], None]


@dataclass
class Start:
    """A trained net, its data, and its answers on the training rows: what distillation aims at."""

    net: nn.Module
    data: Data
    teacher: Tensor
    seed: int

    @property
    def inputs(self) -> int:
        return self.data.train[0].shape[1]

    def copy(self) -> nn.Module:
        return copy.deepcopy(self.net)

    @property
    def steps_per_epoch(self) -> int:
        return max(1, len(self.data.train[1]) // BATCH)


class Tuner:
    """Trains one net step by step; AdamW starts anew after every cut."""

    def __init__(self, start: Start, rate: float, distill: float = DISTILL) -> None:
        self.start, self.rate, self.distill = start, rate, distill
        self.x, self.y = (torch.from_numpy(part) for part in start.data.train)
        self.scale = float(self.y.var()) if start.data.regression else 1.0
        self.step_count = 0
        self._order: tuple[int, Tensor] | None = None

    def begin(self, net: nn.Module) -> None:
        self.net = net.train()
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=0.0, weight_decay=0.0, fused=True)

    def steps(
        self,
        count: int,
        rate: Callable[[int], float],
        after_backward: AfterBackward | None = None,
    ) -> None:
        for index in range(count):
            self.optimizer.zero_grad(set_to_none=True)
            self.loss(self._rows()).backward()
            if after_backward is not None:
                after_backward(self.net)
            nn.utils.clip_grad_norm_(self.net.parameters(), CLIP)
            self.optimizer.param_groups[0]["lr"] = self.rate * rate(index)
            self.optimizer.step()

    def cool(self, net: nn.Module, steps: int) -> None:
        """Train this net for so many steps, at rates that fall to zero."""
        self.begin(net)
        self.steps(steps, cooling(steps))

    def loss(self, rows: Tensor) -> Tensor:
        """Return labels' loss, mixed with that towards the starting model's answers."""
        answer, labels, teacher = self.net(self.x[rows]), self.y[rows], self.start.teacher[rows]
        if self.start.data.regression:
            hard = F.mse_loss(answer, labels) / self.scale
            soft = F.mse_loss(answer, teacher) / self.scale
        else:
            hard = F.cross_entropy(answer, labels)
            logs = [F.log_softmax(part / TEMPERATURE, 1) for part in (answer, teacher)]
            soft = TEMPERATURE**2 * F.kl_div(*logs, log_target=True, reduction="batchmean")
        return (1 - self.distill) * hard + self.distill * soft

    def _rows(self) -> Tensor:
        epoch, step_in_epoch = divmod(self.step_count, self.start.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            order = np.random.default_rng([self.start.seed, epoch]).permutation(len(self.y))
            self._order = (epoch, torch.from_numpy(order))
        self.step_count += 1
        return self._order[1][step_in_epoch * BATCH : (step_in_epoch + 1) * BATCH]


def steady(index: int) -> float:
    """Warm up, then stay."""
    return min(1.0, (index + 1) / WARM_UP)


def cooling(count: int) -> Callable[[int], float]:
    """Warm up, then fall to zero by half a cosine."""
    return lambda index: steady(index) * 0.5 * (1 + math.cos(math.pi * index / count))


@torch.no_grad()
def error(net: nn.Module, part: tuple[np.ndarray, np.ndarray], *, regression: bool) -> float:
    """Return the share of wrong answers; 1 − R² for regression."""
    net.eval()
    x = torch.from_numpy(part[0])
    answers = torch.cat([net(rows) for rows in x.split(1000)]).numpy()
    return answer_error(answers, part[1], regression=regression)


def answer_error(answers: np.ndarray, truth: np.ndarray, *, regression: bool) -> float:
    """Return the error of these answers."""
    if regression:
        return float(((answers - truth) ** 2).mean() / truth.var())
    return float((answers.argmax(1) != truth).mean())

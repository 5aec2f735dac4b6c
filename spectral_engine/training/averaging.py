"""Averages of the weights over the last steps (Polyak and Juditsky, SIAM J. Control Optim. 30, 1992)."""

from __future__ import annotations

import torch

from spectral_engine.training.trainer import Trainer


class Averages:
    """A running mean of all that trains: after each step, `memory` of what it was and the rest of what is.

    With no memory there is nothing to average, and nothing is held.
    """

    def __init__(self, trainer: Trainer, memory: float) -> None:
        self.trainer, self.memory, self.seen = trainer, memory, 0
        tracked = trainer.trained if memory else {}
        self.means = {key: torch.zeros_like(item.tensor) for key, item in tracked.items()}

    @torch.no_grad()
    def observe(self) -> None:
        """Take in the weights as they are now."""
        self.seen += 1
        for key, mean in self.means.items():
            mean.lerp_(self.trainer.trained[key].tensor, 1 - self.memory)

    @torch.no_grad()
    def apply(self) -> None:
        """Put the averages in the place of the weights."""
        seen = 1 - self.memory**self.seen
        self.trainer.model.load({key: mean / seen for key, mean in self.means.items()})

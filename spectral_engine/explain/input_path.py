"""Eigenvalues on the input nodes, trained under a rising penalty from 1 towards 0.

The form is that of Giambagli et al., "Automatic input feature relevance via spectral neural networks",
arXiv:2406.01183: λ_out = 0 and λ_in = 1 at the start, so that w_ij = λ_in_j φ_ij, with an L2 penalty on λ_in. Two
things differ: the weights stay as they are, because it is this model that is to be explained; and the penalty rises, so
that one training shows what the model holds on to at every strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spectral_engine.graph.module import OnnxModule
from spectral_engine.training.feed import Feed
from spectral_engine.training.objective import Objective

STEPS, BATCH_ROWS, LEARNING_RATE = 100, 128, 0.1
FIRST_PENALTY, LAST_PENALTY = 1e-3, 10.0  # of the loss without any input, over √features
MEAN_ROWS = 4096
Inputs = dict[str, Tensor]


@dataclass(frozen=True)
class Moment:
    """One step of the path: λ_in of each gated input [features…] and ∂ℓ/∂λ_in of each row [rows, features…]."""

    eigenvalues: Inputs
    gradients: Inputs


class InputPath:
    """A frozen model with λ_in in front of it: x becomes μ + λ_in (x − μ), with μ the training mean.

    For a linear layer this is w_ij = λ_in_j φ_ij with what λ_in takes away folded into the bias at its mean, so that
    λ_in = 0 leaves a feature out. Only floats are gated: an index has no eigenvalue. The loss is the distance to the
    model's own answers at λ_in = 1, by the objective's own measure; no labels are read.
    """

    def __init__(self, module: OnnxModule, objective: Objective, feed: Feed, seed: int) -> None:
        self.module, self.seed = module.eval(), seed
        others = objective.others if objective.judges_only else ()
        self.objective = replace(objective, temperature=1.0, others=others)
        self.feed = Feed(feed.split, min(BATCH_ROWS, feed.batch_size), feed.device)
        self.means = input_means(feed)

    def walk(self) -> Iterator[Moment]:
        """Train λ_in with Adam and yield every step's moment; nothing where no input is gated."""
        if not self.means:
            return
        eigenvalues = {name: torch.ones_like(mean) for name, mean in self.means.items()}
        optimizer = torch.optim.Adam(list(eigenvalues.values()), lr=LEARNING_RATE)
        features = sum(value.numel() for value in eigenvalues.values())
        whole = self._loss_without_inputs() / features**0.5
        for step in range(STEPS):
            gradients = self._gradients(step, eigenvalues)
            yield Moment({name: value.clone() for name, value in eigenvalues.items()}, gradients)
            strength = whole * _penalty(step)
            for name, value in eigenvalues.items():
                value.grad = gradients[name].mean(dim=0) + 2 * strength * value
            optimizer.step()
            for value in eigenvalues.values():
                value.clamp_(0.0, 1.0)

    def _gradients(self, step: int, eigenvalues: Inputs) -> Inputs:
        """Return ∂ℓ/∂λ_in of every row; 0 where the answer does not depend on an input."""
        inputs = self._batch(step)
        rows = len(next(iter(inputs.values())))
        gates = {
            name: value.expand(rows, *value.shape).clone().requires_grad_()
            for name, value in eigenvalues.items()
        }
        loss = self._loss(inputs, gates)
        if not loss.requires_grad:  # no gradient passes an operator that torch does not compute
            return {name: torch.zeros_like(gate) for name, gate in gates.items()}
        gradients = torch.autograd.grad(loss, list(gates.values()), allow_unused=True)
        return {
            name: torch.zeros_like(gate) if gradient is None else rows * gradient.nan_to_num()
            for (name, gate), gradient in zip(gates.items(), gradients, strict=True)
        }

    @torch.no_grad()
    def _loss_without_inputs(self) -> Tensor:
        """Return how far the answers are from the model's own when λ_in = 0: what all features together are worth."""
        return self._loss(
            self._batch(0), {name: torch.zeros_like(m) for name, m in self.means.items()}
        )

    def _batch(self, step: int) -> Inputs:
        return widened(self.feed.at_step(step, self.seed).inputs)

    def _loss(self, inputs: Inputs, gates: Inputs) -> Tensor:
        with torch.no_grad():
            original_answers = self._watched(inputs)
        gated = {
            name: self.means[name] + gate * (inputs[name] - self.means[name])
            for name, gate in gates.items()
        }
        return self.objective.loss(self._watched(inputs | gated), None, original_answers)

    def _watched(self, inputs: Inputs) -> Inputs:
        watch = self.objective.watch
        values = self.module.compute(inputs, watch=watch)
        return self.objective.joined({name: values[name] for name in watch})


def input_means(feed: Feed) -> Inputs:
    """Return the mean over rows of every float input [features…]; exact for a feature that never changes."""
    totals: Inputs = {}
    rows = 0
    for batch in feed.in_order(MEAN_ROWS):
        for name, value in batch.inputs.items():
            if value.is_floating_point():
                total = value.double().sum(dim=0)
                totals[name] = totals[name] + total if name in totals else total
        rows += len(batch.rows)
    kinds = widened(feed.batch(batch.rows[:1]).inputs)
    return {name: (total / rows).to(kinds[name].dtype) for name, total in totals.items()}


def widened(inputs: Inputs) -> Inputs:
    """Return 16-bit floats as 32-bit ones: steps of λ_in are finer than theirs."""
    halves = (torch.float16, torch.bfloat16)
    return {name: v.float() if v.dtype in halves else v for name, v in inputs.items()}


def _penalty(step: int) -> float:
    ratio: float = (LAST_PENALTY / FIRST_PENALTY) ** (step / (STEPS - 1))
    return FIRST_PENALTY * ratio

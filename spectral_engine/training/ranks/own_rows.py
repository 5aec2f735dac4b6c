"""One rank's part in one step: the same on all ranks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.ranks.orders import Step
from spectral_engine.training.ranks.process_group import ProcessGroup
from spectral_engine.training.ranks.splitting import rows_of_value

Tensors = dict[str, Tensor]


class OwnRows:
    """Some rows of a batch on their way through the model and back.

    The loss is not theirs: it is made of the values of all rows, and its derivatives in these are what goes back. So it
    may be any loss, also one that weighs or divides by what it finds in the whole batch.
    """

    def __init__(self, group: ProcessGroup, model: SpectralModel, step: Step) -> None:
        self.group, self.model, self.step = group, model, step
        self.mode = model.module.mode
        self.values: Tensors = {}
        self.bounds: dict[str, tuple[int, ...]] = {}

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensors:
        """Return the watched values of the whole batch [n, …]; those that a gradient reaches ask for one."""
        self.mode.keeps_activations = self.step.keeps_activations
        self.mode.add_up = self._add_up if self.step.sums_statistics else None
        values: Tensors = self.model(inputs, self.step.watch)
        self.values = {name: value.float() for name, value in values.items()}
        whole = {name: self._among_all(name, value) for name, value in self.values.items()}
        self.group.add_up(list(whole.values()))
        return {n: value.requires_grad_(self.values[n].requires_grad) for n, value in whole.items()}

    def backward(self, gradients: Mapping[str, Tensor]) -> None:
        """Go back from the gradients of the whole batch's values, which rank 0 has; all gradients end in rank 0."""
        reached = [name for name, value in self.values.items() if value.requires_grad]
        self.group.broadcast([gradients[name] for name in reached])
        if reached:
            torch.autograd.backward(
                [self.values[name] for name in reached],
                [gradients[name][self._own(name)] for name in reached],
            )
        gradients_here = (item.tensor.grad for item in self.model.tracked())
        self.group.add_up([gradient for gradient in gradients_here if gradient is not None])
        self.mode.add_up = None

    def _add_up(self, tensor: Tensor) -> None:
        self.group.add_up([tensor])

    def _among_all(self, name: str, value: Tensor) -> Tensor:
        """Return this rank's entries in their places, and 0 in those of all others."""
        length = len(value) if value.dim() else 0
        self.bounds[name] = rows_of_value(name, length, self.step.bounds, self.group.rank)
        whole = value.new_zeros((self.bounds[name][-1], *value.shape[1:]))
        whole[self._own(name)] = value.detach()
        return whole.detach()

    def _own(self, name: str) -> slice:
        bounds, rank = self.bounds[name], self.group.rank
        return slice(bounds[rank], bounds[rank + 1])

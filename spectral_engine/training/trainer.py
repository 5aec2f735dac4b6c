"""One spectral model in training: steps, cuts, forks, and the state that makes it resume exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import Diverged
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.surgery import cut, narrow
from spectral_engine.onnx_io.load import load_model
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.recipe import Training, Trains
from spectral_engine.spectral.model import SpectralModel, Tracked
from spectral_engine.training.feed import Batch, Feed
from spectral_engine.training.objective import Objective
from spectral_engine.training.teacher import Teacher

# Running statistics keep 0.9 of what they were at each step: after these, 4 % of it.
SETTLING_STEPS = 30
# AdamW's two running means of each trained tensor, by its key.
Moments = dict[str, tuple[Tensor, Tensor]]


class Trainer:
    """Trains a SpectralModel with AdamW; narrowing keeps the optimiser's memory of what stays."""

    def __init__(
        self,
        model: SpectralModel,
        objective: Objective,
        teacher: Teacher | None,
        training: Training,
        device: torch.device,
    ) -> None:
        self.objective, self.teacher, self.training = objective, teacher, training
        self.device = device
        self.steps = 0
        self._use(model, {})

    def _use(self, model: SpectralModel, moments: Moments) -> None:
        self.model = model.to(self.device)
        self.model.module.train()
        self.held: dict[str, Tracked] = model.trained()
        for tracked in model.tracked():
            tracked.tensor.requires_grad_(tracked.key in self.held)
        self.optimizer = torch.optim.AdamW(
            [item.tensor for item in self.held.values()],
            lr=0.0,
            weight_decay=self.training.weight_decay,
            fused=True,
        )
        for key, (mean, square) in moments.items():
            self.optimizer.state[self.held[key].tensor] = {
                "step": torch.tensor(float(self.steps)),
                "exp_avg": mean,
                "exp_avg_sq": square,
            }

    def step(
        self,
        batch: Batch,
        learning_rate: float,
        after_backward: Callable[[], None] | None = None,
    ) -> float:
        """Take one step and return the loss; raises Diverged when it is not a number."""
        self.optimizer.zero_grad(set_to_none=True)
        values = self.model(batch.inputs, self.objective.watch)
        teacher = self.teacher(batch) if self.teacher is not None else {}
        loss: Tensor = self.objective.loss(values, batch.labels, teacher)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if after_backward is not None:
            after_backward()
        tensors = [item.tensor for item in self.held.values()]
        torch.nn.utils.clip_grad_norm_(tensors, self.training.gradient_clip, foreach=True)
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.step()
        self.steps += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value} at step {self.steps}")
        return value

    @torch.no_grad()
    def settle(self, feed: Feed, seed: int) -> None:
        """Let the running statistics of normalisations catch up with the weights; nothing else changes."""
        if not self.model.normalizes:
            return
        for step in range(SETTLING_STEPS):
            self.model(feed.at_step(step, seed).inputs)

    def narrow(self, removed: NDArray[np.bool_]) -> None:
        """Cut these node groups out of the model, its spectral form and the optimiser's memory."""
        old = self.model
        old.write_back()
        module = OnnxModule(cut(old.module.model, old.coupling, removed))
        model = type(old)(module, old.coupling.without(removed), old.options)
        model.load({item.key: narrow(item.tensor, item.axes, removed) for item in old.tracked()})
        axes = {key: item.axes for key, item in self.held.items()}
        moments = {
            key: (narrow(mean, axes[key], removed), narrow(square, axes[key], removed))
            for key, (mean, square) in self.moments().items()
        }
        self._use(model, moments)

    def fork(self, trains: Trains | None = None) -> Trainer:
        """Return an independent copy that trains on from here: the same tensors, or those that `trains` names."""
        twin = Trainer(
            self.copy_model(trains), self.objective, self.teacher, self.training, self.device
        )
        twin.restore(self.state(), self.steps)
        return twin

    def copy_model(self, trains: Trains | None = None) -> SpectralModel:
        """Return a copy of the model over a graph of its own, weights written back."""
        self.model.write_back()
        module = OnnxModule(load_model(to_bytes(self.model.module.model)))
        options = self.model.options
        if trains is not None:
            options = options.model_copy(update={"train": trains})
        return type(self.model)(module, self.model.coupling, options)

    def moments(self) -> Moments:
        """Return the optimiser's running means by key; empty before the first step."""
        found: Moments = {}
        for key, item in self.held.items():
            state = self.optimizer.state.get(item.tensor)
            if state:
                found[key] = (state["exp_avg"], state["exp_avg_sq"])
        return found

    @torch.no_grad()
    def state(self) -> dict[str, Tensor]:
        """Return every tensor that training changes, under stable names."""
        tensors = {f"tensor|{item.key}": item.tensor.detach() for item in self.model.tracked()}
        tracked = set(tensors)
        for name, parameter in self.model.module.named_parameters():
            if f"tensor|plain:{name}" not in tracked and name not in self.model.spectral:
                tensors[f"buffer|{name}"] = parameter.detach()
        for key, (mean, square) in self.moments().items():
            tensors[f"mean|{key}"], tensors[f"square|{key}"] = mean, square
        return {name: tensor.clone() for name, tensor in tensors.items()}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor], steps: int) -> Self:
        """Continue from a state of the same widths."""
        kinds: dict[str, dict[str, Tensor]] = {"tensor": {}, "buffer": {}, "mean": {}, "square": {}}
        for name, tensor in state.items():
            kind, key = name.split("|", 1)
            kinds[kind][key] = tensor.to(self.device)
        self.steps = steps
        self.model.load(kinds["tensor"])
        for name, tensor in kinds["buffer"].items():
            self.model.module.initializer(name).copy_(tensor)
        self._use(
            self.model,
            {
                key: (mean.clone(), kinds["square"][key].clone())
                for key, mean in kinds["mean"].items()
            },
        )
        return self

"""One spectral model in training: steps, cuts, forks, and the state that makes it resume exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import Diverged
from spectral_engine.graph.ids import GroupAxes
from spectral_engine.graph.surgery import copy_model, cut, narrow
from spectral_engine.records.training import Precision, Training, Trains
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.activations import fit_in_memory
from spectral_engine.training.checkpoint import load_checkpoint, save_checkpoint
from spectral_engine.training.feed import Batch, Feed
from spectral_engine.training.held_tensors import held_tensors, start_training
from spectral_engine.training.objective import Objective
from spectral_engine.training.passes import ONE_DEVICE, Passes
from spectral_engine.training.statistics import BATCHES, settle
from spectral_engine.training.teacher import Teacher

CLIP_SLACK = 1e-6  # what torch adds to a norm before it divides by it
# AdamW's two running means of each trained tensor, by its key.
Moments = dict[str, tuple[Tensor, Tensor]]


def computes_in_half(precision: Precision, device: torch.device) -> bool:
    """Say whether forward passes compute in bfloat16; weights, losses and the optimiser stay in float32."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bfloat16"


class Trainer:
    """Trains a SpectralModel with AdamW; narrowing keeps the optimiser's memory of what stays."""

    def __init__(
        self,
        model: SpectralModel,
        objective: Objective,
        teacher: Teacher | None,
        training: Training,
        device: torch.device,
        passes: Passes = ONE_DEVICE,
    ) -> None:
        self.objective, self.teacher, self.training = objective, teacher, training
        self.device, self.passes = device, passes
        self.autocast = torch.autocast(
            device.type, torch.bfloat16, enabled=computes_in_half(training.precision, device)
        )
        self.steps = 0
        self.keeps_activations: bool | None = None  # until the first step shows what they take
        self._use(model, {})

    def _use(self, model: SpectralModel, moments: Moments) -> None:
        self.model, self.trained = model, start_training(model, self.device)
        self.optimizer = torch.optim.AdamW(
            [item.tensor for item in self.trained.values()],
            lr=0.0,
            weight_decay=self.training.weight_decay,
            fused=True,
        )
        for key, (mean, square) in moments.items():
            self.optimizer.state[self.trained[key].tensor] = {
                "step": torch.tensor(float(self.steps), device=mean.device),  # as fused steps ask
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
        if self.keeps_activations is None:
            self.keeps_activations = self._may_keep_activations(batch)
        self.model.module.mode.keeps_activations = self.keeps_activations
        with self.autocast:
            values = self.passes.forward(self.model, batch.inputs, self.objective.watch)
        values = self.objective.joined({name: value.float() for name, value in values.items()})
        teacher = self.teacher(batch) if self.teacher is not None else {}
        loss: Tensor = self.objective.loss(values, batch.labels, teacher)
        self.passes.backward(loss)
        if after_backward is not None:
            after_backward()
        self._clip()
        self.optimizer.param_groups[0]["lr"] = learning_rate
        self.optimizer.step()
        self.steps += 1
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(f"the loss became {value} at step {self.steps}")
        return value

    def _may_keep_activations(self, batch: Batch) -> bool:
        asked = self.training.checkpoint_activations
        if asked != "auto":
            return asked == "never"
        with self.autocast:
            inputs = self.passes.here(batch.inputs)
            return fit_in_memory(self.model, inputs, self.objective.watch, self.device)

    def _clip(self) -> None:
        """Shorten the gradient where it is longer than the recipe allows; one that is not is not written again.

        The same as `clip_grad_norm_`, which multiplies by 1 then. To ask first would halt a GPU.
        """
        tensors = [item.tensor for item in self.trained.values()]
        gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
        longest = self.training.gradient_clip
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        if self.device.type == "cpu" and longest / (norm + CLIP_SLACK) >= 1:
            return
        torch.nn.utils.clip_grads_with_norm_(tensors, longest, norm, foreach=True)

    @torch.no_grad()
    def answers(self, feed: Feed) -> NDArray[Any]:
        """Return the model's first output for all rows of a feed, as it answers when it does not train."""
        self.model.module.eval()
        parts = [
            self.objective.joined(self.model(batch.inputs))[self.objective.head.output]
            .float()
            .cpu()
            .numpy()
            for batch in feed.in_order()
        ]
        self.model.module.train()
        return np.concatenate(parts)

    def settle(self, feed: Feed, seed: int, batches: int = BATCHES) -> None:
        """Let the running statistics of normalisations catch up with the weights; nothing else changes."""
        settle(self.model, feed, seed, self.objective.watch, batches)

    def narrow(self, removed: NDArray[np.bool_]) -> None:
        """Cut these node groups out of the model, its spectral form and the optimiser's memory.

        Each tensor goes as soon as its narrow one is made: there is never a second copy of all.
        """
        old = self.model
        self.optimizer.zero_grad(set_to_none=True)
        old.write_back_plain()
        graph = cut(old.module.model, old.coupling, removed)
        moments = {
            key: (narrow(mean, axes, removed), narrow(square, axes, removed))
            for key, axes, mean, square in self._hand_over_moments()
        }
        tensors = {}
        for item in old.tracked():
            tensors[item.key] = narrow(item.tensor.detach(), item.axes, removed)
            item.tensor.data = item.tensor.new_empty(0)
        model = type(old)(old.module.over(graph), old.coupling.without(removed), old.options)
        model.load(tensors)
        self._use(model, moments)

    def _hand_over_moments(self) -> Iterator[tuple[str, GroupAxes, Tensor, Tensor]]:
        for key, item in self.trained.items():
            state = self.optimizer.state.pop(item.tensor, None)
            if state:
                yield key, item.axes, state["exp_avg"], state["exp_avg_sq"]

    def fork(self, trains: Trains | None = None) -> Trainer:
        """Return an independent copy that trains on from here: the same tensors, or those that `trains` names."""
        return self._twin(trains, self.state())

    def _twin(self, trains: Trains | None, state: dict[str, Tensor]) -> Trainer:
        self.optimizer.zero_grad(set_to_none=True)
        twin = Trainer(
            self.copy_model(trains),
            self.objective,
            self.teacher,
            self.training,
            self.device,
            self.passes,
        )
        twin.keeps_activations = self.keeps_activations
        return twin.restore(state, self.steps)

    def spill(self, path: Path, trains: Trains | None = None) -> Trainer:
        """Return a copy as `fork` does, but leave the tensors of this one in a file until `reload`."""
        tensors = self.tensors()
        save_checkpoint(path, tensors, {})
        twin = self._twin(trains, tensors)
        self.let_go()
        return twin

    def reload(self, path: Path) -> None:
        """Go on with the tensors that `spill` has left in a file."""
        stored = load_checkpoint(path)
        if stored is None:
            raise OSError(f"{path} is not whole")
        self.restore(stored[0], self.steps)
        path.unlink()

    def stop(self) -> None:
        """Let go of gradients and of the optimiser's memory: there are no more steps."""
        self.optimizer.zero_grad(set_to_none=True)
        self.optimizer.state.clear()

    def let_go(self) -> None:
        """Let go of all tensors too: they lie elsewhere, or are not needed any more."""
        self.stop()
        for item in self.model.tracked():
            item.tensor.data = item.tensor.new_empty(0)

    def copy_model(self, trains: Trains | None = None) -> SpectralModel:
        """Return a model of the same form over a graph of its own; what is in spectral form has no values yet."""
        self.model.write_back_plain()
        module = self.model.module.over(copy_model(self.model.module.model))
        options = self.model.options
        if trains is not None:
            options = options.model_copy(update={"train": trains})
        return type(self.model)(module, self.model.coupling, options)

    def moments(self) -> Moments:
        """Return the optimiser's running means by key; empty before the first step."""
        means: Moments = {}
        for key, item in self.trained.items():
            state = self.optimizer.state.get(item.tensor)
            if state:
                means[key] = (state["exp_avg"], state["exp_avg_sq"])
        return means

    def state(self) -> dict[str, Tensor]:
        """Return a copy of every tensor that training changes, under stable names."""
        return {name: tensor.clone() for name, tensor in self.tensors().items()}

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor that training changes, under stable names: those that the next step changes."""
        tensors = {name: tensor.detach() for name, tensor in held_tensors(self.model).items()}
        for key, (mean, square) in self.moments().items():
            tensors[f"mean|{key}"], tensors[f"square|{key}"] = mean, square
        return tensors

    @property
    def nbytes(self) -> int:
        """What those tensors take."""
        return sum(tensor.nbytes for tensor in self.tensors().values())

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor], steps: int) -> Self:
        """Continue from a state of the same widths, which is taken over."""
        kinds: dict[str, dict[str, Tensor]] = {"tensor": {}, "buffer": {}, "mean": {}, "square": {}}
        for name, tensor in state.items():
            kind, key = name.split("|", 1)
            kinds[kind][key] = tensor.to(self.device)
        self.steps = steps
        self.model.load(kinds["tensor"])
        for name, tensor in kinds["buffer"].items():
            self.model.module.initializer(name).copy_(tensor)
        moments = {key: (mean, kinds["square"][key]) for key, mean in kinds["mean"].items()}
        self._use(self.model, moments)
        return self

"""What a method decides along a run: its schedule, the form of its model, and what goes at each event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.cost.removal import RemovalPlan
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.methods.schedule import Event, Schedule, one_training
from spectral_engine.methods.state import RunState
from spectral_engine.records.compensate import Compensation
from spectral_engine.records.method import METHODS
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import Links
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.trainer import Trainer


class Policy:
    """A method, as the loop asks it. What is not said otherwise is one training that removes nothing.

    The loop trains, cuts, branches and stores; a policy reads the trainer and the state, and may change what its own
    form of the model holds besides weights.
    """

    form: ClassVar[type[SpectralModel]] = SpectralModel
    may_go_gently: ClassVar[bool] = (
        False  # whether a second way, slower and not so far, makes sense
    )

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan

    @staticmethod
    def schedule(recipe: Recipe, steps_per_epoch: int) -> Schedule:
        """Lay out the training that the recipe asks for."""
        return one_training(recipe.training, steps_per_epoch)

    @staticmethod
    def trunk_options(recipe: Recipe) -> Spectral:
        """Return what the trunk trains."""
        return recipe.spectral

    @property
    def compensation(self) -> Compensation:
        """How what goes is made good in those that read it."""
        return "mean"

    def begin(self, trainer: Trainer, state: RunState) -> None:
        """Get ready for a training from its first step."""

    def before_step(self, trainer: Trainer, step: int) -> None:
        """Get ready for the step that will be the `step`th."""

    def after_backward(self, trainer: Trainer, state: RunState, step: int) -> None:
        """Read the gradients of the `step`th step before they are used."""

    def scores(self, relevance: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what ranks the groups [count]: the relevance that the run has seen, where nothing else is said."""
        return relevance

    def choose(
        self, trainer: Trainer, state: RunState, scores: NDArray[np.float64], event: Event
    ) -> NDArray[np.bool_]:
        """Mark the groups that go at this event [count]."""
        del trainer, scores, event
        return np.zeros(len(state.removed), dtype=bool)

    def plan_removal(
        self, trainer: Trainer, state: RunState, scores: NDArray[np.float64], event: Event
    ) -> RemovalPlan:
        """Plan what is gone of the whole model after this event: what went before, and what `choose` marks."""
        return RemovalPlan.of(state.removed | self.choose(trainer, state, scores, event))

    def count_links(self, candidate: ir.Model, removed: NDArray[np.bool_]) -> Links | None:
        """Return what is left of the links in a candidate's file, where the method removes some."""
        del candidate, removed
        return None

    def tensors(self) -> dict[str, Tensor]:
        """Return what the method needs to go on, besides trainer and state."""
        return {}

    def restore(self, trainer: Trainer, state: RunState, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint, with what `tensors` gave."""


def policy_of(recipe: Recipe) -> type[Policy]:
    """Return the policy of a recipe's method; imports what it needs."""
    policy: type[Policy] = METHODS.get(recipe.method).load()
    return policy

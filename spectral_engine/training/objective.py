"""What training minimises, inferred from the model's outputs and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.data.classes import class_axis
from spectral_engine.errors import InvalidRequest
from spectral_engine.graph.node import Node
from spectral_engine.recipe import HIGHER_IS_BETTER, Metric, Recipe, Task

SQUASHING = {"Softmax": "classification", "LogSoftmax": "classification", "Sigmoid": "binary"}
SMALLEST_VARIANCE = 1e-12
DEFAULT_METRIC: dict[Task, Metric] = {
    "classification": "accuracy",
    "binary": "accuracy",
    "multilabel": "accuracy",
    "regression": "r2",
    "distillation": "agreement",
}


@dataclass(frozen=True)
class Head:
    """Where the model answers: `value` is what the loss reads, before a final softmax or sigmoid."""

    output: str
    value: str
    squashed_by: str | None


def find_head(nodes: list[Node], output: str) -> Head:
    """Look behind the first output for its logits."""
    producers = {name: node for node in nodes for name in node.outputs}
    node = producers.get(output)
    while node is not None and node.op_type in {"Identity", "Cast"}:
        node = producers.get(node.input(0))
    if node is not None and node.op_type in SQUASHING:
        return Head(output, node.input(0), node.op_type)
    return Head(output, output, None)


def infer_task(requested: Task | None, columns: int, labels: NDArray[Any] | None) -> Task:
    """Say what kind of answer the model gives; `columns` is the width of its first output."""
    if requested is not None:
        return requested
    if labels is None:
        return "distillation"
    if np.issubdtype(labels.dtype, np.floating):
        return "regression"
    if columns == 1:
        return "binary" if len(np.unique(labels)) == 2 else "regression"
    one_label_a_column = labels.ndim > 1 and int(np.prod(labels.shape[1:])) == columns
    return "multilabel" if one_label_a_column else "classification"


@dataclass(frozen=True)
class Objective:
    """The loss of one batch: labels where there are any, and the original model as the teacher."""

    task: Task
    head: Head
    distill: float
    temperature: float
    scale: float  # variance of the targets: regression losses come out near 1
    others: tuple[
        str, ...
    ] = ()  # further float outputs: held to the original's, no labels speak of them
    class_weights: tuple[float, ...] | None = None  # of rows by class; the mean row weighs 1

    @property
    def watch(self) -> tuple[str, ...]:
        """Values that the loss needs."""
        return (self.head.value, *self.others)

    @property
    def needs_teacher(self) -> bool:
        """True when the original's values enter the loss."""
        return self.distill > 0 or self.task == "distillation" or bool(self.others)

    def loss(
        self, values: Mapping[str, Tensor], labels: Tensor | None, teacher: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the mean loss of a batch; `teacher` holds the original's values of `watch`, or nothing."""
        answer = values[self.head.value]
        if labels is None:
            loss = self._towards(answer, teacher[self.head.value], None).mean()
        else:
            loss = self._labelled(answer, labels, teacher)
        for name in self.others:
            loss = loss + relative_error(values[name], teacher[name])
        return loss

    def _labelled(self, answer: Tensor, labels: Tensor, teacher: Mapping[str, Tensor]) -> Tensor:
        hard = self._against(answer, labels)
        if self.distill == 0:
            return hard.mean()
        original = teacher[self.head.value]
        trust = self.distill * self.belief(original, labels)
        soft = self._towards(answer, original, tuple(labels.shape))
        return ((1 - trust) * hard).mean() + (trust * soft).mean()

    @torch.no_grad()
    def belief(self, original: Tensor, labels: Tensor) -> Tensor:
        """Return the original's probability of each label [places]: where it errs there is nothing to learn from it.

        1 where answers are no probabilities of what the labels say.
        """
        if self.task == "classification":
            shares = F.softmax(class_rows(original, tuple(labels.shape)), 1)
            return shares.gather(1, labels.long().reshape(-1, 1)).squeeze(1)
        if self.task in {"binary", "multilabel"} and not self._answers_classes:
            share, target = torch.sigmoid(original), labels.to(original.dtype).view(original.shape)
            return target * share + (1 - target) * (1 - share)
        return original.new_ones(())

    @property
    def _answers_classes(self) -> bool:
        return self.task == "classification" or self.head.squashed_by in {"Softmax", "LogSoftmax"}

    def _against(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Return the loss against the label of each place; its mean is weighted by class where that is asked for."""
        if self.task == "classification":
            rows, targets = class_rows(answer, tuple(labels.shape)), labels.long().reshape(-1)
            losses = F.cross_entropy(rows, targets, reduction="none")
            if self.class_weights is None:
                return losses
            weights = rows.new_tensor(self.class_weights)[targets]
            return losses * weights / weights.mean()
        target = labels.to(answer.dtype).view(answer.shape)
        if self.task in {"binary", "multilabel"}:
            return F.binary_cross_entropy_with_logits(
                answer, target, self._of_rows(target), reduction="none"
            )
        return F.mse_loss(answer, target, reduction="none") / self.scale

    def _of_rows(self, target: Tensor) -> Tensor | None:
        if self.class_weights is None or self.task != "binary":
            return None
        rare, common = self.class_weights[1], self.class_weights[0]
        return target * rare + (1 - target) * common

    def _towards(self, answer: Tensor, teacher: Tensor, labels: tuple[int, ...] | None) -> Tensor:
        """Return the distance to the original's answer in each place; `labels` is their shape."""
        t = self.temperature
        if self._answers_classes:
            mine, original = (
                F.log_softmax(class_rows(part, labels) / t, 1) for part in (answer, teacher)
            )
            distances = F.kl_div(mine, original, reduction="none", log_target=True).sum(1)
            # Hinton et al. 2015, eq. 4: T² keeps the gradient's size when the temperature changes.
            return t * t * distances
        if self.task in {"binary", "multilabel"}:
            return F.binary_cross_entropy_with_logits(
                answer, torch.sigmoid(teacher), reduction="none"
            )
        return F.mse_loss(answer, teacher, reduction="none") / self.scale


def class_rows(answer: Tensor, labels: tuple[int, ...] | None = None) -> Tensor:
    """Lay answers out as [places, classes]: one row for a table's row, one for each step, one for each pixel."""
    if answer.dim() < 2:
        return answer[:, None]
    axis = class_axis(tuple(answer.shape), labels)
    return answer.movedim(axis, -1).flatten(0, -2)


def build_objective(
    recipe: Recipe,
    head: Head,
    columns: int,
    labels: NDArray[Any] | None,
    answers: NDArray[Any],
    others: tuple[str, ...] = (),
) -> Objective:
    """Choose the loss; `labels` are the training rows', `answers` some of the original's outputs."""
    task = infer_task(recipe.task, columns, labels)
    if labels is None and recipe.metric not in {None, "agreement"}:
        raise InvalidRequest(
            f"metric {recipe.metric!r} needs labels, and the data set has none",
            pointer="#/recipe/metric",
        )
    spread = float(np.var(labels)) if labels is not None and task == "regression" else 0.0
    if labels is None:
        spread = float(np.var(answers))
    scale = spread if spread > SMALLEST_VARIANCE else 1.0
    training = recipe.training
    weights = None
    if labels is not None and _weighs(recipe, task):
        weights = balanced_weights(labels, _classes(task, labels, answers))
    return Objective(task, head, training.distill, training.temperature, scale, others, weights)


def _weighs(recipe: Recipe, task: Task) -> bool:
    asked = recipe.training.class_weights
    alike = asked == "auto" and recipe.metric in {"balanced_accuracy", "f1_macro"}
    return task in {"classification", "binary"} and (asked == "balanced" or alike)


def _classes(task: Task, labels: NDArray[Any], answers: NDArray[Any]) -> int:
    if task == "binary" or answers.ndim < 2:
        return 2
    shape = (len(labels), *answers.shape[1:])
    return int(answers.shape[class_axis(shape, labels.shape)])


def balanced_weights(labels: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Return rows / (present classes · rows of the class), so that every class weighs the same; 1 for absent ones."""
    counts = np.bincount(labels.reshape(-1).astype(np.int64), minlength=classes)
    present = int((counts > 0).sum())
    even = labels.size / present
    return tuple(float(even / count) if count else 1.0 for count in counts)


def choose_metric(recipe: Recipe, task: Task, *, labelled: bool) -> Metric:
    """Return the metric that is asked for, or the task's usual one."""
    return recipe.metric or (DEFAULT_METRIC[task] if labelled else "agreement")


def drop(metric: Metric, baseline: float, candidate: float) -> float:
    """Return how much worse the candidate is, in the metric's own unit."""
    return baseline - candidate if HIGHER_IS_BETTER[metric] else candidate - baseline


def relative_error(values: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error over the teacher's variance."""
    return F.mse_loss(values, teacher) / teacher.var().clamp_min(SMALLEST_VARIANCE)

"""What training minimises, inferred from the model's outputs and the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spectral_engine.errors import InvalidRequest
from spectral_engine.graph.head import Head, find_head
from spectral_engine.meaning.boxes import BoxAnswers
from spectral_engine.meaning.layout import Kind
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.boxes import Join
from spectral_engine.measure.boxes import Layout as BoxLayout
from spectral_engine.measure.form import Form
from spectral_engine.onnx_io.node import Node
from spectral_engine.records.labels import Task
from spectral_engine.records.recipe import Recipe
from spectral_engine.training.other_losses import box_distance, ctc_losses, pinball

TAUGHT = {"distillation", "detection", "similarity"}  # by the original's answers alone
SMALLEST_VARIANCE = 1e-12
SMALLEST_SHARE = 1e-7  # of a class, before its logarithm is taken


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
    kind: Kind | None = None  # of the answers; by task where not given
    class_axis: int = -1
    form: Form = "logits"  # of the answers at the head's output
    threshold: float = 0.0  # of a score that means yes
    ignores: bool = False  # whether a label of −1 is not counted
    blank: int = 0  # of texts: the class that stands for no character
    boxes: BoxLayout | None = None  # where a detector's output holds what
    quantiles: tuple[
        float, ...
    ] = ()  # of the targets that numbers aim at: one, or one for each place on the last axis
    joins: tuple[
        Join, ...
    ] = ()  # of several values to one: what the loss reads, and what is judged

    @property
    def watch(self) -> tuple[str, ...]:
        """Values that the loss needs."""
        if self.judges_only:
            return self.others
        join = next((join for join in self.joins if join.name == self.head.value), None)
        return (*((self.head.value,) if join is None else join.names), *self.others)

    @property
    def needs_teacher(self) -> bool:
        """True when the original's values enter the loss."""
        return self.distill > 0 or self.task in TAUGHT or bool(self.others)

    def joined(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a graph's values with one in the place of those that are joined."""
        whole = dict(values)
        for join in self.joins:
            if values.keys() >= set(join.names):
                whole = {name: whole[name] for name in whole if name not in join.names}
                whole[join.name] = join.of(values, torch.cat)
        return whole

    def refuse_untrainable(self) -> None:
        """Raise InvalidRequest where a detector answers nothing but finished boxes: these can only be judged."""
        if self.judges_only and not self.others:
            raise InvalidRequest(
                "the model lists finished boxes, which can be judged and not trained by, and what they are chosen from "
                "is not found in the graph: export it with its boxes and scores before suppression or selection (in "
                "ultralytics: nms=False, end2end=False)",
                pointer="#/labels/output",
            )

    @property
    def judges_only(self) -> bool:
        """True where what is judged does not enter the loss, but other values do, if any."""
        return self.task == "detection" and self.boxes is None

    def loss(
        self, values: Mapping[str, Tensor], labels: Tensor | None, teacher: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the mean loss of a batch; `teacher` holds the original's values of `watch`, or nothing."""
        if self.judges_only:
            return torch.stack([relative_error(values[n], teacher[n]) for n in self.others]).sum()
        answer = values[self.head.value]
        if labels is None:
            loss = self._towards(answer, teacher[self.head.value]).mean()
        else:
            loss = self._labelled(answer, labels, teacher)
        for name in self.others:
            loss = loss + relative_error(values[name], teacher[name])
        return loss

    def _labelled(self, answer: Tensor, labels: Tensor, teacher: Mapping[str, Tensor]) -> Tensor:
        counted = labels.reshape(-1) >= 0 if self.ignores else None  # [places]
        hard = self._against(answer, labels)
        if self.distill == 0:
            return mean_of(hard, counted)
        original = teacher[self.head.value]
        trust = self.distill * self.teacher_confidence(original, labels)
        soft = self._towards(answer, original)
        return mean_of((1 - trust) * hard, counted) + mean_of(trust * soft, counted)

    @torch.no_grad()
    def teacher_confidence(self, original: Tensor, labels: Tensor) -> Tensor:
        """Return the original's probability of each label [places]: where it errs there is nothing to learn from it.

        1 where answers are no probabilities of what the labels say.
        """
        if self.task == "classification":
            shares = F.softmax(self.class_rows(original), 1)
            return shares.gather(1, labels.long().clamp_min(0).reshape(-1, 1)).squeeze(1)
        if self.task in {"binary", "multilabel"} and not self._answers_classes:
            scores = self._scores(original)
            share, target = torch.sigmoid(scores), labels.to(original.dtype).view(original.shape)
            return target * share + (1 - target) * (1 - share)
        return original.new_ones(())

    @property
    def _answers_classes(self) -> bool:
        if self.kind in {"scores", "numbers"} and self.task == "distillation":
            return False
        return self.task in {"classification", "ctc"} or self.head.squashes_classes

    @property
    def _answers_yes_or_no(self) -> bool:
        asked = self.task in {"binary", "multilabel"}
        return asked or (self.task == "distillation" and self.kind == "scores")

    def _against(self, answer: Tensor, labels: Tensor) -> Tensor:
        """Return the loss against the label of each place; its mean is weighted by class where that is asked for."""
        if self.task == "classification":
            rows, targets = self.class_rows(answer), labels.long().reshape(-1)
            targets = targets.clamp_min(0) if self.ignores else targets
            losses = F.cross_entropy(rows, targets, reduction="none")
            if self.class_weights is None:
                return losses
            weights = rows.new_tensor(self.class_weights)[targets]
            return losses * weights / weights.mean()
        if self.task == "ctc":
            steps, classes = answer.shape[1:]
            return ctc_losses(self.class_rows(answer).view(-1, steps, classes), labels, self.blank)
        target = labels.to(answer.dtype).view(answer.shape)
        if self._answers_yes_or_no:
            target = target.clamp_min(0) if self.ignores else target
            return F.binary_cross_entropy_with_logits(
                self._scores(answer), target, self._of_rows(target), reduction="none"
            )
        if self.quantiles:
            return pinball(answer, target, self.quantiles) / sqrt(self.scale)
        return F.mse_loss(answer, target, reduction="none") / self.scale

    def _of_rows(self, target: Tensor) -> Tensor | None:
        if self.class_weights is None or self.task != "binary":
            return None
        rare, common = self.class_weights[1], self.class_weights[0]
        return target * rare + (1 - target) * common

    def _towards(self, answer: Tensor, teacher: Tensor) -> Tensor:
        """Return the distance to the original's answer in each place."""
        t = self.temperature
        if self.boxes is not None:
            return box_distance(answer, teacher, self.boxes)
        if self._answers_classes:
            mine, original = (F.log_softmax(self.class_rows(p) / t, 1) for p in (answer, teacher))
            distances = F.kl_div(mine, original, reduction="none", log_target=True).sum(1)
            # Hinton et al. 2015, eq. 4: T² keeps the gradient's size when the temperature changes.
            return t * t * distances
        if self._answers_yes_or_no:
            return F.binary_cross_entropy_with_logits(
                self._scores(answer), torch.sigmoid(self._scores(teacher)), reduction="none"
            )
        return F.mse_loss(answer, teacher, reduction="none") / self.scale

    def class_rows(self, answer: Tensor) -> Tensor:
        """Lay answers out as logits [places, classes]: one for each row of a table, each step, each pixel."""
        if answer.dim() < 2:
            return answer[:, None]
        rows = answer.movedim(self.class_axis, -1).flatten(0, -2)
        if self.form == "probabilities" and self.head.squashed_by is None:
            return rows.clamp_min(SMALLEST_SHARE).log()
        return rows

    def _scores(self, answer: Tensor) -> Tensor:
        """Return the logits of yes: 0 at the threshold."""
        if self.head.squashed_by is not None:
            return answer
        if self.form == "probabilities":
            return torch.logit(answer, SMALLEST_SHARE)
        return answer - self.threshold if self.threshold else answer


def mean_of(losses: Tensor, counted: Tensor | None) -> Tensor:
    """Return the mean over the places that are counted [places], over all where nothing is said."""
    if counted is None:
        return losses.mean()
    flat = losses.reshape(-1)
    return (flat * counted).sum() / counted.sum().clamp_min(1)


def build_objective(
    recipe: Recipe,
    meaning: Meaning,
    nodes: list[Node],
    labels: NDArray[Any] | None,
    answers: NDArray[Any],
    others: tuple[str, ...] = (),
) -> Objective:
    """Choose the loss; `labels` are the training rows' in canonical form, `answers` some of the original's outputs."""
    head = Head(meaning.output, meaning.output, None)
    if meaning.kind in {"classes", "scores", "texts"}:
        head = find_head(nodes, meaning.output)
    numbers = answers if labels is None else labels
    spread = float(np.var(numbers)) if meaning.kind == "numbers" or labels is None else 0.0
    training, layout = recipe.training, meaning.layout
    weights = None
    if labels is not None and _weighs(recipe, meaning.task):
        weights = balanced_weights(labels, layout.classes)
    return Objective(
        meaning.task,
        head,
        training.distill,
        training.temperature,
        spread if spread > SMALLEST_VARIANCE else 1.0,
        others,
        weights,
        layout.kind,
        -1 if layout.class_axis is None else layout.class_axis,
        layout.form,
        layout.threshold,
        meaning.leaves_out,
        meaning.blank,
        layout.where if isinstance(layout, BoxAnswers) and not layout.where.listed else None,
        meaning.quantiles,
        () if meaning.join is None else (meaning.join,),
    )


def _weighs(recipe: Recipe, task: Task) -> bool:
    asked = recipe.training.class_weights
    alike = asked == "auto" and recipe.metric in {"balanced_accuracy", "f1_macro"}
    return task in {"classification", "binary"} and (asked == "balanced" or alike)


def balanced_weights(labels: NDArray[Any], classes: int) -> tuple[float, ...]:
    """Return rows / (present classes · rows of the class), so that every class weighs the same; 1 for absent ones."""
    counted = labels.reshape(-1)[labels.reshape(-1) >= 0].astype(np.int64)
    counts = np.bincount(counted, minlength=classes)
    even = counted.size / int((counts > 0).sum())
    return tuple(float(even / count) if count else 1.0 for count in counts)


def relative_error(values: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error over the teacher's variance."""
    return F.mse_loss(values, teacher) / teacher.var().clamp_min(SMALLEST_VARIANCE)

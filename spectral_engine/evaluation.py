"""The metric of ONNX files on validation and held-out rows, measured in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from spectral_engine.data import Split, Splits
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.certificate import Evidence, weigh
from spectral_engine.measure.metrics import per_class, score
from spectral_engine.measure.runtime import Runner
from spectral_engine.measure.statistics import metric_interval, paired_drop
from spectral_engine.onnx_io.source import Source
from spectral_engine.recipe import HIGHER_IS_BETTER, Metric, Recipe, Task
from spectral_engine.report.schema import Drop, MetricValue

ONE_STANDARD_ERROR = 0.6827


@dataclass(frozen=True)
class HeldOut:
    """A candidate on the held-out rows; evidence where a floor is asked for."""

    metric: MetricValue
    drop: Drop
    evidence: Evidence | None


class Evaluation:
    """Measures models against the baseline, on rows that are never trained on."""

    def __init__(
        self, metric: Metric, task: Task, original: Source, splits: Splits, recipe: Recipe
    ) -> None:
        self.metric, self.task, self.original = metric, task, original
        self.splits, self.recipe = splits, recipe

    def validation_metric(self, model: Source) -> float:
        """Return the metric on the validation rows: what candidates are chosen by."""
        outputs = Runner(model).predict(self.splits.validation)
        return score(self.metric, outputs, self._truth(self.splits.validation, self._validation))

    def validation_score(self, answers: NDArray[Any]) -> float:
        """Return the metric of these answers to the validation rows, turned so that higher is better."""
        found = score(self.metric, answers, self._truth(self.splits.validation, self._validation))
        return found if HIGHER_IS_BETTER[self.metric] else -found

    def validation_drop(self, model: Source) -> Drop:
        """Return the drop on the validation rows, with an interval of one standard error."""
        outputs = Runner(model).predict(self.splits.validation)
        return self._drop(outputs, self.splits.validation, self._validation, ONE_STANDARD_ERROR)

    def held_out(self, model: Source) -> HeldOut:
        """Return all that the held-out rows say of a candidate, from one run over them."""
        outputs = Runner(model).predict(self.splits.test)
        confidence = self.recipe.target.confidence
        drop = self._drop(outputs, self.splits.test, self._held_out, confidence)
        return HeldOut(self._metric(outputs), drop, self._weigh(outputs))

    def held_out_baseline(self) -> MetricValue:
        """Return the baseline's metric on the held-out rows with its interval."""
        return self._metric(self._held_out)

    def _weigh(self, outputs: NDArray[Any]) -> Evidence | None:
        target, truth = self.recipe.target, self._truth(self.splits.test, self._held_out)
        if target.max_metric_drop is None:
            return None
        return weigh(
            Pair(self.metric, self._held_out, outputs, truth),
            floor=target.max_metric_drop,
            confidence=target.confidence,
            seed=self.recipe.seed,
        )

    def _metric(self, outputs: NDArray[Any]) -> MetricValue:
        truth = self._truth(self.splits.test, self._held_out)
        confidence = self.recipe.target.confidence
        return MetricValue(
            name=self.metric,
            value=score(self.metric, outputs, truth),
            interval=metric_interval(
                self.metric, outputs, truth, confidence=confidence, seed=self.recipe.seed
            ),
            rows=self.splits.test.rows,
            higher_is_better=HIGHER_IS_BETTER[self.metric],
            per_class=self._per_class(outputs),
        )

    def _per_class(self, outputs: NDArray[Any]) -> dict[str, float] | None:
        labels = self.splits.test.labels
        if labels is None or self.task not in {"classification", "binary"}:
            return None
        return per_class(outputs, labels, self.splits.class_names)

    def _drop(
        self, outputs: NDArray[Any], split: Split, baseline: NDArray[Any], confidence: float
    ) -> Drop:
        return paired_drop(
            self.metric,
            baseline,
            outputs,
            self._truth(split, baseline),
            confidence=confidence,
            seed=self.recipe.seed,
        )

    def _truth(self, split: Split, baseline: NDArray[Any]) -> NDArray[Any]:
        """Labels; where the metric is agreement, the original model's answers."""
        return baseline if split.labels is None or self.metric == "agreement" else split.labels

    @cached_property
    def _validation(self) -> NDArray[Any]:
        return Runner(self.original).predict(self.splits.validation)

    @cached_property
    def _held_out(self) -> NDArray[Any]:
        return Runner(self.original).predict(self.splits.test)

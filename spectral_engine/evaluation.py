"""The metric of ONNX files on validation and held-out rows, measured in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from spectral_engine.answers import canonical
from spectral_engine.data import Split, Splits
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.certificate import Evidence, weigh
from spectral_engine.measure.metrics import Rows, metric_rule, per_class
from spectral_engine.measure.runtime import Runner
from spectral_engine.measure.statistics import metric_interval, paired_drop
from spectral_engine.onnx_io.source import Source
from spectral_engine.recipe import Metric, Recipe, Task
from spectral_engine.report.schema import Drop, Interval, MetricValue

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
        self.rule = metric_rule(metric)

    def validation_metric(self, model: Source) -> float:
        """Return the metric on the validation rows: what candidates are chosen by."""
        return self.rule.value(self._validation_rows(Runner(model).predict(self.splits.validation)))

    def validation_score(self, answers: NDArray[Any]) -> float:
        """Return the metric of these answers to the validation rows, turned so that higher is better."""
        found = self.rule.value(self._validation_rows(answers))
        return found if self.rule.higher_is_better else -found

    def validation_drop(self, model: Source) -> Drop:
        """Return the drop on the validation rows, with an interval of one standard error."""
        before = self._validation_rows(self._validation)
        after = self._validation_rows(Runner(model).predict(self.splits.validation))
        return paired_drop(
            self.rule, before, after, confidence=ONE_STANDARD_ERROR, seed=self.recipe.seed
        )

    def held_out(self, model: Source) -> HeldOut:
        """Return all that the held-out rows say of a candidate, from one run over them."""
        outputs = Runner(model).predict(self.splits.test)
        confidence, seed = self.recipe.target.confidence, self.recipe.seed
        before, after = self._held_out_rows(self._held_out), self._held_out_rows(outputs)
        drop = paired_drop(self.rule, before, after, confidence=confidence, seed=seed)
        return HeldOut(self._metric(outputs), drop, self._weigh(before, after))

    def held_out_baseline(self) -> MetricValue:
        """Return the baseline's metric on the held-out rows with its interval."""
        found = self._metric(self._held_out)
        if not self._by_original:
            return found
        sure = Interval(low=found.value, high=found.value, confidence=found.interval.confidence)
        return found.model_copy(update={"interval": sure})

    def _weigh(self, before: Rows, after: Rows) -> Evidence | None:
        target = self.recipe.target
        if target.max_metric_drop is None:
            return None
        return weigh(
            Pair(self.rule, before, after),
            floor=target.max_metric_drop,
            confidence=target.confidence,
            seed=self.recipe.seed,
        )

    def _metric(self, outputs: NDArray[Any]) -> MetricValue:
        rows = self._held_out_rows(outputs)
        confidence = self.recipe.target.confidence
        return MetricValue(
            name=self.metric,
            value=self.rule.value(rows),
            interval=metric_interval(self.rule, rows, confidence=confidence, seed=self.recipe.seed),
            rows=len(rows),
            higher_is_better=self.rule.higher_is_better,
            against="original" if self._by_original else "labels",
            per_class=self._per_class(outputs),
        )

    def _per_class(self, outputs: NDArray[Any]) -> dict[str, float] | None:
        labels = self.splits.test.labels
        if labels is None or self.task not in {"classification", "binary"}:
            return None
        answers, truth, form = canonical(outputs, labels, self.task)
        return per_class(self.rule, answers, truth, form, self.splits.class_names)

    def _held_out_rows(self, outputs: NDArray[Any]) -> Rows:
        return self._rows(outputs, self.splits.test, self._held_out)

    def _validation_rows(self, outputs: NDArray[Any]) -> Rows:
        return self._rows(outputs, self.splits.validation, self._validation)

    def _rows(self, outputs: NDArray[Any], split: Split, original: NDArray[Any]) -> Rows:
        if not self._by_original:
            return self.rule.rows(*canonical(outputs, split.labels, self.task))
        answers, _, form = canonical(outputs, None, self.task)
        labels, _, _ = canonical(original, None, self.task)
        return self.rule.rows(answers, labels, form)

    @property
    def _by_original(self) -> bool:
        """Whether the original model's answers are the labels."""
        return self.splits.test.labels is None or self.rule.against_original

    @cached_property
    def _validation(self) -> NDArray[Any]:
        return Runner(self.original).predict(self.splits.validation)

    @cached_property
    def _held_out(self) -> NDArray[Any]:
        return Runner(self.original).predict(self.splits.test)

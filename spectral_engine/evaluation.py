"""The metric of ONNX files on validation and held-out rows, measured in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from spectral_engine.data import Split, Splits
from spectral_engine.errors import InvalidRequest
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.certificate import Evidence, weigh
from spectral_engine.measure.metrics import per_class, score
from spectral_engine.measure.runtime import Runner
from spectral_engine.measure.statistics import metric_interval, paired_drop
from spectral_engine.onnx_io.source import Source
from spectral_engine.recipe import HIGHER_IS_BETTER, Metric, Recipe
from spectral_engine.report.schema import Drop, MetricValue

ONE_STANDARD_ERROR = 0.6827


@dataclass(frozen=True)
class HeldOut:
    """A candidate on the held-out rows; evidence where a floor is asked for."""

    metric: MetricValue
    drop: Drop
    evidence: Evidence | None


class Evaluation:
    """Measures models against the baseline, on rows that are never trained on.

    Answers and labels are in the canonical form that the data's meaning gives them.
    """

    def __init__(self, meaning: Meaning, original: Source, splits: Splits, recipe: Recipe) -> None:
        self.meaning, self.original, self.splits, self.recipe = meaning, original, splits, recipe
        self.metric = choose_metric(recipe, meaning)

    def validation_metric(self, model: Source) -> float:
        """Return the metric on the validation rows: what candidates are chosen by."""
        outputs = self._answers(model, self.splits.validation)
        return score(self.metric, outputs, self._truth(self.splits.validation, self._validation))

    def validation_score(self, answers: NDArray[Any]) -> float:
        """Return the metric of these raw answers to the validation rows, turned so that higher is better."""
        truth = self._truth(self.splits.validation, self._validation)
        found = score(self.metric, self.meaning.answers(answers), truth)
        return found if HIGHER_IS_BETTER[self.metric] else -found

    def validation_drop(self, model: Source) -> Drop:
        """Return the drop on the validation rows, with an interval of one standard error."""
        outputs = self._answers(model, self.splits.validation)
        return self._drop(outputs, self.splits.validation, self._validation, ONE_STANDARD_ERROR)

    def held_out(self, model: Source) -> HeldOut:
        """Return all that the held-out rows say of a candidate, from one run over them."""
        outputs = self._answers(model, self.splits.test)
        confidence = self.recipe.target.confidence
        drop = self._drop(outputs, self.splits.test, self._held_out, confidence)
        return HeldOut(self._metric(outputs), drop, self._weigh(outputs))

    def held_out_baseline(self) -> MetricValue:
        """Return the baseline's metric on the held-out rows with its interval."""
        return self._metric(self._held_out)

    def _answers(self, model: Source, split: Split) -> NDArray[Any]:
        """Return canonical answers."""
        return self.meaning.answers(Runner(model).predict(split, output=self.meaning.output))

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
        if labels is None or self.meaning.task not in {"classification", "binary"}:
            return None
        return per_class(outputs, labels, self.meaning.class_names)

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
        """Labels; where there are none, or the metric is agreement, the original model's answers."""
        return baseline if split.labels is None or self.metric == "agreement" else split.labels

    @cached_property
    def _validation(self) -> NDArray[Any]:
        return self._answers(self.original, self.splits.validation)

    @cached_property
    def _held_out(self) -> NDArray[Any]:
        return self._answers(self.original, self.splits.test)


def choose_metric(recipe: Recipe, meaning: Meaning) -> Metric:
    """Return the metric that is asked for, or the usual one; raises InvalidRequest where it needs labels."""
    if meaning.labelled:
        return recipe.metric or ("r2" if meaning.kind == "numbers" else "accuracy")
    usual: Metric = "r2" if meaning.kind == "numbers" else "agreement"
    if recipe.metric not in {None, usual, "agreement"}:
        raise InvalidRequest(
            f"metric {recipe.metric!r} needs labels, and the data set has none",
            pointer="#/recipe/metric",
        )
    return recipe.metric or usual

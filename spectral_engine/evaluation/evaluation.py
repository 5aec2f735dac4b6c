"""The metric of ONNX files on validation and held-out rows, measured in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from numpy.typing import NDArray

from spectral_engine.data import Split, Splits
from spectral_engine.evaluation.metric_choice import choose_metric, task_of_answers
from spectral_engine.evaluation.other_outputs import kept
from spectral_engine.evaluation.sanity import contradiction
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.measure.bootstrap import Pair
from spectral_engine.measure.certificate import Evidence, weigh
from spectral_engine.measure.metrics import Rows, metric_rule, per_class
from spectral_engine.measure.movement import cannot_move
from spectral_engine.measure.opened_model import OpenedModel, opened
from spectral_engine.measure.statistics import metric_interval, paired_drop
from spectral_engine.onnx_io.source import Source
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.report import Drop, Interval, MetricValue

ONE_STANDARD_ERROR = 0.6827


@dataclass(frozen=True)
class HeldOut:
    """A candidate on the held-out rows; evidence where a floor is asked for."""

    metric: MetricValue
    drop: Drop
    evidence: Evidence | None
    contradiction: str | None = None  # why these are not the answers of a compressed copy
    other_outputs: Mapping[str, MetricValue] = field(default_factory=dict)  # which are not judged


class Evaluation:
    """Measures models against the baseline, on rows that are never trained on.

    Answers and labels are in the canonical form that the data's meaning gives them.
    """

    def __init__(
        self, meaning: Meaning, original: Source | OpenedModel, splits: Splits, recipe: Recipe
    ) -> None:
        self.meaning, self.splits, self.recipe = meaning, splits, recipe
        self.original = opened(original)
        # By what was opened, not by path: a run that begins again writes other files there.
        self._rows_of: WeakKeyDictionary[OpenedModel, Rows] = WeakKeyDictionary()
        self._drops: WeakKeyDictionary[OpenedModel, Drop] = WeakKeyDictionary()
        self._obstacles: dict[float | None, str | None] = {}
        self.metric = choose_metric(recipe, meaning)
        self.rule = metric_rule(
            self.metric,
            task=task_of_answers(meaning),
            quantiles=meaning.quantiles or recipe.quantiles,
            blank=meaning.blank,
        )

    def validation_metric(self, model: Source | OpenedModel) -> float:
        """Return the metric on the validation rows: what candidates are chosen by."""
        return self.rule.value(self._on_validation(opened(model)))

    def validation_score(self, answers: NDArray[Any]) -> float:
        """Return the metric of these answers to the validation rows, turned so that higher is better."""
        value = self.rule.value(self._validation_rows(answers))
        return value if self.rule.higher_is_better else -value

    def validation_drop(self, model: Source | OpenedModel) -> Drop:
        """Return the drop on the validation rows, with an interval of one standard error; worked out once a file."""
        model = opened(model)
        if model not in self._drops:
            before, after = self._on_validation(self.original), self._on_validation(model)
            self._drops[model] = paired_drop(
                self.rule, before, after, confidence=ONE_STANDARD_ERROR, seed=self.recipe.seed
            )
        return self._drops[model]

    def held_out(self, model: Source | OpenedModel) -> HeldOut:
        """Return all that the held-out rows say of a candidate, from one run over them."""
        if opened(model).sha256 == self.original.sha256:
            return self._original_beside_itself()
        answers = self._answers(opened(model))
        outputs = self.meaning.raw(answers)
        confidence, seed = self.recipe.target.confidence, self.recipe.seed
        before, after = self._original_held_out, self._held_out_rows(outputs)
        drop = paired_drop(self.rule, before, after, confidence=confidence, seed=seed)
        if self._by_original:
            drop = _nothing_is_better(drop)
        others = kept(self.meaning.beside, self._original_answers, answers, self.recipe)
        return HeldOut(
            self._metric(outputs, self.splits.test, self._held_out),
            drop,
            self._weigh(before, after),
            self._contradicted(outputs, drop) or others.contradiction,
            others.metrics,
        )

    def _original_beside_itself(self) -> HeldOut:
        """Return what is known of the original without measuring: it loses nothing."""
        rows, confidence = self._original_held_out, self.recipe.target.confidence
        drop = Drop(
            value=0.0,
            interval=Interval(low=0.0, high=0.0, confidence=confidence),
            method="none: the original itself, by definition",
        )
        return HeldOut(self.held_out_baseline(), drop, self._weigh(rows, rows))

    def held_out_baseline(self) -> MetricValue:
        """Return the baseline's metric on the held-out rows with its interval."""
        return self._baseline(self._held_out, self.splits.test)

    def validation_baseline(self) -> MetricValue:
        """Return the baseline's metric on the validation rows with its interval."""
        return self._baseline(self._validation, self.splits.validation)

    def _baseline(self, outputs: NDArray[Any], split: Split) -> MetricValue:
        metric = self._metric(outputs, split, outputs)
        if not self._by_original:
            return metric
        sure = Interval(low=metric.value, high=metric.value, confidence=metric.interval.confidence)
        return metric.model_copy(update={"interval": sure})

    def understood_as(self, meaning: Meaning, splits: Splits) -> Evaluation:
        """Return the same rows and answers under another meaning of them; the original is not run again."""
        other = Evaluation(meaning, self.original, splits, self.recipe)
        other.__dict__["_validation"] = self._validation
        return other

    def obstacle(self, floor: float | None = None) -> str | None:
        """Return why the metric would be the same whatever a model answers to the validation rows, or None.

        With a floor, answers that know nothing of their row must lose more than it.
        """
        if floor not in self._obstacles:  # each is asked for several times, and wrecks all answers
            self._obstacles[floor] = self._cannot_move(floor)
        return self._obstacles[floor]

    def _cannot_move(self, floor: float | None) -> str | None:
        return cannot_move(
            self.rule,
            self.meaning.answers(self._validation),
            self._truth(self.splits.validation, self._validation),
            self.meaning.layout.form,
            against="original" if self._by_original else "labels",
            floor=floor,
        )

    def _contradicted(self, outputs: NDArray[Any], drop: Drop) -> str | None:
        """Look at the answers in other ways than the metric does; a candidate that knows more may answer otherwise."""
        fresh = self.recipe.spectral.init == "fresh" or self.recipe.allow_poor_original
        same = not fresh and (self._by_original or drop.value >= 0)
        return contradiction(self.meaning, self._held_out, outputs, same_task=same)

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

    def _metric(self, outputs: NDArray[Any], split: Split, original: NDArray[Any]) -> MetricValue:
        rows = self._rows(outputs, split, original)
        confidence = self.recipe.target.confidence
        return MetricValue(
            name=self.metric,
            value=self.rule.value(rows),
            interval=metric_interval(self.rule, rows, confidence=confidence, seed=self.recipe.seed),
            rows=len(rows),
            higher_is_better=self.rule.higher_is_better,
            against="original" if self._by_original else "labels",
            per_class=self._per_class(outputs, split),
        )

    def _per_class(self, outputs: NDArray[Any], split: Split) -> dict[str, float] | None:
        labels, meaning = split.labels, self.meaning
        if labels is None or meaning.task not in {"classification", "binary", "detection"}:
            return None
        names = None if meaning.class_names is None else list(meaning.class_names)
        return per_class(self.rule, meaning.answers(outputs), labels, meaning.layout.form, names)

    def _held_out_rows(self, outputs: NDArray[Any]) -> Rows:
        return self._rows(outputs, self.splits.test, self._held_out)

    def _validation_rows(self, outputs: NDArray[Any]) -> Rows:
        return self._rows(outputs, self.splits.validation, self._validation)

    def _rows(self, outputs: NDArray[Any], split: Split, original: NDArray[Any]) -> Rows:
        form = self.meaning.layout.form
        return self.rule.rows(self.meaning.answers(outputs), self._truth(split, original), form)

    def _truth(self, split: Split, original: NDArray[Any]) -> NDArray[Any]:
        """Return the labels, or the original's canonical answers where these take their place."""
        if self._by_original or split.labels is None:
            return self.meaning.answers(original)
        return self.meaning.truth(split.labels)

    def _on_validation(self, model: OpenedModel) -> Rows:
        """Return what the metric keeps of a model's answers to the validation rows; a file is run once."""
        if model not in self._rows_of:
            is_original = model is self.original
            answers = self._validation if is_original else self._run(model, self.splits.validation)
            self._rows_of[model] = self._validation_rows(answers)
        return self._rows_of[model]

    def _run(self, model: OpenedModel, split: Split) -> NDArray[Any]:
        return self.meaning.raw(model.runner.predict_all(split, outputs=self.meaning.outputs))

    @property
    def _by_original(self) -> bool:
        """Whether the original model's answers are the labels."""
        return self.splits.test.labels is None or self.rule.against_original

    @cached_property
    def _validation(self) -> NDArray[Any]:
        return self._run(self.original, self.splits.validation)

    @cached_property
    def _original_held_out(self) -> Rows:
        return self._held_out_rows(self._held_out)

    def _answers(self, model: OpenedModel) -> dict[str, NDArray[Any]]:
        """Return a model's answers to the held-out rows, also where they are not judged."""
        beside = (other.output for other in self.meaning.beside)
        names = tuple(dict.fromkeys([*self.meaning.outputs, *beside]))
        return model.runner.predict_all(self.splits.test, outputs=names)

    @cached_property
    def _original_answers(self) -> dict[str, NDArray[Any]]:
        return self._answers(self.original)

    @cached_property
    def _held_out(self) -> NDArray[Any]:
        return self.meaning.raw(self._original_answers)


def _nothing_is_better(drop: Drop) -> Drop:
    """Return a drop against the original's own answers: nobody agrees with them more than they do with themselves."""
    interval = drop.interval.model_copy(update={"low": max(0.0, drop.interval.low)})
    return drop.model_copy(update={"interval": interval})

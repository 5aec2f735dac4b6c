"""The forms that answers without labels take, each with the metric that fits it."""

from __future__ import annotations

from collections.abc import Mapping

from spectral_engine.meaning.layout import Array, Layout, form_of
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output
from spectral_engine.records.labels import Task
from spectral_engine.records.metrics import Metric

Inputs = Mapping[str, Array]


def classes_layout(output: Output, axis: int) -> Layout:
    """Return the layout of classes along an axis, counted with the rows' one."""
    form = form_of(output.answers, axis, output.squashed_by)
    return Layout("classes", tuple(output.answers.shape[1:]), axis, form)


def scores_layout(output: Output) -> Layout:
    """Return the layout of yes and no at every place."""
    form = form_of(output.answers, None, output.squashed_by)
    threshold = 0.5 if form == "probabilities" else 0.0
    return Layout("scores", tuple(output.answers.shape[1:]), None, form, threshold)


def as_classes(output: str, layout: Layout, why: str, metric: Metric = "agreement") -> Meaning:
    """Compare the highest class of each row or place."""
    reading = "classes, as the original gives them"
    return _form(output, layout, reading, why, metric, "classification")


def as_scores(
    output: str,
    layout: Layout,
    why: str,
    metric: Metric = "agreement",
    compared_as: Task = "multilabel",
) -> Meaning:
    """Compare yes and no; `compared_as` tells labels of their own (multilabel) from places of one kind (binary)."""
    reading = "yes or no, as the original gives it"
    return _form(output, layout, reading, why, metric, compared_as)


def as_numbers(output: str, layout: Layout, why: str) -> Meaning:
    """Compare numbers by r2 to the original's."""
    reading = "numbers, as the original gives them"
    return _form(output, layout, reading, why, "r2", "regression")


def as_embeddings(output: str, layout: Layout, why: str) -> Meaning:
    """Compare the order in which rows are each other's neighbours; numbers are what is trained."""
    reading = "embeddings, as the original gives them"
    return _form(output, layout, reading, why, "rank_agreement", "regression")


def by_numbers(meaning: Meaning) -> Meaning:
    """Return the same answers as the numbers that they are; these are then what is trained and judged."""
    return as_numbers(meaning.output, Layout("numbers", meaning.layout.row_shape), "")


def _form(
    output: str, layout: Layout, reading: str, why: str, metric: Metric, compared_as: Task
) -> Meaning:
    return Meaning(
        "distillation",
        output,
        layout,
        reading=reading,
        why=(why,),
        metric=metric,
        compared_as=compared_as,
    )

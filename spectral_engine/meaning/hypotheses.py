"""Why an original may know nothing of the data: likely mistakes are undone on some rows, and it is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.meaning import order as orders
from spectral_engine.meaning import skill as knows
from spectral_engine.meaning.chance import skill_above_chance
from spectral_engine.meaning.coding import OneHot, Values, shown
from spectral_engine.meaning.layout import form_of
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Probe
from spectral_engine.meaning.skill import Skill
from spectral_engine.meaning.text_order import matched_characters, reordered
from spectral_engine.meaning.texts import Characters

Array = NDArray[Any]
ROWS = 512  # that changed inputs are tried on
LITTLE = 0.01  # of what other units gain: columns that gain less are not named
MOST_COLUMNS = 5
FEW_ROWS = 64  # of them, where each takes long to judge
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@dataclass(frozen=True)
class Hypothesis:
    """A mistake that would explain it, what to pass instead, and what the original knows without the mistake."""

    reason: str
    remedy: str
    pointer: str
    skill: Skill


def skill_under(meaning: Meaning, outputs: Array, labels: Array) -> Skill:
    """Return what a model with these outputs knows of canonical labels."""
    if meaning.task in {"classification", "binary"}:
        return knows.of_classes(meaning.as_labels(outputs), labels, beyond_places=True)
    if meaning.task == "multilabel":
        return knows.of_columns(meaning.as_labels(outputs), labels)
    if meaning.task in {"detection", "ctc", "similarity"}:
        return skill_above_chance(meaning, outputs, labels)
    return _of_targets(meaning, meaning.answers(outputs), labels)


def _of_targets(meaning: Meaning, answers: Array, targets: Array) -> Skill:
    """Compare numbers by what they aim at: r2 of one that aims at a quantile would say little, and often more."""
    if meaning.quantiles:
        return knows.of_quantiles(answers, targets, meaning.quantiles)
    return knows.of_numbers(answers, targets)


def hypotheses(meaning: Meaning, probe: Probe) -> Iterator[Hypothesis]:
    """Yield every mistake that fits the data's kind, with what undoing it gives."""
    outputs = meaning.raw(probe.answers)
    labels = meaning.labels(_raw(probe.rows))
    if meaning.task in {"classification", "binary"}:
        yield from _other_order(meaning, outputs, labels)
    if meaning.task == "regression":
        yield from _other_targets(meaning, outputs, labels)
        yield from _other_quantiles(meaning, outputs, labels)
    if meaning.task == "ctc":
        yield from _other_alphabet(meaning, outputs, labels)
    yield from _other_inputs(meaning, probe)


def _raw(rows: Split) -> Array:
    assert rows.labels is not None
    return rows.labels


def _other_order(meaning: Meaning, outputs: Array, labels: Array) -> Iterator[Hypothesis]:
    """Match classes on one half of the rows, and see on the other half what that gives."""
    count = meaning.layout.classes
    predicted = meaning.as_labels(outputs)
    fit, check = slice(0, None, 2), slice(1, None, 2)
    counts = orders.count_answers(labels[fit], predicted[fit], count, count)
    # What is labelled c is answered as read_as[c].
    read_as = orders.by_matching(counts).order.classes
    if (read_as == np.arange(count)).all():
        return
    moved = np.where(labels[check] >= 0, read_as[labels[check].clip(0)], -1)
    said = _order_remedy(meaning, read_as)
    yield Hypothesis(
        "the labels stand in another order than the model's outputs",
        said,
        "#/labels/classes",
        knows.of_classes(predicted[check], moved),
    )


def _order_remedy(meaning: Meaning, read_as: NDArray[np.int64]) -> str:
    if isinstance(meaning.coding, OneHot):
        turned = np.argsort(read_as).tolist()
        return f"order the columns of y as {turned}"
    assert isinstance(meaning.coding, Values)
    values: list[Any] = [None] * len(read_as)
    for value, class_index in zip(meaning.coding.known, meaning.coding.classes, strict=True):
        if class_index >= 0:
            values[read_as[class_index]] = meaning.coding.name(value)
    if any(value is None for value in values):
        pairs = ", ".join(
            f"{shown(meaning.coding.name(value))} is output {read_as[class_index]}"
            for value, class_index in zip(meaning.coding.known, meaning.coding.classes, strict=True)
            if class_index >= 0
        )
        return f"give labels.classes for all outputs ({pairs})"
    return f'pass labels {{"classes": {json.dumps(values, ensure_ascii=False)}}}'


def _other_alphabet(meaning: Meaning, outputs: Array, labels: Array) -> Iterator[Hypothesis]:
    """Match characters with what is read on one half of the rows, and see on the other half what that gives."""
    fit, check = slice(0, None, 2), slice(1, None, 2)
    read_as = matched_characters(meaning, outputs[fit], labels[fit])
    if read_as is None:
        return
    moved = np.where(labels[check] >= 0, read_as[labels[check].clip(0)], -1)
    remedy = "number the characters in the order of the model's classes"
    if isinstance(meaning.coding, Characters):
        classes = json.dumps(reordered(meaning.coding.alphabet, read_as), ensure_ascii=False)
        remedy = f'pass labels {{"classes": {classes}}}'
    yield Hypothesis(
        "the characters stand in another order than the model's classes",
        remedy,
        "#/labels/classes",
        skill_above_chance(meaning, outputs[check], moved),
    )


def _other_targets(meaning: Meaning, outputs: Array, labels: Array) -> Iterator[Hypothesis]:
    """Try targets in other units, as logarithms, and in another order of columns."""
    answers = meaning.answers(outputs).reshape(len(labels), -1).astype(np.float64)
    targets = labels.reshape(len(labels), -1).astype(np.float64)
    slopes, offsets = _lines(targets, answers)
    yield Hypothesis(
        "the targets are in other units than the answers",
        f"give y as {_units_remedy(slopes, offsets, targets, answers)}",
        "#/y",
        _of_targets(meaning, answers, targets * slopes + offsets),
    )
    yield from _soft_masks(outputs, labels)
    if (targets > 0).all():
        logs = np.log(targets)
        yield Hypothesis(
            "the model answers logarithms",
            "give y as log(y)",
            "#/y",
            _of_targets(meaning, answers, logs),
        )
        shifted = np.log1p(targets)
        yield Hypothesis(
            "the model answers logarithms",
            "give y as log(1 + y)",
            "#/y",
            _of_targets(meaning, answers, shifted),
        )
    if targets.shape[1] > 1:
        from scipy.optimize import linear_sum_assignment

        near = np.nan_to_num(
            np.corrcoef(answers.T, targets.T)[: answers.shape[1], answers.shape[1] :]
        )
        _, columns = linear_sum_assignment(-near)
        yield Hypothesis(
            "the columns of y stand in another order than the model's answers",
            f"order the columns of y as {columns.tolist()}",
            "#/y",
            _of_targets(meaning, answers, targets[:, columns]),
        )


def _soft_masks(outputs: Array, labels: Array) -> Iterator[Hypothesis]:
    """Try pictures of masks, whose edges are grey, as yes and no."""
    low, high = float(labels.min()), float(labels.max())
    if labels.ndim < 3 or low < 0 or high <= low:
        return
    middle = (low + high) / 2
    form = form_of(outputs, None, None)
    masks = (labels > middle).astype(np.int64)
    answered = outputs.reshape(masks.shape) > (0.5 if form == "probabilities" else 0.0)
    yield Hypothesis(
        "y are masks of yes and no with soft edges",
        f"give y as y > {middle:g}",
        "#/y",
        knows.of_classes(answered.astype(np.int64), masks, beyond_places=True),
    )


def _units_remedy(slopes: Array, offsets: Array, targets: Array, answers: Array) -> str:
    """Write the lines of the columns [d] that are farthest from the answers as they are, the worst first."""
    if len(slopes) == 1:
        return f"{slopes[0]:.6g} · y + {offsets[0]:.6g}"
    gained = ((answers - targets) ** 2 - (answers - targets * slopes - offsets) ** 2).sum(axis=0)
    worst = np.argsort(-gained, kind="stable")
    named = [column for column in worst if gained[column] > LITTLE * gained.sum()][:MOST_COLUMNS]
    return "; ".join(
        f"{slopes[column]:.6g} · y + {offsets[column]:.6g} in column {column}" for column in named
    )


def _other_quantiles(meaning: Meaning, outputs: Array, labels: Array) -> Iterator[Hypothesis]:
    """Try several quantiles in the order of the columns' means: a higher quantile is answered by higher numbers."""
    if len(meaning.quantiles) < 2:
        return
    answers = meaning.answers(outputs).reshape(len(labels), -1, len(meaning.quantiles))
    ranks = np.argsort(np.argsort(answers.mean(axis=(0, 1))))
    turned = tuple(float(q) for q in np.sort(meaning.quantiles)[ranks])
    if turned != meaning.quantiles:
        yield Hypothesis(
            "the quantiles stand in another order than the model's columns",
            f'pass recipe {{"quantile": {list(turned)}}}',
            "#/recipe/quantile",
            knows.of_quantiles(answers, labels.reshape(answers.shape), turned),
        )


def _lines(targets: Array, answers: Array) -> tuple[Array, Array]:
    """Return slope and offset [d] of the line from targets to answers, column by column."""
    centred = targets - targets.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    slopes = (centred * answers).sum(axis=0) / np.where(spread > 0, spread, 1.0)
    slopes = np.where(np.abs(slopes) < 1e-30, 1.0, slopes)
    return slopes, answers.mean(axis=0) - slopes * targets.mean(axis=0)


def _other_inputs(meaning: Meaning, probe: Probe) -> Iterator[Hypothesis]:
    most = FEW_ROWS if meaning.kind in {"boxes", "texts"} else ROWS
    rows = probe.rows.first(most)
    labels = meaning.labels(_raw(rows))
    for name, array in probe.rows.arrays.items():
        if array.dtype.kind != "f":
            continue
        for reason, option, change in _changes(array):
            inputs = {**rows.inputs, name: change(rows.arrays[name]).astype(array.dtype)}
            answers = probe.ask(replace(rows, inputs=inputs))
            if all(output in answers for output in meaning.outputs):
                skill = skill_under(meaning, meaning.raw(answers), labels)
                remedy = (
                    option
                    if isinstance(option, str)
                    else f"pass preprocessing {json.dumps(probe.option(option))}"
                )
                yield Hypothesis(f"{name!r}: {reason}", remedy, "#/preprocessing", skill)


Change = tuple[str, dict[str, Any] | str, Callable[[Array], Array]]


def _changes(array: Array) -> Iterator[Change]:
    """Yield what may have been done to an input [n, …], or left undone."""
    low, high = float(array.min()), float(array.max())
    if low >= 0 and 2 < high <= 255:
        yield "values of 0…255 for a model of 0…1", {"scale": 1 / 255}, lambda x: x / 255
        half = {"scale": 1 / 127.5, "mean": 1.0}
        yield "values of 0…255 for a model of −1…1", half, lambda x: x / 127.5 - 1
    if low >= 0 and high <= 1:
        yield "values of 0…1 for a model of 0…255", {"scale": 255.0}, lambda x: x * 255
        half = {"scale": 2.0, "mean": 1.0}
        yield "values of 0…1 for a model of −1…1", half, lambda x: x * 2 - 1
    if array.ndim == 2:
        mean, std = array.mean(axis=0), array.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        option = {
            "mean": [float(f"{v:.6g}") for v in mean],
            "std": [float(f"{v:.6g}") for v in std],
        }
        yield "columns are not standardised", option, lambda x: (x - mean) / std
    if array.ndim == 4:
        yield from _image_changes(array, high)


def _image_changes(array: Array, high: float) -> Iterator[Change]:
    mean, std = float(array.mean()), float(array.std()) or 1.0
    plain = {"mean": float(f"{mean:.6g}"), "std": float(f"{std:.6g}")}
    yield "pixels are not standardised", plain, lambda x: (x - mean) / std
    axis = 1 if array.shape[1] == 3 else 3 if array.shape[3] == 3 else None
    if axis is not None:
        unit = 1 / 255 if high > 2 else 1.0
        shape = (1, 3, 1, 1) if axis == 1 else (1, 1, 1, 3)
        means, stds = np.reshape(IMAGENET_MEAN, shape), np.reshape(IMAGENET_STD, shape)
        option: dict[str, Any] = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
        option = {"scale": unit, **option} if unit != 1.0 else option
        yield (
            "pixels are not normalised as for ImageNet",
            option,
            lambda x: (x * unit - means) / stds,
        )
        yield (
            "red and blue are exchanged",
            "give the channels in the order BGR where they are RGB now, or the reverse",
            lambda x: np.flip(x, axis=axis),
        )
    count, first, second, third = array.shape
    del count
    if first == second == third:
        yield "the channels stand last", {"layout": "nchw"}, lambda x: x.transpose(0, 3, 1, 2)
        yield "the channels stand first", {"layout": "nhwc"}, lambda x: x.transpose(0, 2, 3, 1)
    if second == third:
        yield "height and width are exchanged", "transpose the images", lambda x: x.swapaxes(2, 3)
    if first == second:
        yield "height and width are exchanged", "transpose the images", lambda x: x.swapaxes(1, 2)
    if first != third:
        yield (
            "rows were flattened with the channels last",
            {"reshape": [second, third, first], "layout": "nchw"},
            lambda x: x.reshape(len(x), second, third, first).transpose(0, 3, 1, 2),
        )
        yield (
            "rows were flattened with the channels first",
            {"reshape": [third, first, second], "layout": "nhwc"},
            lambda x: x.reshape(len(x), third, first, second).transpose(0, 2, 3, 1),
        )

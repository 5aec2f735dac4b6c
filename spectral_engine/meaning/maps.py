"""Maps without labels: an answer for each pixel, as classes, as masks of yes and no, or as numbers of an image."""

from __future__ import annotations

from math import prod

import numpy as np
from scipy.special import expit, softmax

from spectral_engine.meaning.layout import CLASS_HEADS, Array, Layout, form_of, squeezed
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Output
from spectral_engine.meaning.unlabelled_forms import (
    Inputs,
    as_classes,
    as_numbers,
    as_scores,
    classes_layout,
    scores_layout,
)
from spectral_engine.meaning.words import IMAGE_WORDS, MASK_WORDS, NUMBER_WORDS, called
from spectral_engine.records.labels import Task

SURE = 0.75  # mean share of the strongest channel, were channels the logits of classes
IN_COMMON = 0.4  # of the variance, that the channels of a pixel share: colours have most, a flow half, classes little
DECIDED = (
    0.75  # mean of |2p − 1| over pixels: a mask is nearly 0 or 1, an image has all values between
)
DECIDED_LOGITS = 0.9
NEAR_ZERO = (
    0.08  # of the pixels, within a quarter of the median from 0; of one heap of numbers 0.13 are
)
REPEATED = 0.8  # r2 to an input: an autoencoder's, however black and white it is


def is_map(output: Output, inputs: Inputs) -> bool:
    """Say whether a row's answers lie on two or more axes of places: [c, h, w], or [h, w] as an input image has it."""
    shape = tuple(output.answers.shape[1:])
    if len(shape) == 2:
        return min(shape) > 1 and any(shape in _sides(x.shape[1:]) for x in inputs.values())
    return len(shape) > 2 and len(squeezed(_places(shape, channel_axis(output, inputs)))) > 1


def channel_axis(output: Output, inputs: Inputs) -> int | None:
    """Return the axis of a map's channels, counted with the rows' one; None where there are places alone."""
    shape = tuple(output.answers.shape[1:])
    first, last = 1, len(shape)
    if len(shape) < 3:
        return None
    for axis in (first, last):
        if shape[axis - 1] > 1 and _sum_to_one(output.answers, axis):
            return axis
    for axis in (first, last):
        if any(_places(shape, axis) in _sides(x.shape[1:]) for x in inputs.values()):
            return axis
    square_behind, square_before = _alike(shape[1:]), _alike(shape[:-1])
    if square_behind != square_before:
        return first if square_behind else last
    return first if shape[0] <= shape[-1] else last


def map_meaning(output: Output, inputs: Inputs) -> Meaning:
    """Return how the maps of two models are compared: by IoU where pixels are decided, else by r2."""
    axis = channel_axis(output, inputs)
    if axis is not None and output.answers.shape[axis] > 1:
        reason = _why_classes(output, axis)
        if reason is not None:
            return classes_of_map(output, axis, f"no labels; {reason}")
    reason = _why_masks(output, inputs)
    if reason is not None:
        return masks(output, axis, f"no labels; {reason}")
    why = (
        "no labels; nothing says that the pixels of these maps are decided, as those of classes and masks are: as "
        "numbers (an image, a depth) they are compared by r2 to the original's"
    )
    return as_numbers(output.name, Layout("numbers", tuple(output.answers.shape[1:])), why)


def classes_of_map(output: Output, axis: int, reason: str) -> Meaning:
    """Return per-pixel classes along an axis of the answers."""
    why = f"{reason}: pixels are compared by the mean IoU of the original's classes"
    return as_classes(output.name, classes_layout(output, axis), why, "miou")


def masks(output: Output, axis: int | None, reason: str) -> Meaning:
    """Return masks of yes and no: one of all places, or one for each channel where channels come first."""
    several = axis == 1 and output.answers.shape[1] > 1
    compared_as: Task = "multilabel" if several else "binary"
    of = "of each of the original's masks" if several else "of the original's yes and no"
    why = f"{reason}: pixels are compared by the mean IoU {of}"
    return as_scores(output.name, scores_layout(output), why, "miou", compared_as)


def _why_classes(output: Output, axis: int) -> str | None:
    if output.squashed_by in CLASS_HEADS:
        return f"a {output.squashed_by} ends the graph"
    if _sum_to_one(output.answers, axis):
        return "the channels of every pixel sum to 1"
    if output.squashed_by == "Sigmoid" or called(output.name, NUMBER_WORDS):
        return None
    if called(output.name, MASK_WORDS):
        return f"the output is called {output.name!r}"
    values = output.answers.astype(np.float64)
    sure = float(softmax(values, axis=axis).max(axis=axis).mean())
    if sure > SURE and _in_common(values, axis) < IN_COMMON:
        return "the channels of a pixel exclude one another, as far apart as sure classes are"
    return None


def _in_common(values: Array, axis: int) -> float:
    """Return which share of the variance the channels' mean has: 1 / channels where they are independent."""
    return float(values.mean(axis=axis).var() / max(float(values.var()), 1e-30))


def _why_masks(output: Output, inputs: Inputs) -> str | None:
    if called(output.name, IMAGE_WORDS):
        return None
    values = output.answers.astype(np.float64)
    shares = form_of(values, None, output.squashed_by) == "probabilities"
    middle = 0.5 if shares else 0.0
    if (values > middle).all() or not (values > middle).any():
        return None
    if called(output.name, MASK_WORDS):
        return f"the output is called {output.name!r}"
    if shares:
        decided = float(np.abs(2 * values - 1).mean()) > DECIDED and not _repeats(values, inputs)
        return "the values lie near 0 and 1, as those of masks do" if decided else None
    return "the values lie in two heaps, far on both sides of 0" if _two_heaps(values) else None


def _two_heaps(logits: Array) -> bool:
    sizes = np.abs(logits)
    near = float((sizes < np.median(sizes) / 4).mean())
    return near < NEAR_ZERO and float(np.abs(2 * expit(logits) - 1).mean()) > DECIDED_LOGITS


def _repeats(values: Array, inputs: Inputs) -> bool:
    """Say whether answers are an input once more, as an autoencoder's are."""
    shape = values.shape[1:]
    alike = [x for x in inputs.values() if x.dtype.kind == "f" and prod(x.shape[1:]) == prod(shape)]
    spread = max(float(values.var()), 1e-30)
    return any(
        1 - float(((values - x.reshape(values.shape)) ** 2).mean()) / spread > REPEATED
        for x in alike
    )


def _sum_to_one(answers: Array, axis: int) -> bool:
    return form_of(answers, axis, None) != "logits"


def _places(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else shape[: axis - 1] + shape[axis:]


def _alike(sizes: tuple[int, ...]) -> bool:
    return len(set(sizes)) == 1


def _sides(shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Return the places of an input that may be an image, a channel first or last; none of others."""
    return {shape[1:], shape[:-1]} if len(shape) > 2 else set()

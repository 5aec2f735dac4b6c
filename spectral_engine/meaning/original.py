"""The original must know something of the data, or nothing that is compared with it means anything."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from spectral_engine.errors import DatasetMismatch
from spectral_engine.meaning.boxes import BoxAnswers
from spectral_engine.meaning.hypotheses import Hypothesis, hypotheses, skill_under
from spectral_engine.meaning.meaning import Meaning
from spectral_engine.meaning.probe import Probe
from spectral_engine.meaning.skill import MUCH_BETTER, Skill
from spectral_engine.measure.boxes import parts

Array = NDArray[Any]
GOOD_ENOUGH = 0.9  # of skill: nothing is looked for beyond it
GOOD_BOXES = 0.4  # of detectors less is usual, and each look takes boxes of many images
MOST_BELOW = (
    0.1  # of the coordinates of decoded boxes: some stand out of the image at the left and the top
)
FEWEST_ROWS = 20  # to train on: with fewer, knowing nothing and a lack of rows look alike
HALF = 0.5  # of skill: what explains less is no explanation
GO_ON = "; `allow_poor_original: true` goes on all the same"


def check_original(meaning: Meaning, probe: Probe, *, allowed: bool) -> list[str]:
    """Return warnings; raises DatasetMismatch where the original knows nothing, or far more under another hypothesis.

    Each hypothesis (labels in another order, inputs not scaled, axes exchanged) is tried on the data, and the one that
    works is named with the very option to pass. With `allowed`, what would be raised is a warning.
    """
    if not meaning.labelled or probe.rows.labels is None:
        return []
    outputs = meaning.raw(probe.answers)
    now = skill_under(meaning, outputs, meaning.labels(probe.rows.labels))
    if now.value >= (GOOD_BOXES if meaning.kind == "boxes" else GOOD_ENOUGH):
        return []
    better = _best(now, meaning, probe)
    if now.beats_chance and better is None:
        return []
    if better is None and probe.rows.rows < FEWEST_ROWS:
        error = _too_few(probe.rows.rows, now)
    else:
        error = _error(now, meaning, better, _as_offsets(meaning, outputs))
    if not allowed:
        raise DatasetMismatch(error.detail + GO_ON, pointer=error.pointer)
    return [error.detail]


def _best(now: Skill, meaning: Meaning, probe: Probe) -> Hypothesis | None:
    """Return the hypothesis under which the original knows clearly and much more, the first of equals."""
    best: Hypothesis | None = None
    for hypothesis in hypotheses(meaning, probe):
        gains = hypothesis.skill.value >= max(
            0.0, now.value
        ) + MUCH_BETTER and hypothesis.skill.low > max(0.0, now.value)
        if gains and (best is None or hypothesis.skill.value > best.skill.value + MUCH_BETTER / 2):
            best = hypothesis
    return best


def _too_few(rows: int, now: Skill) -> DatasetMismatch:
    return DatasetMismatch(
        f"{rows} rows to train on are too few to tell whether the original knows anything of these data ({now.said}): "
        f"give {FEWEST_ROWS} or more",
        pointer="#/y",
    )


def _as_offsets(meaning: Meaning, outputs: Array) -> str:
    """Say where coordinates of boxes do not look like places in an image."""
    if not isinstance(meaning.layout, BoxAnswers):
        return ""
    below = float((parts(outputs, meaning.layout.where)[0] < 0).mean())
    if below < MOST_BELOW:
        return ""
    return (
        f". Of its coordinates {below:.0%} are below 0, as offsets from anchors are: these cannot be read without the "
        "anchors, so export the model with its decoding"
    )


def _error(
    now: Skill, meaning: Meaning, better: Hypothesis | None, offsets: str
) -> DatasetMismatch:
    as_read = f"with labels read as {meaning.reading} of output {meaning.output!r}"
    start = (
        f"the original knows more than chance of these data, but little ({now.said}), {as_read}"
        if now.beats_chance
        else f"the original does no better than chance on these data ({now.said}), {as_read}"
    )
    if better is None and offsets:
        return DatasetMismatch(start + offsets, pointer="#/y")
    if better is None:
        return DatasetMismatch(
            f"{start}. Tried without success: another order of the classes, inputs scaled otherwise, exchanged axes, "
            "other outputs. Check that the rows and labels belong to this model; say what is known with the option "
            "`labels` (classes in order, output, task) or `preprocessing`",
            pointer="#/y",
        )
    reason = f"{better.reason} (then it is {better.skill.said}): {better.remedy}"
    if better.skill.value < HALF and meaning.kind == "classes":
        return DatasetMismatch(
            f"{start}. What helps most, of all that was tried, is little: {reason}. Rather, the columns or pixels of "
            "the inputs are not those that the model was trained on: in another order, turned, or in other units",
            pointer=better.pointer,
        )
    return DatasetMismatch(f"{start}. The likely reason: {reason}", pointer=better.pointer)

"""Masked against cut, in onnxruntime; and weights against the original's, bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.errors import ModelInvalid, NumericMismatch
from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.surgery import kept_entries
from spectral_engine.measure.conditioning import nearby
from spectral_engine.measure.runtime import Runner
from spectral_engine.measure.same_ranks import at_the_same_ranks
from spectral_engine.measure.sweep import Answers, Feeds, sweep
from spectral_engine.onnx_io.source import Source
from spectral_engine.records.report import Exactness

TOLERANCE = 1e-5


def compare(
    masked: Source,
    cut: Source,
    rows: Split,
    tolerance: float = TOLERANCE,
) -> Exactness:
    """Return the largest difference over all float outputs; raises NumericMismatch where it is above the tolerance.

    Both are run on the rows, and at each shape of inputs around theirs at which the masked model runs.

    The tolerance is relative to the largest output, and absolute where that is below 1. An answer that differs by more
    passes where a change of each weight by the tolerance moves that very answer as far, or where both models agree as
    soon as they put what they rank into the same order.
    """
    wide, elsewhere = _masked_answers(masked, rows)
    feeds = [other for other, _ in elsewhere]
    narrow = _cut_answers(cut, rows, feeds)
    pairs = list(zip([wide, *(answers for _, answers in elsewhere)], narrow, strict=True))
    differences = [_difference(left, right) for left, right in pairs]
    far = [
        pair
        for pair, (difference, largest) in enumerate(differences)
        if not difference <= tolerance * max(1.0, largest)
    ]
    moves = _moves(masked, rows, feeds, [left for left, _ in pairs], tolerance) if far else []
    explained, ranked = 0, None  # ranked: whether both agree at the same ranks, once that was tried
    for pair in far:
        difference, largest = differences[pair]
        beyond = _beyond(*pairs[pair], moves[pair], tolerance * max(1.0, largest))
        if beyond is None and ranked is None:
            ranked = _agree_at_the_same_ranks(masked, cut, rows, feeds, tolerance)
        if beyond is None and ranked:
            beyond = _count_far(*pairs[pair], tolerance * max(1.0, largest))
        if beyond is None:
            at = "" if pair == 0 else f", for inputs of {_shapes(feeds[pair - 1])}"
            raise NumericMismatch(
                f"masked and cut model differ by {difference:.3g}, with outputs up to {largest:.3g}{at}"
            )
        explained += beyond
    return Exactness(
        max_abs_difference=max(difference for difference, _ in differences),
        max_abs_output=max(largest for _, largest in differences),
        tolerance=tolerance,
        ill_conditioned=explained,
        samples=rows.rows,
        shapes=len(pairs),
    )


def _agree_at_the_same_ranks(
    masked: Source, cut: Source, rows: Split, elsewhere: Sequence[Feeds], tolerance: float
) -> bool:
    """Say whether both agree on all runs once they rank alike; False where they rank nothing."""
    runs = [*Runner(masked, prepack=False).feeds(rows), *elsewhere]
    agreed = False
    for wide, narrow in at_the_same_ranks(masked, cut, runs):
        for name, answers in wide.items():  # each by itself: scores are small, and boxes are not
            difference, largest = _difference({name: answers}, narrow)
            if not difference <= tolerance * max(1.0, largest):
                return False
        agreed = True
    return agreed


def _count_far(wide: Answers, narrow: Answers, tolerance: float) -> int:
    """Count the answers that differ by more than the tolerance."""
    return sum(int((~(_apart(wide[name], narrow[name]) <= tolerance)).sum()) for name in wide)


def _difference(wide: Answers, narrow: Answers) -> tuple[float, float]:
    """Return the largest difference of float outputs, and the largest number in them."""
    difference = largest = 0.0
    for name, left in wide.items():
        right = narrow[name]
        if left.shape != right.shape:
            raise NumericMismatch(
                f"output {name!r} has {left.size:,} entries in the masked model, and {right.size:,} in the cut one"
            )
        difference = max(difference, float(_apart(left, right).max(initial=0.0)))
        finite = left[np.isfinite(left)]
        largest = max(largest, float(np.abs(finite).max(initial=0.0)))
    return difference, largest


def _apart(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Return how far answers are from one another: infinitely far where one alone is no number, not where both are."""
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.nan_to_num(np.abs(left - right), nan=np.inf))


def _beyond(wide: Answers, narrow: Answers, moves: Answers, tolerance: float) -> int | None:
    """Count the answers that differ by more than the tolerance; None where one differs by more than it moves."""
    count = 0
    for name, left in wide.items():
        difference = _apart(left, narrow[name])
        far = ~(difference <= tolerance)
        if not (difference[far] <= moves[name][far]).all():
            return None
        count += int(far.sum())
    return count


def _moves(
    masked: Source,
    rows: Split,
    elsewhere: Sequence[Feeds],
    wide: Sequence[Answers],
    relative: float,
) -> list[Answers]:
    """Return how far each answer goes where each weight of the masked model moves by so much."""
    farthest = [{name: np.zeros(left.shape) for name, left in answers.items()} for answers in wide]
    for runner in nearby(masked, relative):
        moved_answers = [runner.floats(rows), *(runner.answer(feeds) for feeds in elsewhere)]
        for moves, answers, moved in zip(farthest, wide, moved_answers, strict=True):
            for name, left in answers.items():
                moves[name] = np.maximum(moves[name], _apart(left, moved[name]))
    return list(farthest)


def _masked_answers(model: Source, rows: Split) -> tuple[Answers, list[tuple[Feeds, Answers]]]:
    """Return every float output on the rows, and at the shapes around theirs; the model is gone afterwards."""
    runner = Runner(model, prepack=False)
    return runner.floats(rows), sweep(runner, rows)


def _cut_answers(model: Source, rows: Split, elsewhere: Sequence[Feeds]) -> list[Answers]:
    """Return the same of the cut model, which must run wherever the masked one does."""
    runner = Runner(model, prepack=False)
    answers: list[Answers] = [runner.floats(rows)]
    for feeds in elsewhere:
        try:
            answers.append(runner.answer(feeds))
        except ModelInvalid as error:
            raise NumericMismatch(
                f"the cut model does not run on inputs of {_shapes(feeds)}, on which the whole one does: {error.detail}"
            ) from error
    return answers


def _shapes(feeds: Feeds) -> str:
    return ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())


def compare_weights(
    original: ir.Model,
    cut: ir.Model,
    coupling: Coupling,
    removed: Mark,
    untrained: Collection[str],
) -> None:
    """Raise NumericMismatch where a float initializer changed its type, or an untrained one a bit of what it keeps.

    An initializer that the cut model does not have any more is none to compare.
    """
    for name, value in original.graph.initializers.items():
        other = cut.graph.initializers.get(name)
        before, after = value.const_value, None if other is None else other.const_value
        if before is None or after is None or not before.dtype.is_floating_point():
            continue
        if after.dtype != before.dtype:
            raise NumericMismatch(
                f"{name!r} is {before.dtype.name} in the original, and {after.dtype.name} in the cut model"
            )
        if name in untrained:
            stays = kept_entries(coupling, name, before, removed)
            if before.numpy()[stays].tobytes() != after.numpy().tobytes():
                raise NumericMismatch(
                    f"{name!r} was not trained, and what the cut model keeps of it is not what the original holds"
                )

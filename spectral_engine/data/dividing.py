"""Which rows are trained on, chosen by and held out: as a file says, or cut at random, as many as a claim needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import HELD_OUT_SHARE, Claim, Split, random_parts

VALIDATION_SHARE = 0.15
# Continuous targets are not spread by value; more classes than this are taken as such.
MOST_CLASSES_TO_SPREAD = 1000
FEWEST_OF_A_CLASS = 3  # rows, on average: with fewer not every part has one

Array = NDArray[Any]


def divided(
    parts: Mapping[str, Split], seed: int, claim: Claim | None, notes: list[str]
) -> list[Split]:
    """Return training, validation and held-out rows; of `""`, all rows, or of `train` what other parts do not hold."""
    if "train" not in parts:
        return _cut(parts[""], seed, claim, notes)
    train, validation, test = parts["train"], parts.get("val"), parts.get("test")
    if validation is None and test is None:
        return _cut(train, seed, claim, notes)
    if validation is not None and test is not None:
        return [train, validation, test]
    kept, cut = _taken(train, (1 - VALIDATION_SHARE,), seed)
    return [kept, cut, test] if test is not None else [kept, validation or cut, cut]


def _cut(whole: Split, seed: int, claim: Claim | None, notes: list[str]) -> list[Split]:
    held_out = _held_out_share(whole, claim)
    if claim is not None and held_out > HELD_OUT_SHARE:
        notes.append(
            f"{held_out:.0%} of the rows are held out, rather than {HELD_OUT_SHARE:.0%}, so that a drop of at most "
            f"{claim.floor:g} can be shown at {claim.confidence:.0%} confidence"
        )
    shares = (1 - VALIDATION_SHARE - held_out, VALIDATION_SHARE)
    return _taken(whole, shares, seed)


def _taken(whole: Split, shares: tuple[float, ...], seed: int) -> list[Split]:
    """Return random parts of these shares and what is left; those that are read in blocks keep the file's order."""
    parts = random_parts(whole.rows, _spread(whole.labels), shares, seed)
    return [whole.take(np.sort(rows) if whole.is_read_in_blocks else rows) for rows in parts]


def _held_out_share(whole: Split, claim: Claim | None) -> float:
    """Return the share to hold out; only of classes is it known how many rows show a drop."""
    if claim is None or whole.labels is None or not claim.is_of(whole.labels):
        return HELD_OUT_SHARE
    return claim.held_out_share(whole.rows)


def _spread(labels: Array | None) -> Array | None:
    """Return labels by which parts are balanced: classes, not targets, nor texts of which hardly one stands twice."""
    if labels is None or labels.ndim > 1 or labels.dtype.kind == "f":
        return None
    most = min(MOST_CLASSES_TO_SPREAD, len(labels) / FEWEST_OF_A_CLASS)
    return labels if len(np.unique(labels)) <= most else None

"""Masked against cut, in onnxruntime; and weights against the original's, bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.errors import NumericMismatch
from spectral_engine.graph.coupling import Coupling, Mark
from spectral_engine.graph.surgery import kept_entries
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.source import Source
from spectral_engine.records.report import Exactness

TOLERANCE = 1e-5


def compare(
    masked: Source,
    cut: Source,
    samples: Mapping[str, NDArray[Any]],
    tolerance: float = TOLERANCE,
) -> Exactness:
    """Return the largest difference over all float outputs; raises NumericMismatch where it is above the tolerance.

    The tolerance is relative to the largest output, and absolute where that is below 1.
    """
    rows = Split(dict(samples), None)
    wide, narrow = (_answers(model, rows) for model in (masked, cut))
    difference = largest = 0.0
    for name, left in wide.items():
        right = narrow[name]
        if left.shape != right.shape:
            raise NumericMismatch(
                f"output {name!r} has {left.size:,} entries in the masked model, and {right.size:,} in the cut one"
            )
        difference = max(difference, float(np.abs(left - right).max(initial=0.0)))
        largest = max(largest, float(np.abs(left).max(initial=0.0)))
    if not difference <= tolerance * max(1.0, largest):
        raise NumericMismatch(
            f"masked and cut model differ by {difference:.3g}, with outputs up to {largest:.3g}"
        )
    return Exactness(
        max_abs_difference=difference,
        max_abs_output=largest,
        tolerance=tolerance,
        samples=rows.rows,
    )


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


def _answers(model: Source, rows: Split) -> dict[str, NDArray[Any]]:
    """Return every float output; the model is gone afterwards, so that never two are in memory."""
    return Runner(model, prepack=False).floats(rows)

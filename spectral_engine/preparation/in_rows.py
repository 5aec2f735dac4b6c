"""The model as a torch module that takes the rows of a data set: together where that answers the same as one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from spectral_engine.data import Split
from spectral_engine.errors import EngineError, ModelInvalid
from spectral_engine.graph.module import OnnxModule
from spectral_engine.graph.rows import taken
from spectral_engine.graph.trace import TRACED_BATCH, traced_inputs
from spectral_engine.measure.opened_model import OpenedModel
from spectral_engine.measure.rows import axes_together
from spectral_engine.measure.runtime import TRIED_ROWS
from spectral_engine.onnx_io.row_axes import RowAxes


def in_rows(module: OnnxModule, original: OpenedModel, split: Split) -> OnnxModule:
    """Lay the rows of a model's module as onnxruntime finds them on the first of these rows, and return it."""
    row_axes = original.runner.row_axes(split)
    if row_axes.ragged:
        return module.lay_rows(row_axes)
    module.lay_rows(replace(row_axes, at_once=None))
    if row_axes.at_once is None:
        return module
    rows = split.first(TRIED_ROWS)
    together = None
    if rows.rows > 1 and any(row_axes.of_input(name) is not None for name in rows.inputs):
        together = _together(module, rows)
    # Frozen files mostly take any number of rows as a module, and train faster so.
    return module.lay_rows(together or row_axes)


def in_declared_rows(original: OpenedModel) -> OnnxModule:
    """Return the module of a model of which no rows are at hand; it takes one at a time where it does not take two."""
    module = original.module()
    try:
        traced_inputs(module, TRACED_BATCH)
    except ModelInvalid as several:
        declared = original.runner.declared
        module.lay_rows(replace(declared, at_once=declared.at_once or 1))
        try:
            traced_inputs(module, 1)
        except ModelInvalid:
            raise several from None
    return module


def _together(module: OnnxModule, rows: Split) -> RowAxes | None:
    """Return the axes of the rows where the module answers them together as it does one by one, else None."""
    axes = module.rows
    inputs = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in rows.arrays.items()}
    try:
        with torch.no_grad():
            joint = module.run(taken(inputs, axes))
            each = [
                module.run(taken({n: v[row : row + 1] for n, v in inputs.items()}, axes))
                for row in range(rows.rows)
            ]
    except EngineError:
        return None
    as_arrays = [{name: v.detach().numpy() for name, v in run.items()} for run in (joint, *each)]
    return axes_together(replace(axes, outputs={}), as_arrays[0], as_arrays[1:])

"""Where the rows lie: on which axis of each input and output of a model, as its declared shapes tell.

Everywhere else in the engine rows lie on the first axis of every array. Only who calls a model, in onnxruntime or in
torch, turns rows into what the model takes, and its answers back into rows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

Dim = int | str | None  # a number, a name, or free without a name
Shapes = Mapping[str, Sequence[Dim]]

BATCH_NAME = re.compile(r"n|b|bs|.*batch.*", re.IGNORECASE)


@dataclass(frozen=True)
class RowAxes:
    """The axis of rows of each input and output, and how many rows run at once: None for any number.

    An input at None has no such axis: one value serves all rows of a run. Where one row runs at a time, that is its
    own, whole. The same holds of outputs; those of which declared shapes tell nothing are left out, and a run tells.
    Values inside the graph that are `together` take any number of rows, also where its outputs do not.

    Rows of an input that is `ragged` differ in length along this axis of a row, and run one at a time; how long they
    are stands in an array of its own (`records.rows.lengths_of`). Outputs that `follow` one are as long along an axis.
    """

    inputs: Mapping[str, int | None] = field(default_factory=dict)
    outputs: Mapping[str, int | None] = field(default_factory=dict)
    at_once: int | None = None
    together: frozenset[str] = frozenset()
    ragged: Mapping[str, int] = field(default_factory=dict)
    follow: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    def for_values(self, names: Collection[str]) -> RowAxes:
        """Return the same for a run that asks for these values alone, and for no output."""
        if self.ragged:
            return self
        return replace(self, at_once=None) if names and self.together.issuperset(names) else self

    def of_input(self, name: str) -> int | None:
        """Return the axis of an input's rows; the first where nothing is known."""
        return self.inputs.get(name, 0)

    def with_inputs(self, said: Mapping[str, int | None]) -> RowAxes:
        """Return the same where inputs lie as they are said to; inputs that are whole samples run one at a time.

        Outputs are left to be found where an input lies elsewhere than was declared: so may they.
        """
        moved = {name: axis for name, axis in said.items() if axis != self.of_input(name)}
        if not moved:
            return self
        whole = any(axis is None for axis in moved.values())
        return RowAxes({**self.inputs, **moved}, {}, at_once=1 if whole else self.at_once)


def declared_row_axes(inputs: Shapes, outputs: Shapes) -> RowAxes:
    """Return what the declared shapes tell.

    Rows lie where a dimension has the batch's name, or on a free first axis. A first input that is frozen says how
    many rows run at once, where all inputs and outputs have an axis of that size; where not, it is one whole sample.
    """
    batch = _batch_name(inputs)
    if batch is not None:
        input_axes = {name: _row_axis(shape, batch) for name, shape in inputs.items()}
        answers = {name: shape.index(batch) for name, shape in outputs.items() if batch in shape}
        return RowAxes(input_axes, answers)
    rows = _frozen_rows(inputs, outputs)
    if rows is None:
        return RowAxes(dict.fromkeys(inputs), {}, at_once=1)
    return RowAxes(
        {name: _index(shape, rows) for name, shape in inputs.items()},
        {name: _index(shape, rows) for name, shape in outputs.items() if rows in shape},
        at_once=rows,
    )


def _batch_name(inputs: Shapes) -> str | None:
    """Return the name of the dimension that counts rows, "" for one without a name; None where it is a number."""
    named = Counter(
        dim
        for shape in inputs.values()
        for dim in dict.fromkeys(shape)
        if isinstance(dim, str) and BATCH_NAME.fullmatch(dim)
    )
    if named:
        return named.most_common(1)[0][0]
    first = next((shape for shape in inputs.values() if shape), None)
    if first is None or isinstance(first[0], int):
        return None
    return first[0] or ""


def _row_axis(shape: Sequence[Dim], batch: str) -> int | None:
    if batch in shape:
        return list(shape).index(batch)
    free = [axis for axis, dim in enumerate(shape) if dim is None]
    if batch == "" and free:
        return free[0]
    return 0 if shape and not isinstance(shape[0], int) else None


def _frozen_rows(inputs: Shapes, outputs: Shapes) -> int | None:
    """Return the number of rows to which all inputs and outputs with axes are frozen, None where they are not."""
    shaped = [shape for shape in inputs.values() if shape]
    rows = shaped[0][0] if shaped else None
    if not isinstance(rows, int):
        return None
    if rows == 1:
        return 1
    answered = [shape for shape in outputs.values() if shape]
    agree = all(rows in shape for shape in shaped) and all(
        rows in shape or not all(isinstance(dim, int) for dim in shape) for shape in answered
    )
    return rows if agree else None


def _index(shape: Sequence[Dim], rows: int) -> int | None:
    return list(shape).index(rows) if rows in shape else None

"""Between rows, which lie on the first axis of every array, and what a model takes and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.row_source import RowSource
from spectral_engine.errors import ModelInvalid
from spectral_engine.onnx_io.row_axes import RowAxes
from spectral_engine.records.rows import lengths_of

Array = NDArray[Any]
SAME = 1e-3  # of the largest number: answers beside other rows and by itself


def feeds_of(rows: Mapping[str, Array], axes: RowAxes) -> dict[str, Array]:
    """Return what the model takes for one run over rows [n, …], the last of them repeated up to a frozen number.

    Raises ModelInvalid where rows that run together do not share an input that all of them read.
    """
    if axes.ragged:
        rows = sample_of(rows, axes)
    return {name: _feed(name, array, axes) for name, array in rows.items()}


def sample_of(rows: Mapping[str, Array], axes: RowAxes) -> dict[str, Array]:
    """Return one row [1, …] as long as it is, without the arrays that say so."""
    told = {lengths_of(name) for name in axes.ragged}
    sample = {name: array for name, array in rows.items() if name not in told}
    for name, axis in axes.ragged.items():
        length = int(rows[lengths_of(name)][0])
        sample[name] = sample[name].take(np.arange(length), axis=axis + 1)
    return sample


def as_long_as_longest(
    answer: Array, follows: Mapping[int, str], rows: Mapping[str, RowSource], axes: RowAxes
) -> Array:
    """Return a row's answer [1, …] with zeros behind its end, up to the longest sample of the data set."""
    for axis, name in follows.items():
        longest = rows[name].shape[axes.ragged[name] + 1]
        ends = [(0, 0)] * answer.ndim
        ends[axis + 1] = (0, longest - answer.shape[axis + 1])
        answer = np.pad(answer, ends)
    return answer


def following(answers: Sequence[Array], rows: Mapping[str, Array], axes: RowAxes) -> dict[int, str]:
    """Return the axes of a row of answers [1, …] that are as long as an input's rows, of which there are several."""
    input_by_axis = {}
    for axis in range(min(answer.ndim for answer in answers) - 1):
        sizes = [answer.shape[axis + 1] for answer in answers]
        for name in axes.ragged:
            if axis not in input_by_axis and sizes == rows[lengths_of(name)].tolist():
                input_by_axis[axis] = name
    return input_by_axis


def _feed(name: str, array: Array, axes: RowAxes) -> Array:
    axis = axes.of_input(name)
    if axis is None:
        if len(array) > 1 and not (array == array[:1]).all():
            raise ModelInvalid(f"rows that run together have different values of {name!r}")
        first: Array = np.asarray(array[0])
        return first
    if axes.at_once is not None and len(array) < axes.at_once:
        missing = axes.at_once - len(array)
        array = np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
    return array if axis == 0 else np.ascontiguousarray(np.moveaxis(array, 0, axis))


def rows_of(taken: Mapping[str, Array], axes: RowAxes) -> dict[str, Array]:
    """Return what a model takes as rows [n, …]: the other way round."""
    by_name = {}
    for name, array in taken.items():
        axis = axes.of_input(name)
        by_name[name] = array[None] if axis is None else np.moveaxis(array, axis, 0)
    return by_name


def by_row(answer: Any, axis: int | None, run: int, wanted: int) -> Array | None:
    """Return the answers [wanted, …] of those rows that were asked about; None where there is none for each row.

    An output without an axis of rows answers a row that runs by itself, as a whole; several entries for each row, one
    row after the other, become an axis of their own.
    """
    if not isinstance(answer, np.ndarray):
        return None
    if axis is None:
        return answer[None] if run == 1 else None
    if answer.ndim <= axis:
        return None
    moved = answer if axis == 0 else np.moveaxis(answer, axis, 0)
    several, rest = divmod(len(moved), run)
    if rest or several == 0:
        return None
    if several > 1:
        moved = moved.reshape(run, several, *moved.shape[1:])
    return np.ascontiguousarray(moved[:wanted])


def are_lists(answers: Sequence[Array]) -> bool:
    """Tell whether answers [rows, length, …] differ in nothing but the length of their lists."""
    return all(answer.ndim > 1 for answer in answers) and len({a.shape[2:] for a in answers}) == 1


def padded(answers: Sequence[Array]) -> list[Array]:
    """Return lists [rows, length, …] with zeros up to the longest; there is one place at least."""
    longest = max(1, *(answer.shape[1] for answer in answers))
    return [
        np.pad(answer, [(0, 0), (0, longest - answer.shape[1]), *[(0, 0)] * (answer.ndim - 2)])
        for answer in answers
    ]


def axes_singly(axes: RowAxes, each: Sequence[Mapping[str, Any]]) -> RowAxes:
    """Return the axes of a model that runs on one row at a time, from such runs.

    A first axis of one entry in all answers is that row; any other answer is the row's as a whole.
    """
    outputs = dict(axes.outputs)
    for name in each[0]:
        answers = [run[name] for run in each]
        if name not in outputs:
            unit = all(_is_unit(answer) for answer in answers)
            outputs[name] = 0 if unit else None
    return replace(axes, outputs=outputs, at_once=1)


def _is_unit(answer: Any) -> bool:
    return isinstance(answer, np.ndarray) and answer.ndim > 1 and answer.shape[0] == 1


def axes_together(
    axes: RowAxes, joint: Mapping[str, Any], each: Sequence[Mapping[str, Any]]
) -> RowAxes | None:
    """Return the axes of outputs along which a joint run answers as runs of each row do; None where it does not.

    Outputs that do not grow with the rows belong to none of them; one at least must.
    """
    outputs: dict[str, int | None] = {}
    for name, answer in joint.items():
        singly = [run[name] for run in each]
        if not all(isinstance(one, np.ndarray) for one in (answer, *singly)):
            outputs[name] = None
            continue
        places = _growing(answer.shape, [one.shape for one in singly])
        same = [axis for axis in places if are_same(answer, np.concatenate(singly, axis))]
        if places and not same:
            return None  # what a row is answered depends on the rows beside it
        outputs[name] = same[0] if same else None
    floats = any(
        axis is not None and joint[name].dtype.kind == "f" for name, axis in outputs.items()
    )
    return replace(axes, outputs={**outputs, **axes.outputs}) if floats else None


def _growing(joint: tuple[int, ...], singly: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the axes along which the single answers, one after the other, have the joint one's shape."""
    if any(len(one) != len(joint) for one in singly):
        return []
    return [
        axis
        for axis, size in enumerate(joint)
        if size == sum(one[axis] for one in singly)
        and all(_without(one, axis) == _without(joint, axis) for one in singly)
    ]


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def are_same(left: Array, right: Array) -> bool:
    """Say whether rows were answered alike beside others and by themselves, as far as such runs agree."""
    if left.dtype.kind != "f":
        return bool((left == right).all())
    largest = np.abs(left[np.isfinite(left)]).max(initial=0.0)
    return np.allclose(left, right, rtol=SAME, atol=SAME * largest, equal_nan=True)

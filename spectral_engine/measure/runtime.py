"""ONNX files in onnxruntime: what they take, and what they answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Split
from spectral_engine.errors import ModelInvalid
from spectral_engine.lack_of_memory import lacks_memory
from spectral_engine.measure.rows import (
    are_lists,
    as_long_as_longest,
    axes_singly,
    axes_together,
    by_row,
    feeds_of,
    following,
    padded,
)
from spectral_engine.measure.shown_answers import FLOATS, with_answers_shown
from spectral_engine.onnx_io.row_axes import RowAxes, declared_row_axes
from spectral_engine.records.rows import lengths_of

if TYPE_CHECKING:
    import onnxruntime

EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
PROVIDER = "CPUExecutionProvider"
TRIED_ROWS = 3
NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
NUMBER_TYPES = {
    *NUMPY_TYPES,
    "tensor(uint16)",
    "tensor(uint32)",
    "tensor(uint64)",
    "tensor(bfloat16)",
}
FLOATS_TOLD = {*FLOATS, *(f"seq({kind})" for kind in FLOATS)}


def open_session(
    model: bytes | str | Path,
    threads: int = 1,
    *,
    prepack: bool = True,
    beside: Path | None = None,
) -> onnxruntime.InferenceSession:
    """Load a model on the CPU; raises ModelInvalid with onnxruntime's words where it cannot.

    Raises MemoryError where there is too little of it.

    Without `prepack`, weights in external data are mapped rather than copied: slower to run, and no memory. `beside`
    is the folder of the external data of a model that is given by its bytes.
    """
    # Its import starts a thread, and a process with threads cannot be forked: imported where it is needed.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if beside is not None:
        options.add_session_config_entry(EXTERNAL_FOLDER, str(beside))
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    source = model if isinstance(model, bytes) else str(model)
    refused: tuple[type[Exception], ...] = (
        *failures(),
        RuntimeError,
    )  # the latter where its fusions lose an output
    try:
        return onnxruntime.InferenceSession(source, options, providers=[PROVIDER])
    except refused as error:
        if lacks_memory(error):
            raise MemoryError(f"onnxruntime does not load the model: {error}") from error
        raise ModelInvalid(f"onnxruntime does not load the model: {error}") from error


def failures() -> tuple[type[Exception], ...]:
    """Return what onnxruntime raises, a class of its own for each status."""
    from onnxruntime.capi import onnxruntime_pybind11_state as status

    return (
        status.Fail,
        status.InvalidArgument,
        status.InvalidGraph,
        status.InvalidProtobuf,
        status.NotImplemented,
        status.RuntimeException,
    )


def _spec(value: Any, axis: int | None) -> InputSpec:
    dtype = NUMPY_TYPES.get(value.type)
    if dtype is None:
        raise ModelInvalid(f"input {value.name!r} takes {value.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return InputSpec(value.name, np.dtype(dtype), shape, axis)


class Runner:
    """Answers of one model for rows, wherever in its inputs and outputs these lie.

    Where the file's outputs cannot be judged, as labels and maps, the float tensors behind them are answers too, and
    stand before its outputs.
    """

    def __init__(
        self, model: bytes | str | Path, threads: int = 1, *, prepack: bool = True
    ) -> None:
        self.session = open_session(model, threads, prepack=prepack)
        if (shown := with_answers_shown(model, self.session)) is not None:
            folder = None if isinstance(model, bytes) else Path(model).parent
            self.session = open_session(shown, threads, prepack=prepack, beside=folder)
        self.declared = declared_row_axes(
            {value.name: value.shape for value in self.session.get_inputs()},
            {
                value.name: value.shape
                for value in self.session.get_outputs()
                if value.type in NUMBER_TYPES
            },
        )
        self._row_axes_of: dict[tuple[tuple[tuple[str, int | None], ...], ...], RowAxes] = {}

    def predict(
        self, split: Split, batch_size: int = 256, output: str | None = None
    ) -> NDArray[Any]:
        """Return one output, the first by default, for every row; raises ModelInvalid where the model fails."""
        name = output or self.output_names[0]
        return self.predict_all(split, batch_size, (name,))[name]

    def predict_all(
        self, split: Split, batch_size: int = 256, outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return these outputs, for every row, from one run; by default all that answer each row with as many numbers.

        Lists that are longer for some rows than for others, as of boxes, are padded with 0 where they are named.
        Answers of a row lie on the first axis, or as many numbers for each row after one another in it. Raises
        ModelInvalid where the model fails, or where an output that was named has no answer for each row.
        """
        names = self.output_names if outputs is None else tuple(outputs)
        axes = self.row_axes(split)
        parts = [
            self._answers(names, split, axes, rows) for rows in _batches(split, axes, batch_size)
        ]
        by_name: dict[str, NDArray[Any]] = {}
        for index, name in enumerate(names):
            answers = [answer for part in parts if (answer := part[index]) is not None]
            alike = len({answer.shape[1:] for answer in answers}) == 1 and answers[0].size > 0
            lists = outputs is not None and are_lists(answers)
            if len(answers) == len(parts) and (alike or lists):
                by_name[name] = np.concatenate(answers if alike else padded(answers))
            elif outputs is not None:
                raise ModelInvalid(f"output {name!r} does not give one answer for each row")
        return by_name

    def floats(self, split: Split, batch_size: int = 256) -> dict[str, NDArray[Any]]:
        """Return all that the model answers in floats, of each output in one row: also what tells nothing of the rows.

        Raises ModelInvalid where the model fails.
        """
        names, axes = self._float_names, self.row_axes(split)
        parts = [self._run(split, axes, rows, names) for rows in _batches(split, axes, batch_size)]
        return {name: np.concatenate([_flat(part[name]) for part in parts]) for name in names}

    def feeds(self, split: Split, batch_size: int = 256) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield the inputs of each run on these rows, in the shapes that the file declares."""
        axes = self.row_axes(split)
        for rows in _batches(split, axes, batch_size):
            yield feeds_of(split.read(rows), axes)

    def answer(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Return the same for one run on inputs in the shapes that the file declares."""
        names = self._float_names
        try:
            answers = self.session.run(names, dict(feeds))
        except failures() as error:
            raise ModelInvalid(f"the model fails: {error}") from error
        return {name: _flat(answer) for name, answer in zip(names, answers, strict=True)}

    @property
    def _float_names(self) -> list[str]:
        return [value.name for value in self.session.get_outputs() if value.type in FLOATS_TOLD]

    @property
    def inputs(self) -> list[InputSpec]:
        """What the model takes, in its own order. Raises ModelInvalid for a type that is not supported."""
        return [
            _spec(value, self.declared.of_input(value.name)) for value in self.session.get_inputs()
        ]

    @property
    def output_names(self) -> tuple[str, ...]:
        """The model's outputs that are tensors of numbers, hidden answers first, else in its own order."""
        return tuple(
            value.name for value in self.session.get_outputs() if value.type in NUMBER_TYPES
        )

    def row_axes(self, split: Split) -> RowAxes:
        """Return where the rows of inputs like these lie: as shapes declare, and else as the first rows show.

        Rows that get other answers beside others than by themselves run one at a time. Raises ModelInvalid where the
        model does not run on a row.
        """
        key = (tuple(sorted(split.row_axes.items())), tuple(sorted(split.ragged.items())))
        if key not in self._row_axes_of:
            axes = self.declared.with_inputs(split.row_axes)
            if split.ragged:
                self._row_axes_of[key] = self._try_ragged(replace(axes, ragged=split.ragged), split)
                return self._row_axes_of[key]
            known = set(self.output_names) <= axes.outputs.keys()
            shared = any(axes.of_input(name) is None for name in split.inputs)
            self._row_axes_of[key] = axes if known and not shared else self._try(axes, split)
        return self._row_axes_of[key]

    def _try(self, axes: RowAxes, split: Split) -> RowAxes:
        count = min(TRIED_ROWS, split.rows)
        if axes.at_once not in {None, 1}:
            return replace(axes, outputs={**dict.fromkeys(self.output_names, 0), **axes.outputs})
        singly = replace(axes, at_once=1)
        each = [self._run(split, singly, slice(row, row + 1)) for row in range(count)]
        if axes.at_once is None and count > 1:
            try:
                together = axes_together(axes, self._run(split, axes, slice(0, count)), each)
            except ModelInvalid:
                together = None
            if together is not None:
                return together
        return axes_singly(axes, each)

    def _try_ragged(self, axes: RowAxes, split: Split) -> RowAxes:
        """Run the shortest and the longest samples, and a few others, each by itself."""
        tried = split.take(_of_each_length(split))
        singly = replace(axes, at_once=1)
        each = [self._run(tried, singly, slice(row, row + 1)) for row in range(tried.rows)]
        row_axes = axes_singly(singly, each)
        follow = {}
        for name in each[0]:
            answers = [by_row(run[name], row_axes.outputs.get(name), 1, 1) for run in each]
            known = [answer for answer in answers if answer is not None]
            if len(known) == len(answers) and (axes_ := following(known, tried.arrays, row_axes)):
                follow[name] = axes_
        return replace(row_axes, follow=follow)

    def _answers(
        self, outputs: Sequence[str], split: Split, axes: RowAxes, rows: slice
    ) -> list[NDArray[Any] | None]:
        answers = self._run(split, axes, rows, outputs)
        wanted = rows.stop - rows.start
        run = wanted if axes.at_once is None else axes.at_once
        row_answers = [
            by_row(answers[name], axes.outputs.get(name), run, wanted) for name in outputs
        ]
        if not axes.follow:
            return row_answers
        return [
            answer
            if answer is None
            else as_long_as_longest(answer, axes.follow.get(name, {}), split.inputs, axes)
            for name, answer in zip(outputs, row_answers, strict=True)
        ]

    def _run(
        self, split: Split, axes: RowAxes, rows: slice, outputs: Sequence[str] | None = None
    ) -> dict[str, Any]:
        names = list(self.output_names if outputs is None else outputs)
        feeds = feeds_of(split.read(rows), axes)
        try:
            return dict(zip(names, self.session.run(names, feeds), strict=True))
        except failures() as error:
            raise ModelInvalid(
                f"the model fails on rows {rows.start} to {rows.stop - 1}: {error}"
            ) from error


def _batches(split: Split, axes: RowAxes, batch_size: int) -> list[slice]:
    """Return the rows of each run: so many, or as many as the model takes at once."""
    size = axes.at_once or batch_size
    return [slice(at, min(at + size, split.rows)) for at in range(0, split.rows, size)]


def _of_each_length(split: Split) -> NDArray[np.int64]:
    """Return the first rows, and the shortest and the longest of each input."""
    rows = {*range(min(TRIED_ROWS, split.rows))}
    for name in split.ragged:
        lengths = split.inputs[lengths_of(name)][:]
        rows |= {int(lengths.argmin()), int(lengths.argmax())}
    return np.array(sorted(rows))


def _flat(answer: Any) -> NDArray[Any]:
    """Return the entries of a tensor, or of all tensors of a sequence, in one row."""
    parts = answer if isinstance(answer, list) else [answer]
    return np.concatenate(
        [np.empty(0, np.float32), *(np.asarray(part).reshape(-1) for part in parts)]
    )

"""ONNX files in onnxruntime: what they take, and what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from spectral_engine.data.spec import InputSpec
from spectral_engine.data.split import Split
from spectral_engine.errors import ModelInvalid
from spectral_engine.measure.shown_answers import FLOATS, with_answers_shown

FAILURES = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)
EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
PROVIDER = "CPUExecutionProvider"
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

    Without `prepack`, weights in external data are mapped rather than copied: slower to run, and no memory. `beside`
    is the folder of the external data of a model that is given by its bytes.
    """
    options = onnxruntime.SessionOptions()
    if beside is not None:
        options.add_session_config_entry(EXTERNAL_FOLDER, str(beside))
    if not prepack:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=[PROVIDER])
    except FAILURES as error:
        raise ModelInvalid(f"onnxruntime does not load the model: {error}") from error


def _spec(value: Any) -> InputSpec:
    dtype = NUMPY_TYPES.get(value.type)
    if dtype is None:
        raise ModelInvalid(f"input {value.name!r} takes {value.type}, which is not supported")
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    return InputSpec(value.name, np.dtype(dtype), shape)


class Runner:
    """Answers of one model, in batches; a batch size frozen in the file is kept to.

    Where the file's outputs cannot be judged, as labels and maps, the float tensors behind them are `hidden` answers,
    and stand before its outputs.
    """

    def __init__(
        self, model: bytes | str | Path, threads: int = 1, *, prepack: bool = True
    ) -> None:
        self.session = open_session(model, threads, prepack=prepack)
        self.hidden: tuple[str, ...] = ()
        if (shown := with_answers_shown(model, self.session)) is not None:
            folder = None if isinstance(model, bytes) else Path(model).parent
            self.session = open_session(shown[0], threads, prepack=prepack, beside=folder)
            self.hidden = shown[1]
        shapes = [value.shape for value in self.session.get_inputs()]
        frozen = [shape[0] for shape in shapes if shape and isinstance(shape[0], int)]
        self.frozen_batch: int | None = frozen[0] if frozen else None
        self.steps_first = _steps_first(self.session)

    def predict(
        self, split: Split, batch_size: int = 256, output: str | None = None
    ) -> NDArray[Any]:
        """Return one output, the first by default, for every row; raises ModelInvalid where the model fails."""
        name = output or self.output_names[0]
        return self.predict_all(split, batch_size, (name,))[name]

    def predict_all(
        self, split: Split, batch_size: int = 256, outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return these outputs, all by default, for every row, from one run.

        Answers of a row lie on the first axis, or as many numbers for each row after one another in it; of outputs with
        the steps before the rows both are exchanged. Raises
        ModelInvalid where the model fails, or where an output that was named has no answer for each row.
        """
        names = self.output_names if outputs is None else tuple(outputs)
        size = self.frozen_batch or batch_size
        parts = [
            self._run(names, split, start, min(start + size, split.rows), size)
            for start in range(0, split.rows, size)
        ]
        found: dict[str, NDArray[Any]] = {}
        for place, name in enumerate(names):
            answers = [answer for part in parts if (answer := part[place]) is not None]
            if len(answers) == len(parts):
                found[name] = np.concatenate(answers)
            elif outputs is not None:
                raise ModelInvalid(f"output {name!r} does not give one answer for each row")
        return found

    def floats(self, split: Split, batch_size: int = 256) -> dict[str, NDArray[Any]]:
        """Return all that the model answers in floats, of each output in one row: also what tells nothing of the rows.

        Raises ModelInvalid where the model fails.
        """
        names = [value.name for value in self.session.get_outputs() if value.type in FLOATS_TOLD]
        size = self.frozen_batch or batch_size
        parts = [
            self._ask(names, split, start, min(start + size, split.rows), size)[0]
            for start in range(0, split.rows, size)
        ]
        return {
            name: np.concatenate([_flat(part[place]) for part in parts])
            for place, name in enumerate(names)
        }

    @property
    def inputs(self) -> list[InputSpec]:
        """What the model takes, in its own order. Raises ModelInvalid for a type that is not supported."""
        return [_spec(value) for value in self.session.get_inputs()]

    @property
    def output_names(self) -> tuple[str, ...]:
        """The model's outputs that are tensors of numbers, hidden answers first, else in its own order."""
        return tuple(
            value.name for value in self.session.get_outputs() if value.type in NUMBER_TYPES
        )

    def _run(
        self, outputs: Sequence[str], split: Split, start: int, end: int, size: int
    ) -> list[NDArray[Any] | None]:
        answers, run = self._ask(outputs, split, start, end, size)
        return [
            _by_row(answer.swapaxes(0, 1) if name in self.steps_first else answer, run, end - start)
            for name, answer in zip(outputs, answers, strict=True)
        ]

    def _ask(
        self, outputs: Sequence[str], split: Split, start: int, end: int, size: int
    ) -> tuple[list[Any], int]:
        """Return what the model answers to some rows, and to how many: a frozen batch is filled up."""
        feeds = {name: array[start:end] for name, array in split.inputs.items()}
        run = end - start
        if self.frozen_batch is not None and run < size:
            feeds, run = {name: _padded(array, size) for name, array in feeds.items()}, size
        try:
            return self.session.run(list(outputs), feeds), run
        except FAILURES as error:
            raise ModelInvalid(f"the model fails on rows {start} to {end - 1}: {error}") from error


def _steps_first(session: onnxruntime.InferenceSession) -> frozenset[str]:
    """Return the outputs [steps, rows, classes], as recurrent nets give them: by the name or size of the rows' axis."""
    batch = next((value.shape[0] for value in session.get_inputs() if value.shape), None)
    return frozenset(
        value.name
        for value in session.get_outputs()
        if batch is not None
        and len(value.shape) == 3
        and value.shape[0] != batch
        and value.shape[1] == batch
    )


def _by_row(answer: Any, run: int, wanted: int) -> NDArray[Any] | None:
    """Return the answers of the wanted rows of those that were run; None where there is none for each row."""
    if not isinstance(answer, np.ndarray) or answer.ndim == 0 or len(answer) == 0:
        return None
    columns, rest = divmod(len(answer), run)
    if rest or (columns > 1 and answer.size != len(answer)):
        return None
    return answer[: wanted * columns]


def _flat(answer: Any) -> NDArray[Any]:
    """Return the entries of a tensor, or of all tensors of a sequence, in one row."""
    parts = answer if isinstance(answer, list) else [answer]
    return np.concatenate(
        [np.empty(0, np.float32), *(np.asarray(part).reshape(-1) for part in parts)]
    )


def _padded(array: NDArray[Any], size: int) -> NDArray[Any]:
    """Repeat the last row up to a frozen batch size."""
    return np.concatenate([array, np.repeat(array[-1:], size - len(array), axis=0)])

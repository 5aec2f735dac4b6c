"""Labels as people write them beside models that know: what must be understood, and what the original's metric is.

Every model is a linear layer whose scores are known here, so that the metric can be computed by others.
`python -m tests.support.label_cases --write` writes the table of docs/data.md; a test compares it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.metrics import accuracy_score, r2_score

from spectral_engine.data_check import check
from spectral_engine.records.data_check import DataCheck

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
ROWS, FEATURES, CLASSES = 400, 6, 4
TRAIN, VALIDATION = slice(0, 240), slice(240, 320)
RANDOM = np.random.default_rng(0)
PALETTE = np.array([[0, 128, 0], [0, 0, 0], [128, 0, 0], [0, 0, 128]], np.uint8)
X = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
LAYOUTS: dict[str, tuple[tuple[int, ...], int]] = {  # shape of a row's answers, axis of the classes
    "[n, k]": ((CLASSES,), 1),
    "[n, t, k]": ((3, CLASSES), 2),
    "[n, k, t]": ((CLASSES, 3), 1),
    "[n, k, h, w]": ((CLASSES, 2, 3), 1),
    "[n, h, w, k]": ((2, 3, CLASSES), 3),
}


@dataclass(frozen=True)
class LabelCase:
    """Labels beside a model, what they must be understood as, and the metric of that model."""

    answers: str  # how the model answers
    labels: str  # how the labels are written
    model: bytes
    y: np.ndarray | None
    task: str
    metric: float | None  # of the validation rows, by scikit-learn

    @property
    def name(self) -> str:
        return f"{self.labels} for {self.answers}"

    def check(self) -> DataCheck:
        """Ask the product."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "d.npz"
            arrays = {}
            parts = {"train": TRAIN, "val": VALIDATION, "test": slice(320, None)}
            for part, rows in parts.items():
                arrays[f"x_{part}"] = X[rows]
                if self.y is not None:
                    arrays[f"y_{part}"] = self.y[rows]
            np.savez(path, **arrays)
            return check(self.model, path)


def linear(
    weights: np.ndarray,
    ends: list[Any],
    shape: tuple[int, ...],
    flat: bool = False,
    bias: np.ndarray | None = None,
) -> bytes:
    """A linear layer, reshaped, behind which the given operators stand."""
    nodes = [helper.make_node("Gemm", ["x", "w"], ["v0"])]
    initializers = [numpy_helper.from_array(weights.astype(np.float32), "w")]
    if bias is not None:
        nodes[0].input.append("b")
        initializers.append(numpy_helper.from_array(bias, "b"))
    if len(shape) > 1 or flat:
        target = [-1, 1] if flat else [0, *shape]
        initializers.append(numpy_helper.from_array(np.array(target, np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", ["v0", "shape"], ["v1"]))
    for end, more in ends:
        here = nodes[-1].output[0]
        nodes.append(helper.make_node(end, [here], [f"{here}_{end}"], **more))
    nodes[-1].output[0] = "answers"
    out = ["m", 1] if flat else ["n", *shape]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", FEATURES])],
        [helper.make_tensor_value_info("answers", TensorProto.FLOAT, out)],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def cases() -> Iterator[LabelCase]:
    """Yield every case of the table."""
    yield from _classes()
    yield from _yes_or_no()
    yield from _maps_of_yes_or_no()
    yield from _several_yes_or_no()
    yield from _numbers()
    yield from _nothing()


def _classes() -> Iterator[LabelCase]:
    for layout, (shape, axis) in LAYOUTS.items():
        weights = np.random.default_rng(axis).normal(size=(FEATURES, int(np.prod(shape))))
        scores = (X @ weights.astype(np.float32)).reshape(ROWS, *shape)
        answered = scores.argmax(axis)
        wrong = RANDOM.random(answered.shape) < 0.1
        truth = np.where(wrong, RANDOM.integers(0, CLASSES, answered.shape), answered)
        for head in ("logits", "Softmax", "LogSoftmax"):
            ends = [] if head == "logits" else [(head, {"axis": axis})]
            model = linear(weights, ends, shape)
            for words, y in _written(truth, axis):
                metric = _accuracy(truth, answered, _counted(y, truth))
                yield LabelCase(f"{head} {layout}", words, model, y, "classification", metric)


def _counted(y: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Say where a label counts: not at 255 in maps, and not where all columns of one-hot integers are alike."""
    if y.dtype.kind not in "Ub" and y.shape == truth.shape:
        return y != 255
    if truth.ndim == 1 and y.dtype.kind == "i" and y.shape == (len(truth), CLASSES):
        return y.max(axis=1) > y.min(axis=1)
    return np.ones(truth.shape, bool)


def _written(truth: np.ndarray, axis: int) -> Iterator[tuple[str, np.ndarray]]:
    names = np.array(["zebra", "ant", "mouse", "bee"])
    hot = np.eye(CLASSES, dtype=np.int64)[truth]
    yield "class numbers", truth
    yield "class numbers as floats", truth.astype(np.float32)
    yield "one-hot integers, classes last", hot
    if truth.ndim == 1:
        yield "numbers from 1", truth + 1
        yield "numbers 0, 10, 20, 30", truth * 10
        yield "a column of numbers", truth[:, None]
        yield "names out of order", names[truth]
        yield "digits as texts", truth.astype(str)
        yield "one-hot floats", hot.astype(np.float32)
        yield "one-hot booleans", hot.astype(bool)
        yield "one-hot of 0 and 255", hot.astype(np.uint8) * 255
        yield "one-hot of −1 and 1", 2 * hot - 1
        yield "one-hot of no and yes", np.array(["no", "yes"])[hot]
        yield "one-hot, smoothed", (0.9 * hot + 0.1 / CLASSES).astype(np.float32)
        yield "one-hot, zeros in every 20th row", hot * (np.arange(ROWS) % 20 > 0)[:, None]
        yield "shares of two classes", 0.7 * hot + 0.3 * np.roll(hot, 1, axis=0)
        return
    yield "one-hot floats, as the answers lie", np.moveaxis(hot, -1, axis).astype(np.float32)
    ignored = truth.copy()
    ignored[np.random.default_rng(1).random(truth.shape) < 0.2] = 255
    yield "class numbers, 255 for nothing", ignored
    if truth.ndim == 3:
        yield "masks [n, 1, h, w]", truth[:, None]
        yield "masks [n, h, w, 1]", truth[..., None]
        yield "masks of 0, 80, 160 and 240", (truth * 80).astype(np.uint8)
        colours = PALETTE[truth]
        yield "masks of colours [n, h, w, 3]", colours
        yield "masks of colours [n, 3, h, w]", np.moveaxis(colours, 3, 1)


def _yes_or_no() -> Iterator[LabelCase]:
    weights = np.eye(FEATURES)[:, :1] * 3
    answered = (X[:, 0] > 0).astype(np.int64)
    truth = np.where(RANDOM.random(ROWS) < 0.07, 1 - answered, answered)
    metric = _accuracy(truth, answered)
    for head in ("logit", "Sigmoid", "Tanh"):
        model = linear(weights, [] if head == "logit" else [(head, {})], (1,))
        for words, y in _two(truth):
            yield LabelCase(f"{head} [n, 1]", words, model, y, "binary", metric)


def _two(truth: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "0 and 1", truth
    yield "0.0 and 1.0", truth.astype(np.float32)
    yield "a column of 0.0 and 1.0", truth.astype(np.float32)[:, None]
    yield "1 and 2", truth + 1
    yield "0 and 255", truth * 255
    yield "5 and 7", 5 + 2 * truth
    yield "−1 and 1", 2 * truth - 1
    yield "booleans", truth.astype(bool)
    yield "no and yes", np.array(["no", "yes"])[truth]
    yield "texts out of order", np.array(["true", "false"])[truth]


def _maps_of_yes_or_no() -> Iterator[LabelCase]:
    weights = np.random.default_rng(5).normal(size=(FEATURES, 6))
    answered = (X @ weights.astype(np.float32) > 0).astype(np.int64).reshape(ROWS, 2, 3)
    truth = np.where(RANDOM.random(answered.shape) < 0.1, 1 - answered, answered)
    metric = _accuracy(truth, answered)
    for head in ("logit", "Sigmoid"):
        model = linear(weights, [] if head == "logit" else [(head, {})], (1, 2, 3))
        written = (
            ("masks [n, h, w] of 0 and 1", truth),
            ("masks [n, h, w] of 0 and 255", truth * 255),
            ("masks [n, 1, h, w] of booleans", truth.astype(bool)[:, None]),
            ("masks [n, h, w, 1] of floats", truth.astype(np.float32)[..., None]),
        )
        for words, y in written:
            yield LabelCase(f"{head} [n, 1, h, w]", words, model, y, "binary", metric)
        counted = np.random.default_rng(8).random(truth.shape) > 0.2
        grey = np.where(counted, 255 * truth, 128).astype(np.uint8)
        words = "masks [n, h, w] of 0 and 255, 128 for nothing"
        counting = _accuracy(truth, answered, counted)
        yield LabelCase(f"{head} [n, 1, h, w]", words, model, grey, "binary", counting)


def _several_yes_or_no() -> Iterator[LabelCase]:
    weights = np.random.default_rng(6).normal(size=(FEATURES, 5))
    answered = (X @ weights.astype(np.float32) > 0).astype(np.int64)
    truth = np.where(RANDOM.random(answered.shape) < 0.1, 1 - answered, answered)
    metric = _accuracy(truth, answered)
    for head in ("logits", "Sigmoid"):
        model = linear(weights, [] if head == "logits" else [(head, {})], (5,))
        for words, y in _columns(truth):
            yield LabelCase(f"{head} [n, 5]", words, model, y, "multilabel", metric)


def _columns(truth: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "0 and 1 for each column, integers", truth
    yield "0 and 1 for each column, floats", truth.astype(np.float32)
    yield "0 and 1 for each column, booleans", truth.astype(bool)
    yield "0 and 255 for each column", (truth * 255).astype(np.uint8)
    yield "1 and 2 for each column", truth + 1
    yield "−1 and 1 for each column", 2 * truth - 1
    yield "no and yes for each column", np.array(["no", "yes"])[truth]


def _numbers() -> Iterator[LabelCase]:
    for columns, flat in ((1, False), (3, False), (3, True)):
        weights = np.random.default_rng(7).normal(size=(FEATURES, columns))
        answered = X @ weights.astype(np.float32)
        truth = (answered + RANDOM.normal(size=answered.shape)).astype(np.float32)
        model = linear(weights, [], (columns,), flat)
        metric = float(r2_score(truth[VALIDATION], answered[VALIDATION]))
        answers = f"numbers [n · {columns}, 1]" if flat else f"numbers [n, {columns}]"
        yield LabelCase(answers, f"numbers [n, {columns}]", model, truth, "regression", metric)
        if columns == 1:
            yield LabelCase(answers, "numbers [n]", model, truth[:, 0], "regression", metric)


def _nothing() -> Iterator[LabelCase]:
    weights = np.random.default_rng(8).normal(size=(FEATURES, 4)) * 3
    for head in ("Softmax", "LogSoftmax"):
        model = linear(weights, [(head, {"axis": 1})], (4,))
        yield LabelCase(f"{head} [n, 4]", "none", model, None, "distillation", None)
    yield LabelCase(
        "numbers [n, 1]", "none", linear(weights[:, :1], [], (1,)), None, "distillation", None
    )
    image = linear(np.random.default_rng(9).normal(size=(FEATURES, 6)), [], (1, 2, 3))
    yield LabelCase("images [n, 1, h, w]", "none", image, None, "distillation", None)


def _accuracy(truth: np.ndarray, answered: np.ndarray, counted: np.ndarray | None = None) -> float:
    rows = np.ones(truth.shape, bool) if counted is None else counted
    kept = rows[VALIDATION]
    return float(accuracy_score(truth[VALIDATION][kept], answered[VALIDATION][kept]))


def table() -> str:
    """Return the table as the product fills it."""
    lines = [
        "| answers | labels | understood as | output form | metric | of the original | by scikit-learn |",
        "|---|---|---|---|---|---:|---:|",
    ]
    for case in cases():
        checked = case.check()
        outside = "" if case.metric is None else f"{case.metric:.3f}"
        lines.append(
            f"| {case.answers} | {case.labels} | {checked.meaning.reading} | {checked.meaning.form} | {checked.metric} "
            f"| {checked.original.value:.3f} | {outside} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    filled = table()
    if parser.parse_args().write:
        text = PAGE.read_text("utf-8")
        head, tail = text.split(BEGIN)[0], text.split(END)[1]
        PAGE.write_text(f"{head}{BEGIN}\n{filled}\n{END}{tail}", "utf-8")
    else:
        print(filled)


if __name__ == "__main__":
    main()

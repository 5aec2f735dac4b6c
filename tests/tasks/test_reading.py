"""A reader that CTC decodes through the whole job: texts in, the character error rate out."""

import numpy as np
import onnxruntime
import pytest
import torch

import spectral_engine as se
from spectral_engine.errors import DatasetMismatch
from tests.support.task_nets import ALPHABET, Reader, export, in_classes, reader, strips

QUICK = {
    "training": {"epochs": 4, "batch_size": 64},
    "prune": {"candidates": 1},
    "target": {"max_macs": 0.6},
}
X, TEXTS = strips(700, 2)
PARTS = {"train": slice(0, 420), "val": slice(420, 560), "test": slice(560, 700)}


def save(path, labels):
    arrays = {f"x_{part}": X[rows] for part, rows in PARTS.items()}
    arrays |= {f"y_{part}": labels[rows] for part, rows in PARTS.items()}
    np.savez(path, **arrays)
    return path


def written(net, folder):
    return export(net, (torch.zeros(2, 1, 6, 18),), folder / "reader.onnx", ["x"])


def error_rate(model, rows, blank, first):
    """Edits over characters, by an alignment of its own."""
    (answers,) = onnxruntime.InferenceSession(str(model)).run(None, {"x": X[rows]})
    if len(answers) != len(X[rows]):
        answers = answers.transpose(1, 0, 2)
    edits = 0
    for best, text in zip(answers.argmax(-1), TEXTS[rows], strict=True):
        runs = [c for at, c in enumerate(best) if (at == 0 or c != best[at - 1]) and c != blank]
        edits += distance("".join(ALPHABET[c - first] for c in runs), text)
    return edits / sum(map(len, TEXTS[rows]))


def distance(left, right):
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


@pytest.mark.parametrize(("blank_last", "steps_first"), [(False, False), (True, True)])
def test_a_reader_goes_through_the_job_with_texts(blank_last, steps_first, tmp_path):
    net = reader(blank_last=blank_last)
    net.steps_first = steps_first
    model = written(net, tmp_path)
    net.steps_first = False
    result = se.compress(model, save(tmp_path / "d.npz", TEXTS), QUICK)
    report = result.report.data
    before, after = report.baseline.metric, result.chosen.entry.measurement.metric
    blank, first = (6, 0) if blank_last else (0, 1)
    assert (report.task, before.name) == ("ctc", "cer")
    assert before.value == pytest.approx(error_rate(model, PARTS["test"], blank, first), abs=1e-9)
    (tmp_path / "after.onnx").write_bytes(result.chosen.model_bytes)
    outside = error_rate(tmp_path / "after.onnx", PARTS["test"], blank, first)
    assert after.value == pytest.approx(outside, abs=1e-9)
    assert after.value < before.value + 0.2
    assert (
        f"the {'last' if blank_last else 'first'} class for the blank"
        in report.data.meaning.reading
    )
    assert report.data.meaning.order == "sorted"


def test_numbers_of_characters_are_texts_too(tmp_path):
    model = written(reader(), tmp_path)
    texts = se.check(model, save(tmp_path / "t.npz", TEXTS))
    for filling in (-1, 0):
        numbers = in_classes(TEXTS, 1)
        numbers[numbers < 0] = filling
        checked = se.check(model, save(tmp_path / "d.npz", numbers))
        assert checked.metric == "cer"
        assert checked.original.value == pytest.approx(texts.original.value, abs=1e-9)


def test_the_alphabet_can_be_said_with_or_without_the_blank(tmp_path):
    model = written(reader(blank_last=True), tmp_path)
    data = save(tmp_path / "d.npz", TEXTS)
    for classes in ([*ALPHABET], [*ALPHABET, ""]):
        checked = se.check(model, data, labels={"classes": classes})
        assert checked.meaning.order == "given"
        assert checked.original.value < 0.2


def test_a_wrong_alphabet_is_refused_by_name(tmp_path):
    model = written(reader(), tmp_path)
    data = save(tmp_path / "d.npz", TEXTS)
    with pytest.raises(DatasetMismatch, match="names 3 characters") as error:
        se.compress(model, data, QUICK, labels={"classes": ["a", "b", "c"]})
    assert error.value.pointer == "#/labels/classes"
    with pytest.raises(
        DatasetMismatch, match=r'pass labels {"classes": \["", "a", "b", "c"'
    ) as error:
        se.compress(model, data, QUICK, labels={"classes": [*"fdebca"]})
    assert error.value.pointer == "#/labels/classes"
    few = save(tmp_path / "few.npz", np.array([text.replace("a", "b") for text in TEXTS]))
    with pytest.raises(DatasetMismatch, match="give the 6 characters beside the blank"):
        se.compress(model, few, QUICK)


def test_a_reader_that_nobody_trained_is_refused(tmp_path):
    torch.manual_seed(1)
    model = written(Reader(), tmp_path)
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(model, save(tmp_path / "d.npz", TEXTS), QUICK)


def test_texts_of_other_rows_are_refused(tmp_path):
    model = written(reader(), tmp_path)
    with pytest.raises(DatasetMismatch, match="no better than chance"):
        se.compress(model, save(tmp_path / "d.npz", np.roll(TEXTS, 5)), QUICK)

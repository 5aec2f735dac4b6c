"""Jobs without labels: a U-Net and an encoder of sentences, each judged in the unit that fits what it answers."""

import io

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from rich.console import Console
from scipy.stats import spearmanr
from sklearn.metrics import jaccard_score
from torch import nn

import spectral_engine as se
from examples.specimens.wrecks import draw, trained, wrecking
from spectral_engine.report.html import render
from spectral_engine.report.terminal import render_terminal
from tests.support.page import Page
from tests.support.task_nets import encoder, export, sentences, shapes, unet

QUICK = {"training": {"epochs": 2, "batch_size": 16}, "prune": {"candidates": 1}}
FLOOR = {"max_metric_drop": 0.2, "max_macs": 0.7}
PARTS = {"train": slice(0, 160), "val": slice(160, 220), "test": slice(220, 320)}


class UnitEncoder(nn.Module):
    """The encoder of sentences, its rows of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = encoder()

    def forward(self, ids, mask):
        return F.normalize(self.encoder(ids, mask))


def save(path, arrays):
    parts = {f"{key}_{part}": a[rows] for key, a in arrays.items() for part, rows in PARTS.items()}
    np.savez(path, **parts)
    return path


def answered(model, arrays):
    held_out = {name: array[PARTS["test"]] for name, array in arrays.items()}
    return onnxruntime.InferenceSession(model).run(None, held_out)[0]


def words(report):
    """All that a page and a terminal say."""
    console = Console(file=io.StringIO(), width=200)
    render_terminal(report, console)
    return Page(render(report)).words, console.file.getvalue()


def judged(result, name):
    """The candidate's metric, after what must hold of every job without labels."""
    report = result.report.data
    metric, reference = result.chosen.entry.measurement.metric, report.baseline.metric
    assert (metric.name, metric.against, reference.against) == (name, "original", "original")
    assert metric.interval.low < metric.value < metric.interval.high
    assert reference.interval.low == reference.value == reference.interval.high == 1.0
    test = result.chosen.entry.floor_test
    assert test.rows <= PARTS["test"].stop - PARTS["test"].start
    assert (result.outcome == "target_met") == (test.status == "shown")
    for said in words(report):
        assert "reference, by definition" in said
        assert "100.00 % (" not in said
    return metric.value, test


@pytest.mark.parametrize("classes", [3, 1])
def test_a_unet_is_judged_by_the_iou_of_its_own_masks(tmp_path, classes):
    images = {"x": shapes(320, 2)[0]}
    net = unet(classes) if classes > 1 else nn.Sequential(unet(1), nn.Sigmoid())
    model = export(net, (torch.zeros(2, 1, 16, 16),), tmp_path / "unet.onnx", ["x"])
    data = save(tmp_path / "d.npz", images)
    result = se.compress(model, data, QUICK | {"target": FLOOR})
    value, test = judged(result, "miou")
    before, after = (
        answered(content, images) for content in (model.read_bytes(), result.chosen.model_bytes)
    )
    masks = [a.argmax(1) if classes > 1 else a > 0.5 for a in (before, after)]
    expected = jaccard_score(masks[0].ravel(), masks[1].ravel(), average="macro")
    assert value == pytest.approx(expected, abs=1e-6)
    assert test.asymptotic  # pooled over rows: by resampling


def test_an_encoder_of_sentences_is_judged_by_the_order_of_neighbours(tmp_path):
    rows, _ = sentences(320, 2)
    inputs = {"ids": rows["ids_a"], "mask": rows["mask_a"]}
    examples = tuple(torch.from_numpy(array[:2]) for array in inputs.values())
    model = export(UnitEncoder(), examples, tmp_path / "encoder.onnx", list(inputs))
    data = save(tmp_path / "d.npz", inputs)
    result = se.compress(model, data, QUICK | {"target": FLOOR})
    value, test = judged(result, "rank_agreement")
    before, after = (
        answered(content, inputs) for content in (model.read_bytes(), result.chosen.model_bytes)
    )
    anchors = np.linspace(0, len(before) - 1, len(before) // 4).round().astype(int)
    others = np.setdiff1d(np.arange(len(before)), anchors)
    orders = [answers[others] @ answers[anchors].T for answers in (before, after)]
    correlations = [
        spearmanr(a.round(9), b.round(9)).statistic for a, b in zip(*orders, strict=True)
    ]
    assert value == pytest.approx((1 + np.mean(correlations)) / 2, abs=1e-3)
    assert not test.asymptotic


def test_the_original_that_is_handed_back_is_the_reference_too(tmp_path):
    """Every candidate is spoiled, so that the original comes back; beside itself it has no figure."""
    task = draw("classes without labels", 700, seed=3)
    model = trained(task, tmp_path / "net.onnx")
    np.savez(tmp_path / "d.npz", x=task.x)
    recipe = QUICK | {"target": {"max_metric_drop": 0.03}}
    with wrecking("zeroed"):
        result = se.compress(model, tmp_path / "d.npz", recipe)
    chosen = result.chosen.entry
    assert result.outcome == "no_gain"
    assert result.chosen.model_bytes == model.read_bytes()
    interval = chosen.measurement.metric.interval
    assert interval.low == interval.high == chosen.measurement.metric.value == 1.0
    assert chosen.drop.interval.low == chosen.drop.interval.high == chosen.drop.value == 0.0
    for said in words(result.report.data):
        assert said.count("reference, by definition") == 2
        assert "100.00 % (" not in said

"""A candidate that is wrecked behind the job's back is never said to meet its target, whatever the labels are."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import nn

import spectral_engine as se
from spectral_engine.methods import path as walked

ROWS, FEATURES = 700, 8
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(ROWS, FEATURES)).astype(np.float32)
MIX = RANDOM.normal(size=(FEATURES, 4))
SCORES = X @ MIX
CLASSES = SCORES.argmax(1)
RARE = (SCORES[:, 0] > np.quantile(SCORES[:, 0], 0.95)).astype(np.int64)
KINDS = {
    "classes": (4, F.cross_entropy, CLASSES, CLASSES),
    "one-hot": (4, F.cross_entropy, CLASSES, np.eye(4, dtype=np.float32)[CLASSES]),
    "names": (4, F.cross_entropy, CLASSES, np.array(["d", "a", "c", "b"])[CLASSES]),
    "a rare class": (2, F.cross_entropy, RARE, RARE),
    "one logit": (1, F.binary_cross_entropy_with_logits, RARE[:, None], RARE),
    "multi-label": (4, F.binary_cross_entropy_with_logits, SCORES > 0, SCORES > 0),
    "numbers": (4, F.mse_loss, SCORES, SCORES.astype(np.float32)),
    "one number": (1, F.mse_loss, SCORES[:, :1], SCORES[:, 0].astype(np.float32)),
    "classes without labels": (4, F.cross_entropy, CLASSES, None),
    "numbers without labels": (4, F.mse_loss, SCORES, None),
}


def trained(outputs, loss, target, place: Path) -> Path:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(FEATURES, 24), nn.ReLU(), nn.Linear(24, outputs))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    x, y = torch.tensor(X), torch.tensor(target)
    y = y if y.dtype == torch.int64 and loss is F.cross_entropy else y.float()
    for _ in range(120):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    path = place / "net.onnx"
    torch.onnx.export(
        net, (x[:2],), str(path), input_names=["x"], output_names=["answers"], dynamo=False,
        dynamic_axes={"x": {0: "n"}, "answers": {0: "n"}},
    )  # fmt: skip
    return path


def wreck(path: Path, how: str) -> None:
    """Spoil the last layer of a written file."""
    model = onnx.load(path)
    last = model.graph.node[-1]
    for held in model.graph.initializer:
        if held.name == last.input[1]:
            weight = numpy_helper.to_array(held).copy()
            spoiled = {
                "shuffled": np.random.default_rng(1)
                .permutation(weight.ravel())
                .reshape(weight.shape),
                "zeroed": weight * 0,
                "turned": -weight,
            }[how]
            held.CopyFrom(numpy_helper.from_array(spoiled, held.name))
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("how", ["shuffled", "zeroed", "turned"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wreck_meets_no_target(kind, how, tmp_path, monkeypatch):
    outputs, loss, target, labels = KINDS[kind]
    model = trained(outputs, loss, target, tmp_path)
    np.savez(tmp_path / "d.npz", x=X, **({} if labels is None else {"y": labels}))
    honest = walked.export

    def spoil(*arguments):
        external = honest(*arguments)
        wreck(arguments[-1], how)
        return external

    monkeypatch.setattr(walked, "export", spoil)
    recipe = {
        "target": {"max_metric_drop": 0.03, "confidence": 0.8},
        "training": {"epochs": 2},
        "prune": {"candidates": 1},
    }
    result = se.compress(model, tmp_path / "d.npz", recipe)
    assert result.outcome != "target_met"
    assert not any(entry.meets_target for entry in result.report.data.candidates)


def test_an_honest_candidate_meets_it(tmp_path):
    outputs, loss, target, labels = KINDS["classes"]
    model = trained(outputs, loss, target, tmp_path)
    np.savez(tmp_path / "d.npz", x=X, y=labels)
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 2},
    }
    assert se.compress(model, tmp_path / "d.npz", recipe).outcome == "target_met"

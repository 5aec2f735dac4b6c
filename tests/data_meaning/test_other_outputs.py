"""Outputs that the labels do not judge: they are named, compared with the original's, and no wreck of them passes."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score, r2_score
from torch import nn

import spectral_engine as se
from examples.specimens.wrecks import wrecking

ROWS, FEATURES, CLASSES = 1200, 6, 4
RANDOM = np.random.default_rng(0)
CENTRES = RANDOM.normal(size=(CLASSES, FEATURES)) * 1.5
Y = RANDOM.integers(0, CLASSES, ROWS)
X = (CENTRES[Y] + RANDOM.normal(size=(ROWS, FEATURES))).astype(np.float32)
T = np.tanh(X @ RANDOM.normal(size=FEATURES)).astype(np.float32)
RECIPE = {
    "target": {"max_metric_drop": 0.15, "confidence": 0.8, "keep_nodes": 0.6},
    "training": {"epochs": 4},
    "seen_by_original": False,
    "prune": {"candidates": 1},
    "seed": 0,
}


class TwoHeads(nn.Module):
    """Classes and a number from the same hidden nodes; the number's layer is the file's last one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU())
        self.kind, self.size = nn.Linear(32, CLASSES), nn.Linear(32, 1)

    def forward(self, x):
        hidden = self.body(x)
        return self.kind(hidden), self.size(hidden)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    net, x = TwoHeads(), torch.from_numpy(X)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(150):
        kind, size = net(x)
        loss = F.cross_entropy(kind, torch.from_numpy(Y))
        loss = loss + F.mse_loss(size[:, 0], torch.from_numpy(T))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    path = tmp_path_factory.mktemp("net") / "net.onnx"
    torch.onnx.export(
        net, (x[:2],), str(path), input_names=["x"], output_names=["kind", "size"], dynamo=False,
        dynamic_axes={name: {0: "n"} for name in ("x", "kind", "size")},
    )  # fmt: skip
    return path


def parts(path, y):
    """Labels of one head, and held-out rows that are known from outside."""
    np.savez(
        path, x_train=X[:800], y_train=y[:800], x_val=X[800:900], y_val=y[800:900],
        x_test=X[900:], y_test=y[900:],
    )  # fmt: skip
    return path


def answers(model) -> dict[str, np.ndarray]:
    return dict(
        zip(("kind", "size"), ort.InferenceSession(model).run(None, {"x": X[900:]}), strict=True)
    )


@pytest.mark.parametrize(("judged", "other"), [("kind", "size"), ("size", "kind")])
def test_what_is_kept_of_the_other_output_is_told_as_others_measure_it(
    model, tmp_path, judged, other
):
    data = parts(tmp_path / "d.npz", Y if judged == "kind" else T)
    assert any(
        f"output '{other}' is not judged" in note for note in se.check(model, data).data.notes
    )
    result = se.compress(model, data, RECIPE)
    kept = result.chosen.entry.other_outputs[other]
    file = tmp_path / "narrow.onnx"
    result.chosen.save(file)
    before, after = answers(model.read_bytes())[other], answers(file.read_bytes())[other]
    if other == "kind":
        expected = accuracy_score(before.argmax(1), after.argmax(1))
    else:
        expected = r2_score(before[:, 0], after[:, 0])
    assert kept.value == pytest.approx(expected, abs=1e-6)
    assert kept.against == "original"
    assert any(f"output '{other}'" in warning for warning in result.report.data.warnings)


@pytest.mark.parametrize("how", ["zeroed", "turned", "noise"])
def test_no_target_is_met_where_the_other_output_is_wrecked(model, tmp_path, how):
    with wrecking(how):
        result = se.compress(model, parts(tmp_path / "d.npz", Y), RECIPE)
    entry = result.report.data.candidates[0]
    assert entry.drop.value <= 0.15  # of the output that is judged
    assert not entry.meets_target
    assert "output 'size'" in result.report.data.outcome_reason

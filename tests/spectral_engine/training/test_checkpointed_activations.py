"""Values that are computed again for the gradient: the same losses and weights, bit for bit, and less that is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import spectral_engine as se
from spectral_engine.training import activations

ROWS, FEATURES = 64, 12


class Encoder(nn.Module):
    """Attention over four places of three features, after convolutions with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU())
        self.key, self.value = nn.Linear(8, 8), nn.Linear(8, 8)
        self.tail = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Answer three classes."""
        x = self.front(x.view(-1, 3, 4)).transpose(1, 2)
        mixed = (x @ self.key(x).transpose(1, 2)).softmax(-1) @ self.value(x)
        return self.tail((x + mixed).mean(1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    x = torch.randn(3 * ROWS, FEATURES)
    net = Encoder().eval()
    torch.onnx.export(
        net,
        (x[:2],),
        str(folder / "net.onnx"),
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    with torch.no_grad():
        logits = net(x)
        y = (logits - logits.mean(0)).argmax(1).numpy()
    parts = np.split(np.arange(3 * ROWS), 3)
    arrays = {
        f"x_{name}": x[rows].numpy()
        for name, rows in zip(("train", "val", "test"), parts, strict=True)
    }
    arrays |= {
        f"y_{name}": y[rows] for name, rows in zip(("train", "val", "test"), parts, strict=True)
    }
    np.savez(folder / "rows.npz", **arrays)
    return folder / "net.onnx", folder / "rows.npz"


def compressed(files: tuple[Path, Path], how: str) -> list[bytes]:
    recipe = {
        "target": {"keep_nodes": 0.7},
        "training": {
            "epochs": 2,
            "batch_size": 16,
            "learning_rate": 1e-2,
            "swap_noise": 0.0,
            "checkpoint_activations": how,
        },
        "prune": {"candidates": 1, "round_to": 1},
        "allow_poor_original": True,
    }
    return [candidate.model_bytes for candidate in se.compress(*files, recipe).candidates]


def test_a_job_gives_the_same_bytes(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = compressed(files, "never")
    assert compressed(files, "always") == plain
    monkeypatch.setattr(activations, "free_bytes", lambda _: 1)  # a machine with no memory left
    assert compressed(files, "auto") == plain


def test_a_deep_net_keeps_a_fraction_for_the_same_gradients(tmp_path: Path) -> None:
    torch.manual_seed(0)
    depth, width, rows = 48, 16, 32
    net = nn.Sequential(
        *[part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
    )
    torch.onnx.export(
        net,
        (torch.zeros(2, width),),
        str(tmp_path / "deep.onnx"),
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    module, x = se.load(tmp_path / "deep.onnx"), torch.randn(rows, width)

    def gradients(keeps: bool) -> tuple[int, list[torch.Tensor]]:
        module.mode.keeps_activations = keeps
        module.zero_grad()
        kept: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.data_ptr()] = tensor.nbytes if tensor.shape[0] == rows else 0
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            answer = next(iter(module(x=x).values()))
        at_most = sum(kept.values())
        answer.square().sum().backward()
        return at_most, [p.grad.clone() for p in module.parameters() if p.grad is not None]

    (whole, expected), (fraction, computed) = gradients(True), gradients(False)

    assert len(computed) == 2 * depth
    assert all(torch.equal(one, other) for one, other in zip(expected, computed, strict=True))
    assert fraction < whole / 3

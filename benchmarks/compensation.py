"""What folding a removed node's mean into the next bias is worth before any training, right after the cut.

    python -m benchmarks.compensation [--seeds 3]

784-500-500-10 on MNIST's 5,000-image sample, one perceptron per activation; the nodes with the smallest eigenvalues go.
Two figures: how far the logits move (mean squared error, which the mean makes smallest), and the accuracy.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks import rows
from benchmarks.digits import export, perceptron, train, write_data
from spectral_engine.compensation import CALIBRATION_ROWS, fold_means
from spectral_engine.cost.budget import Budget
from spectral_engine.cost.ranking import choose_removal, floors
from spectral_engine.data import Split
from spectral_engine.graph.coupling import couple
from spectral_engine.graph.loading import load
from spectral_engine.graph.surgery import cut
from spectral_engine.measure.metrics import metric_rule
from spectral_engine.measure.runtime import Runner
from spectral_engine.onnx_io.save import to_bytes
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.spectral.relevance import Relevance
from spectral_engine.training.feed import Feed

WIDTHS = (784, 500, 500, 10)
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
KEPT = (0.95, 0.9, 0.8, 0.5, 0.2)


def narrowed(model: Path, train_rows: Split, keep: float, compensated: bool) -> bytes:
    """Cut down to a share of the hidden nodes, and do nothing else."""
    module = load(model)
    coupling = couple(module)
    spectral = SpectralModel(module, coupling, Spectral())
    scores = Relevance(spectral, "eigenvalue").scores()
    budget = Budget({"nodes": keep * 1000})
    removed = choose_removal(coupling, scores, budget, floors(coupling, 4))
    if compensated:
        feed = Feed(train_rows, 256, torch.device("cpu"))
        fold_means(spectral, removed, feed.in_order(CALIBRATION_ROWS))
    spectral.write_back()
    return to_bytes(cut(module.model, coupling, removed))


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    rule = metric_rule("accuracy")
    return rule.value(rule.rows(answers, labels, "logits"))


def measure(seed: int, name: str, folder: Path) -> None:
    """Write one row per share of nodes."""
    torch.manual_seed(seed)
    splits = write_data(folder / "digits.npz", seed)
    net = train(perceptron(WIDTHS, ACTIVATIONS[name]), splits["x_train"], splits["y_train"], seed)
    model = folder / f"{name}.onnx"
    export(net, torch.zeros(1, WIDTHS[0]), model)
    learn, test = (
        Split({"x": splits[f"x_{part}"]}, splits[f"y_{part}"]) for part in ("train", "test")
    )
    assert test.labels is not None
    for keep in KEPT:
        row: dict[str, object] = {"activation": name, "seed": seed, "keep_nodes": keep}
        original = Runner(model).predict(test)
        row["before"] = accuracy(original, np.asarray(test.labels))
        for kind, compensated in (("cut", False), ("compensated", True)):
            answers = Runner(narrowed(model, learn, keep, compensated)).predict(test)
            row[kind] = accuracy(answers, np.asarray(test.labels))
            row[f"{kind}_logit_error"] = float(((answers - original) ** 2).mean())
        rows.append("compensation", row)
        print(row, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(parser.parse_args().seeds):
            for name in ACTIVATIONS:
                measure(seed, name, Path(folder))


if __name__ == "__main__":
    main()

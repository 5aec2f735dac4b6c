"""A net that has learned digits by heart, with the rows that it knows and rows that it never saw."""

import functools
import io
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

KNOWN = 900


@functools.cache
def rows() -> dict[str, np.ndarray]:
    """Shuffled digits with a fifth of the pixels' range as noise, so that there is something to remember."""
    bunch, random = load_digits(), np.random.default_rng(0)
    order = random.permutation(len(bunch.target))
    x = bunch.data[order] / 16 + 0.3 * random.standard_normal(bunch.data.shape)
    x, y = x.astype(np.float32), bunch.target[order].astype(np.int64)
    return {"x_seen": x[:KNOWN], "y_seen": y[:KNOWN], "x_new": x[KNOWN:], "y_new": y[KNOWN:]}


@functools.cache
def net_by_heart() -> bytes:
    """Trained until it errs on none of the rows that it knows."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    x, y = torch.from_numpy(rows()["x_seen"]), torch.from_numpy(rows()["y_seen"])
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(40):
        for batch in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    file = io.BytesIO()
    torch.onnx.export(
        net.eval(),
        (torch.zeros(2, 64),),
        file,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
        dynamo=False,
    )
    return file.getvalue()


def save_rows(path: Path, kind: str) -> Path:
    """Write rows that the net has `seen`, or that are `new` to it, without splits."""
    np.savez(path, x=rows()[f"x_{kind}"], y=rows()[f"y_{kind}"])
    return path


def save_parts(path: Path) -> Path:
    """Write what the net has seen as the training split, and new rows as the test split."""
    np.savez(
        path,
        x_train=rows()["x_seen"],
        y_train=rows()["y_seen"],
        x_test=rows()["x_new"],
        y_test=rows()["y_new"],
    )
    return path

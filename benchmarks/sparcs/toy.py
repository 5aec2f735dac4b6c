"""The paper's teacher and student, a tenth as wide: do layers vanish where the task does not need them?

    python -m benchmarks.sparcs.toy

The teacher is a rotation of 20 inputs, or two with a ReLU between them; the student is 20-200-200-20.
"""

import argparse
import time
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import rows
from benchmarks.quality.tuning import cooling
from benchmarks.sparcs.net import SpectralNet, fold
from benchmarks.sparcs.skips import params_of, trim
from benchmarks.sparcs.training import VANISHED, above, norm

NAME = "sparcs_toy"
SIDE, WIDTH = 20, 200
TRAIN_ROWS, TEST_ROWS, BATCH, STEPS, RATE = 20_000, 5_000, 256, 1_500, 1e-3
TEACHERS = ("linear", "one hidden layer")
STRENGTHS = (1e-5, 1e-4, 3e-4, 1e-3)


def data(teacher: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return standard normal inputs and the teacher's answers, of one teacher whatever the count."""
    torch.manual_seed(1000)
    first, second = (nn.init.orthogonal_(torch.empty(SIDE, SIDE)) for _ in range(2))
    torch.manual_seed(seed)
    x = torch.randn(count, SIDE)
    y = x @ first.T
    return x, y if teacher == "linear" else torch.relu(y) @ second.T


def train(x: Tensor, y: Tensor, strength: float, seed: int) -> SpectralNet:
    torch.manual_seed(seed)
    net = SpectralNet((SIDE, WIDTH, WIDTH, SIDE))
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    rate = cooling(STEPS)
    for step in range(STEPS):
        drawn = torch.randint(len(x), (BATCH,))
        loss = F.mse_loss(net(x[drawn]), y[drawn]) + strength * norm(net, "layer")
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = RATE * rate(step)
        optimizer.step()
    return net


@torch.no_grad()
def unexplained(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return float(F.mse_loss(net(x), y) / y.var())


def measure(teacher: str, strength: float, seed: int) -> dict[str, object]:
    """Return one row: what stayed, and the error before and after trimming without any training in between."""
    begun = time.process_time()
    x, y = data(teacher, TRAIN_ROWS, seed)
    net = train(x, y, strength, seed)
    trimmed = trim(fold(net), above(net), x[:2000])
    test_data = data(teacher, TEST_ROWS, seed + 500)
    return {
        "teacher": teacher,
        "strength": strength,
        "seed": seed,
        "threshold": VANISHED,
        "nodes": [int(mask.sum()) for mask in above(net)],
        "largest": [float(part.detach().abs().max()) for part in net.hidden],
        "params": [params_of(net.widths), params_of(trimmed.widths)],
        "whole": unexplained(net, *test_data),
        "trimmed": unexplained(trimmed, *test_data),
        "seconds": round(time.process_time() - begun, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for teacher, strength, seed in product(TEACHERS, asked.strengths, range(asked.seeds)):
        row = measure(teacher, strength, seed)
        rows.append(NAME, row)
        print(row, flush=True)


if __name__ == "__main__":
    main()

"""What `analyze` itself takes: the memory of a row or two, whatever batch it tells the needs of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

CHANNELS, SIZE, LAYERS = 32, 64, 6
ROW_BYTES = 4 * CHANNELS * SIZE * SIZE * LAYERS * 2  # each convolution, and its ReLU
PROGRAM = """
import json, resource, sys
import spectral_engine as se
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
se.analyze(sys.argv[1], batch_size=1)  # loads all libraries
before = peak()
told = se.analyze(sys.argv[2], batch_size=int(sys.argv[3])).estimate
print(json.dumps({"taken": peak() - before, "told": told.memory_bytes, "rows": told.timed_rows,
                  "seconds": told.seconds_per_epoch_of_1000_rows}))
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("nets")
    paths = []
    for name, size in (("small", 8), ("wide", SIZE)):
        blocks = [
            layer
            for depth in range(LAYERS)
            for layer in (nn.Conv2d(CHANNELS if depth else 3, CHANNELS, 3, 1, 1), nn.ReLU())
        ]
        net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 5))
        torch.onnx.export(
            net.eval(),
            (torch.zeros(2, 3, size, size),),
            str(folder / name),
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
            dynamo=False,
        )
        paths.append(folder / name)
    return paths[0], paths[1]


def analysed(nets: tuple[Path, Path], batch: int) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, nets), str(batch)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_large_batch_takes_no_more_than_a_few_rows(nets: tuple[Path, Path]) -> None:
    batch = 256
    figures = analysed(nets, batch)
    assert figures["told"] > batch * ROW_BYTES  # 1.6 GB
    assert figures["taken"] < 16 * ROW_BYTES  # 100 MB: two rows, and what libraries set aside
    assert figures["rows"] < 8


def test_what_training_takes_grows_with_the_batch(nets: tuple[Path, Path]) -> None:
    one, two = ([analysed(nets, batch) for _ in range(2)] for batch in (16, 32))
    assert 1.9 < two[0]["told"] / one[0]["told"] < 2.1
    # The faster of two: whoever shares the machine can only slow a step down.
    fast, other = (min(figures["seconds"] for figures in pair) for pair in (one, two))
    assert 1 / 3 < other / fast < 3

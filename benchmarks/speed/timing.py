"""Processor time of files in onnxruntime, taken in turns, and what the core can do at most."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import onnxruntime
import torch

from spectral_engine.measure.runtime import PROVIDER, open_session

Key = TypeVar("Key", bound=Hashable)
LEAST_SECONDS = 2e-3  # a sample repeats the call until it takes about this long
PEAK_SIZE, PEAK_TRIALS = 1024, 9


def timed(paths: Mapping[Key, Path], shape: tuple[int, ...], seconds: float) -> dict[Key, float]:
    """Return each file's median processor time of a call in seconds; the files run in turns, in shuffled order."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    sessions = {who: open_session(path) for who, path in paths.items()}
    feeds = {who: {session.get_inputs()[0].name: x} for who, session in sessions.items()}

    def sample(who: Key, repeats: int) -> float:
        begun = time.process_time()
        for _ in range(repeats):
            sessions[who].run(None, feeds[who])
        return (time.process_time() - begun) / repeats

    repeats = {who: max(1, round(LEAST_SECONDS / max(1e-6, sample(who, 5)))) for who in paths}
    samples: dict[Key, list[float]] = {who: [] for who in paths}
    order, names = np.random.default_rng(0), list(paths)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for index in order.permutation(len(names)):
            who = names[index]
            samples[who].append(sample(who, repeats[who]))
    return {who: float(np.median(values)) for who, values in samples.items()}


def optimised_nodes(path: Path) -> int:
    """Return of how many nodes a file consists once onnxruntime has fused what it can."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(str(path), options, providers=[PROVIDER])
        return len(onnx.load(options.optimized_model_filepath).graph.node)


@cache
def peak() -> float:
    """Return the multiply-adds a second of a large product of float32 matrices, on one thread."""
    left = torch.randn(PEAK_SIZE, PEAK_SIZE)
    times = []
    for _ in range(PEAK_TRIALS):
        begun = time.process_time()
        left @ left
        times.append(time.process_time() - begun)
    return PEAK_SIZE**3 / min(times)

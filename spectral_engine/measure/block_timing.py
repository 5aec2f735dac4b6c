"""In what blocks of channels the time of convolutions rises, told by timing a few small ones.

Needs numpy and onnxruntime alone: `eigenpress profile --script` writes this file, with the models to time behind it,
as a program for a device that has nothing else.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnxruntime

WIDEST = 96  # the width that narrower ones are compared with: a multiple of every block
BLOCKS = (32, 16, 8, 4)  # that are looked for, the widest first
WIDTHS = (64, 80, 88, 92, 94, 96)  # WIDEST, and that less a block or half of one
SHAPE = (1, 3, 14, 14)
SECONDS = 0.8  # of timing for each kind of layer
CPU = "CPUExecutionProvider"
SAVED_BY_HALF = 0.3  # of what a whole block less saves; a half that saves less is no gain


def convolution_block(models: Mapping[str, Mapping[int, bytes]], provider: str = CPU) -> int:
    """Return the block of channels that suits all kinds of convolution: models by kind and width."""
    return max(block_of(timed(by_width, provider)) for by_width in models.values())


def block_of(times: Mapping[int, float]) -> int:
    """Return the largest block of which a half less saves next to nothing, or 1.

    >>> block_of({96: 6.0, 94: 6.1, 92: 6.0, 88: 6.0, 80: 5.0, 64: 4.0})
    16
    >>> block_of({width: float(width) for width in WIDTHS})
    1
    """
    for block in BLOCKS:
        whole = times[WIDEST] - times[WIDEST - block]
        half = times[WIDEST] - times[WIDEST - block // 2]
        if whole > 0 and half < SAVED_BY_HALF * whole:
            return block
    return 1


def timed(models: Mapping[int, bytes], provider: str = CPU) -> dict[int, float]:
    """Return each model's seconds of a call, the least of calls in turns; the processor's own, where it computes."""
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    clock = time.process_time if provider == CPU else time.perf_counter
    calls = {width: _call(model, x, provider) for width, model in models.items()}
    least = dict.fromkeys(models, float("inf"))
    for call in calls.values():
        call()
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        for width, call in calls.items():
            begun = clock()
            call()
            least[width] = min(least[width], clock() - begun)
    return least


def _call(model: bytes, x: np.ndarray, provider: str) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=[provider])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: x})


def machine(provider: str = CPU) -> str:
    """Return what the result is of: runtime, provider, processor."""
    return f"onnxruntime {onnxruntime.__version__}, {provider}, {processor()}"


def processor() -> str:
    """Return the processor's name, as exactly as the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else (platform.processor() or platform.machine())


def profile(models: Mapping[str, Mapping[int, bytes]], provider: str = CPU) -> str:
    """Return what `prune.round_to` takes, as JSON."""
    block = convolution_block(models, provider)
    return json.dumps({"convolution": block, "measured_on": machine(provider)})

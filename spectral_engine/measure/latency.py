"""Latency in onnxruntime: all models in one loop, in shuffled order, so that what disturbs one disturbs all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spectral_engine.data.split import Split
from spectral_engine.measure.rows import feeds_of
from spectral_engine.measure.runtime import PROVIDER, Runner
from spectral_engine.onnx_io.source import Source
from spectral_engine.records.report import Interval, Latency, Speed, Speedup

if TYPE_CHECKING:
    import onnxruntime

WARM_UP_CALLS = 5
MOST_SAMPLES = 200
SAMPLE_SECONDS = 1e-3  # a sample repeats the call until it takes about this long
FINE_SECONDS = 1e-5  # of a clock: what is fine enough for such samples
SAME_WITHIN = 0.02
CONFIDENCE = 0.95


@dataclass(frozen=True)
class _Timed:
    session: onnxruntime.InferenceSession
    feeds: dict[str, NDArray[Any]]
    repeats: int
    clock: Callable[[], float]

    def sample(self) -> float:
        """Return milliseconds per call."""
        begun = self.clock()
        for _ in range(self.repeats):
            self.session.run(None, self.feeds)
        return (self.clock() - begun) / self.repeats * 1e3


@cache
def _clock(threads: int) -> Callable[[], float]:
    """Return the processor time of this thread where it does all the work, so that what else runs does not count."""
    fine = time.get_clock_info("thread_time").resolution <= FINE_SECONDS
    return time.thread_time if threads == 1 and fine else time.perf_counter


def measure_latency(
    models: Mapping[str, Source],
    rows: Split,
    *,
    batch_sizes: Sequence[int] = (1, 64),
    threads: int = 1,
    seconds: float = 4.0,
) -> dict[str, list[Latency]]:
    """Return each model's latency at each batch size; samples of all models are taken in turns.

    `rows` are those to run on, repeated where they are fewer than a batch. Where files take one number of rows only,
    that is the one batch size.
    """
    runners = {name: Runner(model, threads) for name, model in models.items()}
    sessions = {name: runner.session for name, runner in runners.items()}
    axes = next(iter(runners.values())).row_axes(rows)
    latencies: dict[str, list[Latency]] = {name: [] for name in models}
    for batch in [axes.at_once] if axes.at_once else batch_sizes:
        feeds = feeds_of(_repeated(rows, batch), axes)
        samples = _interleave(sessions, feeds, seconds / len(batch_sizes), _clock(threads))
        for name, values in samples.items():
            latencies[name].append(
                Latency(
                    batch_size=batch,
                    median_ms=float(np.median(values)),
                    samples_ms=values,
                    threads=threads,
                    provider=PROVIDER,
                )
            )
    return latencies


def speedup(baseline: Latency, candidate: Latency, seed: int = 0) -> Speedup:
    """Return baseline's median over the candidate's, with a bootstrap interval over paired samples."""
    before, after = np.array(baseline.samples_ms), np.array(candidate.samples_ms)
    count = min(len(before), len(after))
    rows = np.random.default_rng(seed).integers(0, count, size=(2000, count))
    ratios = np.median(before[rows], axis=1) / np.median(after[rows], axis=1)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Speedup(
        batch_size=baseline.batch_size,
        ratio=baseline.median_ms / candidate.median_ms,
        interval=Interval(low=float(low), high=float(high), confidence=CONFIDENCE),
        verdict=_verdict(float(low), float(high)),
    )


def _verdict(low: float, high: float) -> Speed:
    if low > 1 + SAME_WITHIN:
        return "faster"
    return "slower" if high < 1 - SAME_WITHIN else "same"


def _interleave(
    sessions: Mapping[str, onnxruntime.InferenceSession],
    feeds: dict[str, NDArray[Any]],
    seconds: float,
    clock: Callable[[], float],
) -> dict[str, list[float]]:
    timed = {name: _prepare(session, feeds, clock) for name, session in sessions.items()}
    samples: dict[str, list[float]] = {name: [] for name in sessions}
    order, names = np.random.default_rng(0), list(sessions)
    ends = time.monotonic() + seconds
    while len(samples[names[0]]) < MOST_SAMPLES:
        for model in order.permutation(len(names)):
            samples[names[model]].append(timed[names[model]].sample())
        if time.monotonic() > ends:
            break
    return samples


def _prepare(
    session: onnxruntime.InferenceSession,
    feeds: dict[str, NDArray[Any]],
    clock: Callable[[], float],
) -> _Timed:
    once = _Timed(session, feeds, 1, clock)
    calls = [once.sample() for _ in range(WARM_UP_CALLS)]
    repeats = max(1, round(SAMPLE_SECONDS * 1e3 / max(min(calls), 1e-6)))
    return _Timed(session, feeds, repeats, clock)


def _repeated(rows: Split, batch: int) -> dict[str, NDArray[Any]]:
    return {name: np.resize(one, (batch, *one.shape[1:])) for name, one in rows.arrays.items()}

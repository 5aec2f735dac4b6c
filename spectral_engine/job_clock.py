"""Progress of a whole job: it never falls, and knows how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from spectral_engine.records.progress import OnProgress, Progress, Stage


class JobClock:
    """Tells progress: never falls, and knows how long the rest will take."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.on_progress, self.begun, self.reached = on_progress, time.monotonic(), 0.0
        self.first: tuple[float, float] | None = None
        self.stage: Stage = "importing"
        self.raised: Exception | None = None

    def __call__(self, stage: Stage, fraction: float) -> None:
        """Tell that a stage of the job begins."""
        self.send(Progress(stage, fraction, step=0, total_steps=0))

    def within(self, low: float, high: float) -> Callable[[Progress], None]:
        """Return a callback whose own 0 to 1 lies between `low` and `high` of the whole."""

        def scaled(progress: Progress) -> None:
            self.send(replace(progress, fraction=low + (high - low) * progress.fraction))

        return scaled

    def send(self, progress: Progress) -> None:
        """Pass on what is told, with how far the whole job is by now."""
        self.reached = max(self.reached, min(1.0, progress.fraction))
        now = time.monotonic()
        if self.first is None and progress.stage == "training":
            self.first = (now, self.reached)
        eta = None
        if self.first is not None and self.reached > self.first[1]:
            pace = (now - self.first[0]) / (self.reached - self.first[1])
            eta = pace * (1 - self.reached)
        self.stage = progress.stage
        try:
            self.on_progress(replace(progress, fraction=self.reached, eta_seconds=eta))
        except Exception as error:
            self.raised = error
            raise

    def is_callers(self, error: Exception) -> bool:
        """Say whether an error came out of the callback."""
        return error is self.raised

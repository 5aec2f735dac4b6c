"""A cut of the model that trains, with what the removed nodes told taken over by those that stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spectral_engine.compensation import fold_means, solve_readers
from spectral_engine.compensation.least_squares import ROWS
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.records.compensate import Compensation
from spectral_engine.spectral.model import SpectralModel
from spectral_engine.training.checkpoint import load_checkpoint, save_checkpoint
from spectral_engine.training.feed import Batch
from spectral_engine.training.trainer import Trainer


class CompensatedCut:
    """Cuts nodes out of a trainer's model.

    By least squares, targets are the answers of a wide model's layers: of the one before this cut where it trains on
    afterwards, and where it `rests` between cuts of the one before the first. That one waits in memory, and in the work
    folder for a run that is resumed.
    """

    def __init__(
        self,
        plan: RunPlan,
        how: Compensation,
        start_trainer: Callable[[], Trainer],
        *,
        rests: bool,
    ) -> None:
        self.plan, self.how, self.rests = plan, how, rests
        self.start_trainer = start_trainer
        self._wide: Trainer | None = None

    def cut(
        self,
        trainer: Trainer,
        gone: NDArray[np.bool_],
        going: NDArray[np.bool_],
        for_means: Iterable[Batch],
    ) -> None:
        """Cut what is `going` [count] out of what is left; what is `gone` went before."""
        wide = self._wide_model(trainer, first=not gone.any()) if self._solves else None
        if self.how != "none":
            fold_means(trainer.model, going, for_means)
        trainer.narrow(going)
        if wide is not None:
            solve_readers(trainer.model, wide, lambda: self.plan.feed.in_order(ROWS))

    def let_go(self) -> None:
        """Let go of the wide model: there are no more cuts."""
        self._wide = None

    @property
    def changes(self) -> frozenset[str]:
        """The initializers that a cut may change, besides those that follow the training."""
        if not self._solves:
            return frozenset()
        return frozenset(transfer.weight for transfer in self.plan.coupling.transfers)

    @property
    def _solves(self) -> bool:
        return self.how == "least_squares"

    def _wide_model(self, trainer: Trainer, *, first: bool) -> SpectralModel:
        if not self.rests:
            return _at_rest(trainer).model
        if self._wide is None:
            self._wide = self._first(trainer) if first else self._stored()
        return self._wide.model

    def _first(self, trainer: Trainer) -> Trainer:
        if self.plan.resumable:
            save_checkpoint(self._path, trainer.tensors(), {})
        return _at_rest(trainer)

    def _stored(self) -> Trainer:
        stored = load_checkpoint(self._path)
        if stored is None:
            raise OSError(f"{self._path} is not whole")
        trainer = self.start_trainer().restore(stored[0], 0)
        trainer.stop()
        return trainer

    @property
    def _path(self) -> Path:
        return self.plan.work_dir / "wide.safetensors"


def _at_rest(trainer: Trainer) -> Trainer:
    """Return a copy that takes no steps."""
    twin = trainer.fork()
    twin.stop()
    return twin

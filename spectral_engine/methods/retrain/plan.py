"""`retrain`: train the model in spectral space and remove nothing; the path has one candidate, at its end.

What trains is the recipe's `spectral.train`: eigenvalues alone, with the singular values or the triangular factor of
the eigenvectors, or all (Giambagli et al. 2021; Chicchi et al. 2021).
"""

from __future__ import annotations

from spectral_engine.methods.schedule import COOLING_SHARE, Event, Schedule
from spectral_engine.records.recipe import Training


def plan_retraining(training: Training, steps_per_epoch: int) -> Schedule:
    """Lay out one training at a steady rate, and its cooling."""
    total = training.epochs * steps_per_epoch
    cooling = max(1, round(total * COOLING_SHARE))
    trunk = max(1, total - cooling)
    return Schedule(
        trunk_steps=trunk,
        cooling_steps=cooling,
        candidates=1,
        events=(Event(step=trunk, fraction=0.0, level=0),),
    )

"""Scores without a gradient: what removing nodes does to the answers, by what it saves of the budget."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spectral_engine.compensation import Probe
from spectral_engine.cost.budget import cost_of
from spectral_engine.graph.coupling import Mark
from spectral_engine.graph.surgery import copy_model
from spectral_engine.methods.run_plan import RunPlan
from spectral_engine.spectral.relevance import UnheldModel
from spectral_engine.training.trainer import Trainer

ROWS = 512  # of the training rows, that each cut answers


def measured_scores(trainer: Trainer, plan: RunPlan) -> NDArray[np.float64]:
    """Return every group's score [count], of the model as the trainer holds it; no label is read."""
    twin = trainer.fork()
    twin.stop()
    twin.model.write_back()
    spectral = twin.model
    module = spectral.module.over(copy_model(spectral.module.model)).to(trainer.device)
    model = UnheldModel(module, spectral.coupling, spectral.options)
    resource = _tightest(plan)
    whole = cost_of(plan.coupling, np.zeros(plan.coupling.count, dtype=bool)).get(resource)

    def saved(removed: Mark) -> float:
        return whole - cost_of(plan.coupling, removed).get(resource)

    answers = trainer.objective.watch
    return Probe(model, answers, lambda: plan.feed.in_order(ROWS)).scores(saved)


def _tightest(plan: RunPlan) -> str:
    """Return the resource of which the path leaves the smallest share."""
    return min(
        plan.end.limits,
        key=lambda name: plan.end.limits[name] / max(1.0, plan.start.get(name)),
    )

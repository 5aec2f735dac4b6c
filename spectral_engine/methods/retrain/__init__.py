"""`retrain`: train in spectral space and remove nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectral_engine.records.method import METHODS, Method, refuse, refuse_no_training

if TYPE_CHECKING:
    from spectral_engine.methods.retrain.policy import Retraining
    from spectral_engine.records.recipe import Recipe


def _load() -> type[Retraining]:
    from spectral_engine.methods.retrain.policy import Retraining

    return Retraining


def _check(recipe: Recipe) -> Recipe:
    refuse_no_training(recipe)
    refuse(recipe, recipe.target.narrowing, "retrain removes nothing; use prune")
    refuse(recipe, ["density"], "retrain keeps all links; use sparse")
    return recipe


METHODS.register("retrain", Method(_load, check=_check, removes_nodes=False))

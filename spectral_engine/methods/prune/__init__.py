"""`prune`: remove nodes until a target is met; several ways to lay out one training and its candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectral_engine.methods.prune.options import Prune
from spectral_engine.records.method import METHODS, Method, refuse

if TYPE_CHECKING:
    from spectral_engine.methods.prune.policy import Pruning
    from spectral_engine.records.recipe import Recipe


def _load() -> type[Pruning]:
    from spectral_engine.methods.prune.policy import Pruning

    return Pruning


def _check(recipe: Recipe) -> Recipe:
    refuse(recipe, ["density"], "prune keeps all links; use sparse")
    if recipe.spectral.train in {"svd", "qr"}:
        raise ValueError(f"spectral.train: {recipe.spectral.train!r} goes with retrain alone")
    if recipe.prune.when == "pre" and recipe.spectral.train != "both":
        raise ValueError("spectral.train: 'pre' trains the eigenvalues first and then both")
    return recipe


METHODS.register("prune", Method(_load, Prune, _check, ranks_nodes=True))

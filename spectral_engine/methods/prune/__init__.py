"""`prune`: remove nodes until a target is met; several ways to lay out one training and its candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spectral_engine.methods.prune.options import Prune
from spectral_engine.records.method import METHODS, Method, refuse
from spectral_engine.records.plan import Ranked

if TYPE_CHECKING:
    from spectral_engine.methods.prune.policy import Pruning
    from spectral_engine.records.recipe import Recipe


def _load() -> type[Pruning]:
    from spectral_engine.methods.prune.policy import Pruning

    return Pruning


def _ranked_by(recipe: Mapping[str, Any]) -> Ranked | None:
    prune, training = (recipe.get(name) for name in ("prune", "training"))
    if not isinstance(prune, dict) or prune.get("score") is None:
        return None
    untrained = isinstance(training, dict) and training.get("epochs") == 0
    if untrained and prune["score"] == Prune().score:
        return Ranked("the damage of removing them", "answers")
    return Ranked(prune["score"], "run")


def _check(recipe: Recipe) -> Recipe:
    refuse(recipe, ["density"], "prune keeps all links; use sparse")
    if recipe.spectral.train in {"svd", "qr"}:
        raise ValueError(f"spectral.train: {recipe.spectral.train!r} goes with retrain alone")
    if recipe.prune.when == "pre" and recipe.spectral.train != "both":
        raise ValueError("spectral.train: 'pre' trains the eigenvalues first and then both")
    return _at_once(recipe) if recipe.training.epochs == 0 else recipe


def _at_once(recipe: Recipe) -> Recipe:
    """Without an epoch everything goes at once, since nothing trains in between."""
    prune = recipe.prune
    if "when" in prune.model_fields_set and prune.when != "post":
        raise ValueError(
            f"training.epochs: 0 trains nothing, and prune.when: {prune.when!r} cuts while the model trains; leave "
            "prune.when out, or say 'post'"
        )
    return recipe.model_copy(update={"prune": prune.model_copy(update={"when": "post"})})


METHODS.register("prune", Method(_load, Prune, _check, ranked_by=_ranked_by))

"""`sparse`: which links a model keeps: how many in each transfer, in which places, and how they move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spectral_engine.methods.sparse.options import Sparse
from spectral_engine.records.method import METHODS, Method, refuse, refuse_no_training

if TYPE_CHECKING:
    from spectral_engine.methods.sparse.policy import SparseTraining
    from spectral_engine.records.recipe import Recipe

DEFAULT_DENSITY = 0.1


def _load() -> type[SparseTraining]:
    from spectral_engine.methods.sparse.policy import SparseTraining

    return SparseTraining


def _check(recipe: Recipe) -> Recipe:
    refuse_no_training(recipe)
    recipe = _filled(recipe)
    refuse(recipe, recipe.target.narrowing, "sparse keeps to target.density; use prune")
    if recipe.spectral.train != "both":
        raise ValueError("spectral.train: sparse trains eigenvalues and eigenvectors, both")
    share, pattern = recipe.sparse.links.share, recipe.sparse.pattern
    if share is None:
        return recipe
    density = recipe.target.density
    if density is not None and abs(density - share) > 1e-9:
        raise ValueError(
            f"target.density: {pattern!r} keeps {share:g} of the links, not {density:g}"
        )
    if recipe.sparse.distribution == "erk":
        raise ValueError(f"sparse.distribution: {pattern!r} is the same in every transfer")
    return recipe


def _filled(recipe: Recipe) -> Recipe:
    """Say what a pattern leaves no choice in."""
    share, sparse, target = recipe.sparse.links.share, recipe.sparse, recipe.target
    if target.density is None:
        target = target.model_copy(update={"density": share or DEFAULT_DENSITY})
    if share is not None and "distribution" not in sparse.model_fields_set:
        sparse = sparse.model_copy(update={"distribution": "uniform"})
    return recipe.model_copy(update={"target": target, "sparse": sparse})


METHODS.register("sparse", Method(_load, Sparse, _check))

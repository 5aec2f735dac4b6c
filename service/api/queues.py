"""Which workers may take what is asked for."""

from __future__ import annotations

from spectral_engine.records.recipe import Recipe


def queue_of(recipe: Recipe) -> str:
    """Return the queue of jobs of this recipe."""
    return "gpu" if recipe.training.device.startswith("cuda") else "cpu"

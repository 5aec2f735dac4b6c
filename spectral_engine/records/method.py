"""What a method is to the recipe: its name, its options, and which recipes make no sense for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spectral_engine.records.part import Part
from spectral_engine.records.plan import Ranked
from spectral_engine.records.registry import Registry

if TYPE_CHECKING:
    from spectral_engine.records.recipe import Recipe


def _takes_all(recipe: Recipe) -> Recipe:
    return recipe


def _by_nothing(_: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True)
class Method:
    """One thing that can be asked for.

    `options` is the recipe's section of the method's name. `check` returns the recipe with what it leaves open filled
    in, or raises ValueError by field. `load` imports what trains, and returns a subclass of `methods.policy.Policy`.
    `ranked_by` tells from a recipe as executed what ranked the nodes until a target was met; None where nothing did.
    """

    load: Callable[[], Any]
    options: type[Part] | None = None
    check: Callable[[Recipe], Recipe] = _takes_all
    removes_nodes: bool = True
    ranked_by: Callable[[Mapping[str, Any]], Ranked | None] = _by_nothing


METHODS: Registry[Method] = Registry("spectral_engine.methods", "method")


def refuse(recipe: Recipe, fields: Iterable[str], why: str) -> None:
    """Raise ValueError where one of these fields of the target is asked for."""
    for field in fields:
        if getattr(recipe.target, field) is not None:
            raise ValueError(f"target.{field}: {why}")


def refuse_no_training(recipe: Recipe) -> None:
    """Raise ValueError where nothing is to train, and training is all that the method does."""
    if recipe.training.epochs == 0:
        raise ValueError(
            f"training.epochs: {recipe.method} does nothing without training; write 1 or more, or use prune"
        )

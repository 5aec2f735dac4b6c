"""What a method is to the recipe: its name, its options, and which recipes make no sense for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spectral_engine.records.part import Part
from spectral_engine.records.registry import Registry

if TYPE_CHECKING:
    from spectral_engine.records.recipe import Recipe


def _takes_all(recipe: Recipe) -> Recipe:
    return recipe


@dataclass(frozen=True)
class Method:
    """One thing that can be asked for.

    `options` is the recipe's section of the method's name. `check` returns the recipe with what it leaves open filled
    in, or raises ValueError by field. `load` imports what trains, and returns a subclass of `methods.policy.Policy`.
    """

    load: Callable[[], Any]
    options: type[Part] | None = None
    check: Callable[[Recipe], Recipe] = _takes_all
    removes_nodes: bool = True
    ranks_nodes: bool = False  # by `prune.score`, until a target is met


METHODS: Registry[Method] = Registry("spectral_engine.methods", "method")


def refuse(recipe: Recipe, fields: Iterable[str], why: str) -> None:
    """Raise ValueError where one of these fields of the target is asked for."""
    for field in fields:
        if getattr(recipe.target, field) is not None:
            raise ValueError(f"target.{field}: {why}")

"""What is said of the rows: which parts the original was trained on."""

from __future__ import annotations

from spectral_engine.data.split import Splits
from spectral_engine.records.recipe import Recipe

NAMES = ("train", "val", "test")


def seen_parts(recipe: Recipe, splits: Splits) -> tuple[str, ...] | None:
    """Return which of the parts as used (train, val, test) are said to be seen, None where nothing is said.

    A part that the file does not hold was cut from its training rows, and is seen where those are.
    """
    said = recipe.seen_by_original
    if said is None or isinstance(said, bool):
        return None if said is None else NAMES if said else ()
    origin = {name: name if name in splits.given else "train" for name in NAMES}
    return tuple(name for name in NAMES if origin[name] in said)

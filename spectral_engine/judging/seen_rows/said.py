"""What is said of the rows: which parts the original was trained on."""

from __future__ import annotations

from spectral_engine.data.split import Splits
from spectral_engine.errors import InvalidRequest
from spectral_engine.records.recipe import Recipe

NAMES = ("train", "val", "test")


def seen_parts(recipe: Recipe, splits: Splits) -> tuple[str, ...] | None:
    """Return which of the parts as used (train, val, test) are said to be seen, None where nothing is said.

    A part that the file does not hold was cut from its training rows, and is seen where those are. Raises
    InvalidRequest for splits that the file does not hold.
    """
    said = recipe.seen_by_original
    if said is None or isinstance(said, bool):
        return None if said is None else NAMES if said else ()
    unknown = [name for name in said if name not in splits.given]
    if unknown:
        held = ", ".join(splits.given) or "none"
        raise InvalidRequest(
            f"seen_by_original names {', '.join(unknown)}; the splits that the file holds are: {held}. Where it holds "
            "none, say true or false",
            pointer="#/recipe/seen_by_original",
        )
    origin = {name: name if name in splits.given else "train" for name in NAMES}
    return tuple(name for name in NAMES if origin[name] in said)


def held_out_seen(recipe: Recipe, splits: Splits) -> bool | None:
    """Return whether the held-out rows are said to be seen; None where nothing is said."""
    parts = seen_parts(recipe, splits)
    return None if parts is None else "test" in parts

"""What is said beside a data set, joined with what the recipe says: the recipe wins."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from spectral_engine.errors import InvalidRequest
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.rows import RowsAxis, SeenByOriginal

FIELD = "seen_by_original"
SEEN: TypeAdapter[SeenByOriginal | None] = TypeAdapter(SeenByOriginal | None)
ROWS: TypeAdapter[RowsAxis | None] = TypeAdapter(RowsAxis | None)


def with_seen_rows(
    recipe: Recipe, beside_data: SeenByOriginal | None, given: Sequence[str]
) -> Recipe:
    """Return the recipe with what is said of the rows beside the data, where it says nothing itself.

    `given` are the splits that the file holds as such. Raises InvalidRequest, at the field that says it, for splits
    that the file does not hold.
    """
    if recipe.seen_by_original is not None:
        refuse_unknown_splits(recipe.seen_by_original, given, f"#/recipe/{FIELD}")
        return recipe
    said = _read(beside_data)
    refuse_unknown_splits(said, given, f"#/{FIELD}")
    return recipe.model_copy(update={FIELD: said})


def rows_axis_said(recipe: Recipe, beside_data: RowsAxis | None) -> RowsAxis | None:
    """Return where rows are said to lie. Raises InvalidRequest for what is no axis."""
    if recipe.rows_axis is not None:
        return recipe.rows_axis
    try:
        return ROWS.validate_python(beside_data)
    except ValidationError as error:
        raise InvalidRequest(
            "rows_axis is an axis, or an axis by input, null for an input that has none",
            pointer="#/rows_axis",
        ) from error


def refuse_unknown_splits(said: SeenByOriginal | None, given: Sequence[str], pointer: str) -> None:
    """Raise InvalidRequest where a split is named that the file does not hold."""
    named: Sequence[str] = said if isinstance(said, list) else ()
    unknown = [name for name in named if name not in given]
    if unknown:
        known = ", ".join(given) or "none"
        raise InvalidRequest(
            f"{FIELD} names {', '.join(unknown)}; the splits that the file holds are: {known}. Where it holds none, "
            "say true or false",
            pointer=pointer,
        )


def _read(beside_data: SeenByOriginal | None) -> SeenByOriginal | None:
    try:
        return SEEN.validate_python(beside_data)
    except ValidationError as error:
        raise InvalidRequest(
            f"{FIELD} is true, false, or a list of splits: train, val, test", pointer=f"#/{FIELD}"
        ) from error

"""What a user may say of the rows, in the recipe, beside a data set, or on the command line.

Imports no numpy, so that the API can validate it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

SplitName = Literal["train", "val", "test"]
SeenByOriginal = bool | list[SplitName]
# Of all inputs, or by input; None says that an input has no axis of rows: each row is a whole one.
Axis = Annotated[int, Field(strict=True)]
RowsAxis = Axis | dict[str, Axis | None]


def lengths_of(name: str) -> str:
    """Return the name of the array that says how long each row of an input is."""
    return f"length of {name}"

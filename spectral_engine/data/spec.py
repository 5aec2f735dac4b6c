"""What a model takes: the name, type and shape of each input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class InputSpec:
    """One input; None stands for a size that is free.

    Rows lie on `rows_axis`; where that is None, the input has no such axis: one value serves all rows, or each row is
    a whole one. `fills_in` says that the model itself puts something in the place of NaN.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    rows_axis: int | None = 0
    fills_in: bool = False
    said: bool = False  # whether the request says where its rows lie

    @property
    def row_shape(self) -> tuple[int | None, ...]:
        """The shape of one row."""
        if self.rows_axis is None:
            return self.shape
        return (*self.shape[: self.rows_axis], *self.shape[self.rows_axis + 1 :])

    @property
    def row_elements(self) -> int | None:
        """How many numbers one row has, or None where a size is free."""
        count = 1
        for size in self.row_shape:
            if size is None:
                return None
            count *= size
        return count

    def describe(self) -> str:
        """Return the shape as a person would write it."""
        sizes = ", ".join("N" if size is None else str(size) for size in self.shape)
        return f"{self.dtype.name}[{sizes}]"

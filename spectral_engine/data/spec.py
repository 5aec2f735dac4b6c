"""What a model takes: the name, type and shape of each input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class InputSpec:
    """One input; axis 0 is the batch, and None stands for a size that is free."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]

    @property
    def row_shape(self) -> tuple[int | None, ...]:
        """The shape of one row."""
        return self.shape[1:]

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

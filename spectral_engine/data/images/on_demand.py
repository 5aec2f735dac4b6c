"""Images that are decoded when their rows are read: where all of them, decoded, would not go on the disk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Decode = Callable[[int], Array]


@dataclass(frozen=True, eq=False)
class DecodedOnDemand:
    """Rows [n, …] of a part of the images; `numbers` says which, and `decode` gives the row of one."""

    numbers: NDArray[np.int64]
    decode: Decode
    row_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    threads: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and the shape of one."""
        return (len(self.numbers), *self.row_shape)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> Array:
        """Decode these rows; raises DatasetMismatch for an image that was changed since it was looked at."""
        chosen = self.numbers[rows]
        out = np.empty((len(chosen), *self.row_shape), self.dtype)

        def one(row: int) -> None:
            out[row] = self.decode(int(chosen[row]))

        with ThreadPoolExecutor(self.threads) as pool:
            for _ in pool.map(one, range(len(chosen))):
                pass
        return out

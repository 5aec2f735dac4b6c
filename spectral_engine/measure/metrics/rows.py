"""What a metric keeps of every row: enough to compute it for any subset or resample, without the answers themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]
Floats = NDArray[np.float64]
Scalar = TypeVar("Scalar", bound=np.generic)
csr: Any = sparse.csr_array  # stubs have dozens of overloads, and none for what is Any
stacked: Any = sparse.vstack


@dataclass(frozen=True)
class Rows:
    """Statistics by name, each [rows, …], dense or sparse; `shared` says what holds for all of them.

    `dropped` rows had no place that counts. `one_answer` tells that a row is right or wrong, rather than right by a
    share: by the shape of the answers, not by what they hold.
    """

    values: Mapping[str, Any]
    dropped: int = 0
    one_answer: bool = False
    shared: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return int(next(iter(self.values.values())).shape[0])

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def take(self, indices: Array | slice) -> Rows:
        """Return these rows; one that is named twice is there twice."""
        return replace(self, values={name: value[indices] for name, value in self.values.items()})

    def with_row(self, row: Rows) -> Rows:
        """Return all rows and then those of `row`."""
        joined = {name: _stack(value, row[name]) for name, value in self.values.items()}
        return replace(self, values=joined)


def flat(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return all that a row holds on one axis [rows, entries], also of no rows."""
    return array.reshape(len(array), prod(array.shape[1:]))


def _stack(first: Any, second: Any) -> Any:
    if sparse.issparse(first):
        return csr(stacked([first, second]))
    return np.concatenate([first, second])

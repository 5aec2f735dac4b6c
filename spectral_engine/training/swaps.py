"""Noise on a batch's inputs: some values are those that another row has in the same place.

Values stay real ones of their column or pixel, whatever its scale and distribution is; a small share of them forces
the model not to rest on single inputs. Known from tables as swap noise (Vincent et al., JMLR 11, 2010, corrupt inputs
alike, by zeros).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Inputs = dict[str, NDArray[Any]]


def swap(inputs: Inputs, share: float, random: np.random.Generator) -> Inputs:
    """Return the inputs with `share` of all float values taken from other rows; what is no float stays."""
    return {name: _swapped(array, share, random) for name, array in inputs.items()}


def can_swap(inputs: Inputs) -> bool:
    """Say whether there are floats in more than one row."""
    return any(_is_float(array) and len(array) > 1 for array in inputs.values())


def _is_float(array: NDArray[Any]) -> bool:
    return bool(np.issubdtype(array.dtype, np.floating))


def _swapped(array: NDArray[Any], share: float, random: np.random.Generator) -> NDArray[Any]:
    if not _is_float(array):
        return array
    flat = array.reshape(len(array), -1)  # [rows, values]
    values, width = flat.ravel(), flat.shape[1]
    count = round(share * flat.size)
    places = random.integers(flat.size, size=count)
    others = random.integers(len(flat), size=count) * width + places % width
    noisy = values.copy()
    noisy[places] = values[others]
    return noisy.reshape(array.shape)

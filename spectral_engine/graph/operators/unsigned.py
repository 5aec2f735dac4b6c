"""Unsigned integers of 16 bits and more: torch has few kernels for them, numpy has all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDE = frozenset({torch.uint16, torch.uint32, torch.uint64})


def with_numpy(in_torch: Callable[..., Any], in_numpy: Callable[..., Any]) -> Callable[..., Any]:
    """Return the torch function, which hands wide unsigned integers to the one of numpy."""

    def function(*values: Tensor) -> Any:
        if values[-1].dtype in WIDE or values[0].dtype in WIDE:
            return from_numpy(in_numpy, *values)
        return in_torch(*values)

    return function


def from_numpy(in_numpy: Callable[..., Any], *values: Tensor) -> Tensor:
    """Compute on the CPU, in numpy's arithmetic, and come back."""
    with np.errstate(all="ignore"):
        computed = in_numpy(*[value.detach().cpu().numpy() for value in values])
    return torch.from_numpy(np.array(computed)).to(values[0].device)

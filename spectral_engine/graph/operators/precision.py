"""Operators that torch computes in single precision alone, or with all their inputs in one precision.

A training that computes in bfloat16 hands them values in half precision, and weights in single.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spectral_engine.graph.step import Function

HALF = {torch.bfloat16, torch.float16}


def in_single(function: Function) -> Function:
    """Return the function, which is given its inputs of half precision in single."""

    def widened(*values: Any) -> Any:
        return function(*[_widened(value) for value in values])

    return widened


def _widened(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALF else value

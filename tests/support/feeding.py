"""Batches from tensors at hand."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from spectral_engine.data import Split
from spectral_engine.training.feed import Feed


def feed_of(inputs: Mapping[str, Tensor], batch_size: int = 32) -> Feed:
    """Return a feed over unlabelled rows."""
    split = Split({name: value.numpy() for name, value in inputs.items()}, None)
    return Feed(split, batch_size, torch.device("cpu"))

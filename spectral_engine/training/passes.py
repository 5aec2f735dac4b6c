"""One step's way through a model and back, on one device or on several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from spectral_engine.spectral.model import SpectralModel

Tensors = dict[str, Tensor]


class Passes(Protocol):
    """Computes the values that a loss is made of, and the gradients of what trains."""

    def forward(
        self, model: SpectralModel, inputs: Mapping[str, Tensor], watch: tuple[str, ...]
    ) -> Tensors:
        """Return the watched values of all rows of a batch [n, …]."""

    def backward(self, loss: Tensor) -> None:
        """Leave the gradients of a loss of these values with the model's tensors."""

    def here(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return those rows of which the memory of this device holds what a step keeps."""


class OneDevice:
    """All rows in this process."""

    def forward(
        self, model: SpectralModel, inputs: Mapping[str, Tensor], watch: tuple[str, ...]
    ) -> Tensors:
        """Return the watched values of all rows."""
        values: Tensors = model(inputs, watch)
        return values

    def backward(self, loss: Tensor) -> None:
        """Go back through the whole model."""
        if loss.requires_grad:  # not where an operator without a gradient stands before all outputs
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def here(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return all rows."""
        return inputs


ONE_DEVICE = OneDevice()

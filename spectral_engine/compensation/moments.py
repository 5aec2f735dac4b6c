"""Second moments of a linear map's inputs and targets, summed up batch by batch: all that least squares reads.

They take inputs² + inputs · outputs numbers, however many rows there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Moments:
    """Sums over samples, in float64: of x xᵀ [in, in], x yᵀ [in, out], y² [out], x [in] and y [out]."""

    inputs: Tensor
    products: Tensor
    squares: Tensor
    sum_inputs: Tensor
    sum_targets: Tensor
    samples: int = 0

    @classmethod
    def empty(cls, inputs: int, outputs: int, device: torch.device) -> Moments:
        """Return the moments of no samples."""

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        return cls(
            zeros(inputs, inputs),
            zeros(inputs, outputs),
            zeros(outputs),
            zeros(inputs),
            zeros(outputs),
        )

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in samples: x [n, in], y [n, out]."""
        x, y = x.double(), y.double()
        self.inputs.addmm_(x.T, x)
        self.products.addmm_(x.T, y)
        self.squares += (y * y).sum(dim=0)
        self.sum_inputs += x.sum(dim=0)
        self.sum_targets += y.sum(dim=0)
        self.samples += len(x)

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of samples."""
        return Moments(
            self.inputs + other.inputs,
            self.products + other.products,
            self.squares + other.squares,
            self.sum_inputs + other.sum_inputs,
            self.sum_targets + other.sum_targets,
            self.samples + other.samples,
        )

    @property
    def mean_inputs(self) -> Tensor:
        """The mean of x [in]."""
        return self.sum_inputs / max(1, self.samples)

    @property
    def mean_targets(self) -> Tensor:
        """The mean of y [out]."""
        return self.sum_targets / max(1, self.samples)

    def centred(self) -> tuple[Tensor, Tensor]:
        """Return Σ (x − x̄)(x − x̄)ᵀ [in, in] and Σ (x − x̄)(y − ȳ)ᵀ [in, out]."""
        about = self.inputs - torch.outer(self.mean_inputs, self.sum_inputs)
        return about, self.products - torch.outer(self.mean_inputs, self.sum_targets)

    def error(self, weight: Tensor, offset: Tensor) -> float:
        """Return the mean of ‖Wᵀx + b − y‖² over the samples, for W [in, out] and b [out]."""
        # ‖Wᵀx + b − y‖² written out: every term is one of the sums.
        explained = (weight * (self.inputs @ weight)).sum() - 2 * (weight * self.products).sum()
        shift = 2 * offset @ (weight.T @ self.sum_inputs - self.sum_targets)
        total = explained + self.squares.sum() + shift + self.samples * (offset @ offset)
        return float(total) / max(1, self.samples)

    def outputs(self, weight: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of Wᵀx + b [out], for W [in, out] and b [out]."""
        about, _ = self.centred()
        variance = (weight * (about @ weight)).sum(dim=0) / max(1, self.samples)
        return weight.T @ self.mean_inputs + offset, variance.clamp_min(0.0)

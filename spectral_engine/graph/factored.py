"""A dense weight that is given as two factors, so that the product need not be formed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Factored:
    """W = diag(scale) φ, one factor for each output node; `turned` where φ is [out, in], else [in, out].

    With few rows it is cheaper to scale what φ gives (rows × out numbers) than φ itself (in × out numbers), above all
    on the way back, where the factor's gradient is a sum over as many.
    """

    matrix: Tensor  # φ
    scale: Tensor  # [out]
    turned: bool

    def linear(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return x Wᵀ + b."""
        rows = self.matrix if self.turned else self.matrix.t()  # [out, in]
        if x.numel() // x.shape[-1] >= rows.shape[1]:
            weight = self.scale[:, None] * rows
            if bias is None or bias.shape == rows.shape[:1]:
                return F.linear(x, weight, bias)
            return F.linear(x, weight) + bias  # one of more axes, as [1, 1, out], is broadcast
        y = F.linear(x, rows)  # [..., out]
        return y * self.scale if bias is None else torch.addcmul(bias, y, self.scale)

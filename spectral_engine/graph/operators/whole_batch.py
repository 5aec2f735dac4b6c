"""Batch normalisation by the statistics of a batch that lies on several devices.

Each device holds some rows. What the statistics and their derivatives need of the others is added up over all (as in
Peng et al., MegDet, CVPR 2018, sec. 3.2), so that a step is the one that a single device would take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

AddUp = Callable[[Tensor], None]  # puts the sum over all devices in the place of a tensor


def normalize_whole_batch(
    x: Tensor,
    running: tuple[Tensor, Tensor],
    scale: Tensor,
    bias: Tensor,
    share: float,
    epsilon: float,
    add_up: AddUp,
) -> Tensor:
    """Normalise x [n, channels, …] by mean and variance over all devices' rows; `running` ones take `share` of them."""
    y: Tensor
    y, mean, variance, count = _WholeBatchNorm.apply(x, scale, bias, epsilon, add_up)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if share:
        unbiased = variance * (count / (count - 1))  # as torch keeps it
        for statistic, value in zip(running, (mean, unbiased), strict=True):
            statistic.lerp_(value.to(statistic.dtype), share)
    return y


class _WholeBatchNorm(torch.autograd.Function):
    """y = γ (x − μ) / √(σ² + ε) + β with μ and σ² over all devices, and their derivatives."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor, bias: Tensor, epsilon: float, add_up: AddUp
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return y, and mean, variance [channels] and count of the whole batch."""
        own_variance, own_mean = torch.var_mean(_wide(x), dim=_over(x), correction=0)
        own_count = x.numel() // x.shape[1]
        own_mean, own_variance = own_mean.double(), own_variance.double()
        totals = torch.stack([own_mean, own_variance + own_mean.square()]) * own_count
        totals = torch.cat([totals.reshape(-1), totals.new_full((1,), own_count)])
        add_up(totals)
        count = totals[-1]
        mean, squares = (totals[:-1] / count).view(2, -1)
        variance = (squares - mean.square()).clamp_min(0.0)
        kind = scale.dtype
        y = F.batch_norm(x, mean.to(kind), variance.to(kind), scale, bias, False, 0.0, epsilon)
        inverse = (variance + epsilon).rsqrt()
        ctx.save_for_backward(x, scale, mean.to(kind), inverse.to(kind), count)
        ctx.add_up = add_up
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, γ and β; the latter two of this device's rows alone."""
        x, scale, mean, inverse, count = ctx.saved_tensors
        shape = [1, -1] + [1] * (x.dim() - 2)
        gradient = _wide(gradients[0])
        normed = (_wide(x) - mean.view(shape)) * inverse.view(shape)
        of_bias = gradient.sum(dim=_over(x))
        of_scale = (gradient * normed).sum(dim=_over(x))
        whole = torch.stack([of_bias, of_scale]).double()  # [2, channels]
        ctx.add_up(whole)
        through_mean, through_variance = (whole / count).to(gradient.dtype)
        inner = gradient - through_mean.view(shape) - normed * through_variance.view(shape)
        of_x = inner * (scale * inverse).view(shape)
        return of_x.to(x.dtype), of_scale, of_bias, None, None


def _over(x: Tensor) -> list[int]:
    """Return all axes but that of the channels."""
    return [axis for axis in range(x.dim()) if axis != 1]


def _wide(x: Tensor) -> Tensor:
    return x.float() if x.dtype in {torch.float16, torch.bfloat16} else x

"""Least squares with a ridge towards the weights that were there, its strength found on samples held back.

W = W₀ + (X'X + αI)⁻¹ X'(Y − X W₀), with X and Y about their means where there is an offset, which bears no ridge
(Hoerl and Kennard, Technometrics 12, 1970; towards W₀ as in He, Zhang and Sun, arXiv:1707.06168, and OSSCAR,
arXiv:2403.12983, which solve the same problem per layer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spectral_engine.compensation.moments import Moments

# α by the mean square of an input. At infinity the weights stay as they are, and the offset alone is solved: the mean
# that what went leaves behind. As one of the choices it makes the others no worse than that on the samples held back.
STRENGTHS = (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
NOTHING_TO_GAIN = 1e-10  # of the targets' mean square: float32 rounds as much


@dataclass(frozen=True)
class Solution:
    """W [in, out] and b [out]; `strength` is infinite where the weights stayed as they were."""

    weight: Tensor
    offset: Tensor
    strength: float


def solve(
    fitted: Moments,
    held_back: Moments,
    old: Tensor,
    *,
    has_offset: bool,
    strengths: Sequence[float] = STRENGTHS,
) -> Solution:
    """Find α by the error on `held_back` of what `fitted` gives, and solve with it on both; `old` is W₀ [in, out]."""
    kept = _keeping(fitted, old, has_offset=has_offset)
    best, strength = held_back.error(kept.weight, kept.offset), float("inf")
    if best > NOTHING_TO_GAIN * float(held_back.squares.sum()) / max(1, held_back.samples):
        system = _System(fitted, old, has_offset=has_offset)
        for candidate in strengths:
            solved = system.solve(candidate)
            error = held_back.error(solved.weight, solved.offset)
            if error < best:
                best, strength = error, candidate
    both = fitted + held_back
    if strength == float("inf"):
        return _keeping(both, old, has_offset=has_offset)
    return _System(both, old, has_offset=has_offset).solve(strength)


def _keeping(moments: Moments, old: Tensor, *, has_offset: bool) -> Solution:
    return Solution(old, _offset(moments, old, has_offset=has_offset), float("inf"))


def _offset(moments: Moments, weight: Tensor, *, has_offset: bool) -> Tensor:
    """Return ȳ − Wᵀx̄ [out], which is the best for these weights."""
    if not has_offset:
        return torch.zeros_like(moments.mean_targets)
    return moments.mean_targets - weight.T @ moments.mean_inputs


class _System:
    """The normal equations in the eigenvectors of X'X: each further strength costs one product."""

    def __init__(self, moments: Moments, old: Tensor, *, has_offset: bool) -> None:
        self.moments, self.old, self.has_offset = moments, old, has_offset
        square, product = moments.centred() if has_offset else (moments.inputs, moments.products)
        self.values, self.vectors = torch.linalg.eigh(square)  # [in], [in, in]
        self.scale = float(square.diagonal().mean())
        self.turned = self.vectors.T @ (product - square @ old)  # [in, out]

    def solve(self, strength: float) -> Solution:
        """Return the solution with α = strength · mean square of an input."""
        ridge = max(strength * self.scale, torch.finfo(torch.float64).tiny)
        change = self.vectors @ (self.turned / (self.values.clamp_min(0.0) + ridge)[:, None])
        weight = self.old + change
        offset = _offset(self.moments, weight, has_offset=self.has_offset)
        return Solution(weight, offset, strength)

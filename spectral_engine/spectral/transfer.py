"""The spectral form of one transfer: w_ij = (λ_in_j − λ_out_i) φ_ij.

Source: Giambagli et al., "Machine learning in spectral domain", Nat. Commun. 12, 1330 (2021), eq. 3, and
Chicchi et al., Phys. Rev. E 104, 054312 (2021) for two sets of eigenvalues.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spectral_engine.graph.factored import Factored

SMALLEST_NORM = 1e-8


def along(vector: Tensor, axis: int, dims: int) -> Tensor:
    """View a vector so that it broadcasts along one axis of a tensor with `dims` axes."""
    shape = [1] * dims
    shape[axis] = -1
    return vector.view(shape)


def node_norms(weight: Tensor, axis: int) -> Tensor:
    """Return ‖w_i‖₂ of every slice along `axis`, one entry per node."""
    norms: Tensor = torch.linalg.vector_norm(weight.transpose(0, axis).flatten(1), dim=1)  # [nodes]
    return norms


class SpectralTransfer(nn.Module):
    """One weight, held as eigenvalues and eigenvector entries.

    Dense weights fix λ and φ only up to a scale per node: (cλ, φ/c) is the same transfer. The gauge here is
    balanced, |λ_out_i| = ‖φ_i‖ = √‖w_i‖, so that |λ_out_i|² is the node's norm and neither factor starves the other
    of gradient. λ_out is negative: with λ_in = 0 the weights are |λ_out_i| φ_ij, exact at the start.
    """

    def __init__(
        self, weight: Tensor, out_axis: int, in_axis: int | None, *, two_sided: bool = False
    ) -> None:
        super().__init__()
        self.out_axis, self.in_axis = out_axis, in_axis
        magnitude = node_norms(weight, out_axis).clamp_min(SMALLEST_NORM).sqrt()  # [out]
        self.eigenvalues_out = nn.Parameter(-magnitude)
        self.eigenvectors = nn.Parameter(weight / along(magnitude, out_axis, weight.dim()))
        self.eigenvalues_in: nn.Parameter | None = None
        if two_sided and in_axis is not None:
            self.eigenvalues_in = nn.Parameter(weight.new_zeros(weight.shape[in_axis]))

    def weight(self) -> Tensor:
        """Fold back: W = φ diag(λ_in) − diag(λ_out) φ, in the shape of the weight."""
        dims = self.eigenvectors.dim()
        scale = -along(self.eigenvalues_out, self.out_axis, dims)
        if self.eigenvalues_in is not None and self.in_axis is not None:
            scale = scale + along(self.eigenvalues_in, self.in_axis, dims)
        return scale * self.eigenvectors

    def is_scaled_rows(self, turned: bool) -> bool:
        """Say whether the weight, read as [out, in] or not, is one factor for each output node times φ."""
        matrix = self.eigenvectors.dim() == 2
        return matrix and self.eigenvalues_in is None and self.out_axis == (0 if turned else 1)

    def factors(self, turned: bool) -> Factored:
        """Return the weight as −λ_out and φ, for a layer that can take both."""
        return Factored(self.eigenvectors, -self.eigenvalues_out, turned)

    @torch.no_grad()
    def magnitudes(self) -> Tensor:
        """Return |λ_out_i|, one entry per output node."""
        return self.eigenvalues_out.detach().abs()

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return ‖w_i‖ of every output node; |λ_out_i|·‖φ_i‖ when λ_in = 0."""
        return node_norms(self.weight(), self.out_axis)

"""The spectral form of one transfer: w_ij = (λ_in_j − λ_out_i) φ_ij.

Source: Giambagli et al., "Machine learning in spectral domain", Nat. Commun. 12, 1330 (2021), eq. 3, and
Chicchi et al., Phys. Rev. E 104, 054312 (2021) for two sets of eigenvalues.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from spectral_engine.graph.factored import Factored
from spectral_engine.graph.ids import GroupAxes
from spectral_engine.spectral.factorization import SingularValues, TriangularFactor

SMALLEST_NORM = 1e-8
SMALLEST_SCALE = 1e-3  # of λ_in − λ_out, by which another weight is divided
Form = Literal["free", "svd", "qr"]


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
    φ is held as it is, or as a product of which a part is frozen.
    """

    def __init__(
        self,
        weight: Tensor,
        out_axis: int,
        in_axis: int | None,
        *,
        two_sided: bool = False,
        form: Form = "free",
    ) -> None:
        super().__init__()
        self.out_axis, self.in_axis, self.form = out_axis, in_axis, form
        self.dims = weight.dim()
        magnitude = node_norms(weight, out_axis).clamp_min(SMALLEST_NORM).sqrt()  # [out]
        self.eigenvalues_out = nn.Parameter(-magnitude)
        self.eigenvalues_in: nn.Parameter | None = None
        if two_sided and in_axis is not None:
            self.eigenvalues_in = nn.Parameter(weight.new_zeros(weight.shape[in_axis]))
        eigenvectors = weight / along(magnitude, out_axis, weight.dim())
        if form == "free":
            self.eigenvectors = nn.Parameter(eigenvectors)
            return
        turned = eigenvectors.movedim(out_axis, 0)  # [out, in, …]
        self.turned_shape = tuple(turned.shape)
        matrix = turned.flatten(1)
        self.product = SingularValues(matrix) if form == "svd" else TriangularFactor(matrix)

    def phi(self) -> Tensor:
        """Return the eigenvector entries, in the shape of the weight."""
        if self.form == "free":
            return self.eigenvectors
        return self.product.matrix().view(self.turned_shape).movedim(0, self.out_axis)

    def weight(self) -> Tensor:
        """Fold back: W = φ diag(λ_in) − diag(λ_out) φ, in the shape of the weight."""
        return self.scale() * self.phi()

    @torch.no_grad()
    def round_trip(self, weight: Tensor) -> Tensor:
        """Return what a weight of any widths folds back to where it is held in this form, and not trained."""
        first = type(self)(
            weight,
            self.out_axis,
            self.in_axis,
            two_sided=self.eigenvalues_in is not None,
            form=self.form,
        )
        return first.weight()

    @torch.no_grad()
    def refit(self, weight: Tensor) -> None:
        """Hold another weight of the same widths: eigenvalues keep what they are, and eigenvectors take up the change.

        Where an eigenvalue is next to nothing, or eigenvectors are a product, all is laid out anew.
        """
        scale = self.scale()
        if self.form == "free" and bool((scale.abs() > SMALLEST_SCALE).all()):
            self.eigenvectors.copy_(weight / scale)
            return
        two_sided = self.eigenvalues_in is not None
        first = type(self)(weight, self.out_axis, self.in_axis, two_sided=two_sided, form=self.form)
        for tensor, value in zip(self.parameters(), first.parameters(), strict=True):
            tensor.copy_(value)

    def scale(self) -> Tensor:
        """Return λ_in_j − λ_out_i, to broadcast over the weight."""
        scale = -along(self.eigenvalues_out, self.out_axis, self.dims)
        if self.eigenvalues_in is not None and self.in_axis is not None:
            scale = scale + along(self.eigenvalues_in, self.in_axis, self.dims)
        return scale

    def tensors(self, ids: GroupAxes) -> Iterator[tuple[str, nn.Parameter, GroupAxes]]:
        """Yield kind, tensor and node ids of every tensor; `ids` are those along the weight's axes."""
        if self.form == "free":
            yield "eigenvectors", self.eigenvectors, ids
        else:
            for kind, tensor in self.product.tensors():
                yield kind, tensor, (None,) * tensor.dim()
        yield "eigenvalues_out", self.eigenvalues_out, (ids[self.out_axis],)
        if self.eigenvalues_in is not None and self.in_axis is not None:
            yield "eigenvalues_in", self.eigenvalues_in, (ids[self.in_axis],)

    def is_scaled_rows(self, turned: bool) -> bool:
        """Say whether the weight, read as [out, in] or not, is one factor for each output node times φ."""
        if self.form != "free" or self.eigenvectors.dim() != 2 or self.eigenvalues_in is not None:
            return False
        return self.out_axis == (0 if turned else 1)

    def factors(self, turned: bool) -> Factored:
        """Return the weight as −λ_out and φ, for a layer that can take both."""
        return Factored(self.phi(), -self.eigenvalues_out, turned)

    @torch.no_grad()
    def magnitudes(self) -> Tensor:
        """Return |λ_out_i|, one entry per output node."""
        return self.eigenvalues_out.detach().abs()

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return ‖w_i‖ of every output node; |λ_out_i|·‖φ_i‖ when λ_in = 0."""
        return node_norms(self.weight(), self.out_axis)

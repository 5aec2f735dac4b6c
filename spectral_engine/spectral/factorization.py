"""Eigenvectors held as a product of which a part is frozen: S-SVD and QR, Chicchi et al., PRE 104, 054312 (2021).

Both are exact at the start. φ is read as a matrix [out, in · kernel].
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

KindedTensor = tuple[str, nn.Parameter]  # what a checkpoint calls it, and the tensor


class SingularValues(nn.Module):
    """φ = U diag(s) Vᵀ; U and V stay as they are, s trains: min(out, in) numbers."""

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        left, values, right = _factors(matrix)
        self.left, self.right = nn.Parameter(left), nn.Parameter(right)  # [out, k], [k, in]
        self.singular_values = nn.Parameter(values)  # [k]

    def matrix(self) -> Tensor:
        """Return φ [out, in]."""
        return (self.left * self.singular_values) @ self.right

    def tensors(self) -> Iterator[KindedTensor]:
        """Yield every tensor; what trains is told by its name."""
        yield "left", self.left
        yield "right", self.right
        yield "singular_values", self.singular_values


def _factors(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return U, s and Vᵀ; where all is NaN, and values are taken over later, parts as large as theirs."""
    if matrix.isnan().all():
        count = min(matrix.shape)
        return matrix[:, :count].clone(), matrix.new_empty(count), matrix[:count].clone()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return left, values, right


class TriangularFactor(nn.Module):
    """φᵀ = Q R; Q stays as it is, R trains: the entries on and above its diagonal and no others.

    R [k, out] with k = min(in, out) is held as the vector of these entries, so that what is counted is what trains.
    """

    places: Tensor  # [2, entries]: row and column of each entry

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        orthogonal, triangular = torch.linalg.qr(matrix.T)  # [in, k], [k, out]
        self.shape = tuple(triangular.shape)
        self.register_buffer("places", torch.triu_indices(*self.shape, device=matrix.device))
        self.orthogonal = nn.Parameter(orthogonal.contiguous())
        self.triangular = nn.Parameter(triangular[self.places[0], self.places[1]])

    def matrix(self) -> Tensor:
        """Return φ [out, in]."""
        empty = self.triangular.new_zeros(self.shape)
        triangular = empty.index_put((self.places[0], self.places[1]), self.triangular)
        return triangular.T @ self.orthogonal.T

    def tensors(self) -> Iterator[KindedTensor]:
        """Yield every tensor; what trains is told by its name."""
        yield "orthogonal", self.orthogonal
        yield "triangular", self.triangular

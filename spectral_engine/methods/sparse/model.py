"""A model in spectral form whose links can be masked; what is masked is still held, and still moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from spectral_engine.graph.coupling import Coupling
from spectral_engine.graph.module import OnnxModule
from spectral_engine.records.training import Spectral
from spectral_engine.spectral.model import SpectralModel, Tracked
from spectral_engine.spectral.transfer import SpectralTransfer

MASK = "mask:"
SMALLEST_SCALE = 1e-6


def masked(values: Tensor, mask: Tensor, *, dense_gradient: bool) -> Tensor:
    """Return values under a mask; with a dense gradient what is masked learns as if it were there.

    Source of the latter, the straight-through estimator: Bengio et al., arXiv:1308.3432.
    """
    kept = values * mask
    return values + (kept - values).detach() if dense_gradient else kept


class MaskedTransfer(SpectralTransfer):
    """A spectral transfer of which some links are not there: w_ij = m_ij (λ_in_j − λ_out_i) φ_ij.

    A masked link has no gradient of its own, but (λ_in_j − λ_out_i) φ_ij moves with its nodes' eigenvalues, and what
    moves can be heavy enough to come back (Chicchi et al., Phys. Rev. E 104, 054312 (2021)).
    """

    def __init__(self, weight: Tensor, out_axis: int, in_axis: int | None, **options: Any) -> None:
        super().__init__(weight, out_axis, in_axis, **options)
        self.mask = nn.Parameter(torch.ones_like(weight), requires_grad=False)
        self.dense_gradient = False

    def phi(self) -> Tensor:
        """Return the eigenvector entries of the links that are there, 0 elsewhere."""
        return masked(super().phi(), self.mask, dense_gradient=self.dense_gradient)

    @torch.no_grad()
    def unmasked(self) -> Tensor:
        """Return the weights of all links, there or not."""
        return self.scale() * super().phi()


class SparseModel(SpectralModel):
    """A SpectralModel with a mask over every transfer's links, also of those that a normalisation keeps dense."""

    holds = MaskedTransfer

    def __init__(self, module: OnnxModule, coupling: Coupling, options: Spectral) -> None:
        super().__init__(module, coupling, options)
        self.left_plain = {
            transfer.weight: nn.Parameter(
                torch.ones_like(module.initializer(transfer.weight)), requires_grad=False
            )
            for transfer in coupling.transfers
            if transfer.weight in module.trainable
            and transfer.weight not in self.spectral
            and transfer.kind != "lookup"
        }
        self._plain_list = nn.ParameterList(self.left_plain.values())
        self.dense_gradient = False

    def given(self) -> dict[str, Any]:
        """Return what stands in for initializers, every weight under its mask."""
        return {**super().given(), **self._plain_weights()}

    @torch.no_grad()
    def weight(self, name: str) -> Tensor:
        """Return one weight, folded where it is in spectral form, 0 where it is masked."""
        weight, mask = super().weight(name), self.left_plain.get(name)
        return weight if mask is None else weight * mask

    def write_back(self) -> None:
        """Write every parameter into the graph's initializers, with zeros for what is masked."""
        super().write_back()
        for name in self.left_plain:
            self.module.write(name, self.weight(name))

    def may_change(self) -> set[str]:
        """Return the initializers that a training or a mask may change."""
        return super().may_change() | set(self.masks)

    def _plain_weights(self) -> dict[str, Tensor]:
        return {
            name: masked(self.module.initializer(name), mask, dense_gradient=self.dense_gradient)
            for name, mask in self.left_plain.items()
        }

    @property
    def masks(self) -> dict[str, nn.Parameter]:
        """The mask of every transfer's weight, by its name and in its shape: 1 where the link is there."""
        return {**{name: transfer.mask for name, transfer in self._masked()}, **self.left_plain}

    def _masked(self) -> Iterator[tuple[str, MaskedTransfer]]:
        for name, transfer in self.spectral.items():
            assert isinstance(transfer, MaskedTransfer)
            yield name, transfer

    @torch.no_grad()
    def unmasked(self, name: str) -> Tensor:
        """Return a weight with all its links, there or not."""
        transfer = self.spectral.get(name)
        if isinstance(transfer, MaskedTransfer):
            return transfer.unmasked()
        return self.module.initializer(name).detach()

    def links_of(self, name: str) -> nn.Parameter:
        """Return the tensor that holds a weight's links one by one: φ, or the weight itself where it is held plain."""
        transfer = self.spectral.get(name)
        return self.module.initializer(name) if transfer is None else transfer.eigenvectors

    @torch.no_grad()
    def take_gradients(self) -> dict[str, Tensor]:
        """Return ∂L/∂w of all links, there or not, and leave the optimiser those of the links that are there.

        It is read off ∂L/∂φ_ij = (λ_in_j − λ_out_i) ∂L/∂w_ij, after a step that let gradients through.
        """
        gradients = {}
        for name, mask in self.masks.items():
            gradient = self.links_of(name).grad
            assert gradient is not None
            transfer = self.spectral.get(name)
            gradients[name] = (
                gradient.clone() if transfer is None else gradient / _away_from_0(transfer.scale())
            )
            gradient.mul_(mask)
        return gradients

    def let_gradients_through(self, dense: bool) -> None:
        """Say whether links that are masked get the gradient that they would have if they were there."""
        self.dense_gradient = dense
        for _, transfer in self._masked():
            transfer.dense_gradient = dense

    def tracked(self) -> Iterator[Tracked]:
        """Yield every trained tensor, and the masks, which narrow and are stored alike."""
        yield from super().tracked()
        for name, mask in self.masks.items():
            yield Tracked(f"{MASK}{name}", mask, self.coupling.axes[name])

    def trained(self) -> dict[str, Tracked]:
        """Return what the recipe trains: no mask."""
        return {k: item for k, item in super().trained().items() if not k.startswith(MASK)}


def _away_from_0(scale: Tensor) -> Tensor:
    """Return |scale|, large enough to divide by: where it is 0, so is what it divides."""
    return scale.abs().clamp_min(SMALLEST_SCALE)

"""Eigenvectors as products: exact at the start, and what is frozen stays frozen."""

import numpy as np
import pytest
import torch

from spectral_engine.spectral.transfer import SpectralTransfer

SHAPES = [
    ((5, 3), 0, 1),
    ((3, 5), 0, 1),
    ((3, 5), 1, 0),
    ((4, 3, 3, 3), 0, 1),
    ((6, 1, 5), 0, None),
]


def weight_of(shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("form", ["svd", "qr"])
@pytest.mark.parametrize(("shape", "out_axis", "in_axis"), SHAPES)
def test_a_dense_weight_is_held_exactly(form, shape, out_axis, in_axis):
    weight = weight_of(shape)
    transfer = SpectralTransfer(weight, out_axis, in_axis, two_sided=True, form=form)
    torch.testing.assert_close(transfer.weight(), weight)


def test_singular_values_are_those_of_the_eigenvectors():
    transfer = SpectralTransfer(weight_of((5, 3)), 0, 1, form="svd")
    expected = np.linalg.svd(transfer.phi().detach().numpy(), compute_uv=False)
    np.testing.assert_allclose(transfer.product.singular_values.detach().numpy(), expected)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_the_factor_stays_triangular_however_it_trains(shape):
    transfer = SpectralTransfer(weight_of(shape), 0, 1, form="qr")
    with torch.no_grad():
        transfer.product.triangular.normal_(generator=torch.Generator().manual_seed(1))
    factor = transfer.product.orthogonal.detach().numpy().T @ transfer.phi().detach().numpy().T
    np.testing.assert_allclose(factor, np.triu(factor), atol=1e-12)
    least = min(shape)
    entries = least * (least + 1) // 2 + least * (shape[0] - least)
    assert transfer.product.triangular.numel() == entries


@pytest.mark.parametrize("form", ["svd", "qr"])
def test_gradients_agree_with_finite_differences(form):
    transfer = SpectralTransfer(weight_of((4, 3)), 0, 1, two_sided=True, form=form)
    kind = "singular_values" if form == "svd" else "triangular"
    trained = getattr(transfer.product, kind)
    target = weight_of((4, 3)) + 1

    def loss(values):
        swapped = torch.func.functional_call(
            _Fold(transfer), {f"transfer.product.{kind}": values}, ()
        )
        return (swapped - target).square().sum()

    assert torch.autograd.gradcheck(loss, (trained.detach().clone().requires_grad_(),))


class _Fold(torch.nn.Module):
    def __init__(self, transfer):
        super().__init__()
        self.transfer = transfer

    def forward(self):
        return self.transfer.weight()

"""The spectral form of one transfer, against the definition Φ Λ Φ⁻¹ and against the weights that it holds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spectral_engine.spectral.transfer import SpectralTransfer, node_norms


def operator_block(phi, lambda_in, lambda_out):
    """Lower-left block of A = Φ Λ Φ⁻¹, by matrices and an inverse that nobody simplified."""
    outputs, inputs = phi.shape
    basis = np.block([[np.eye(inputs), np.zeros((inputs, outputs))], [phi, np.eye(outputs)]])
    operator = basis @ np.diag(np.concatenate([lambda_in, lambda_out])) @ np.linalg.inv(basis)
    return operator[inputs:, :inputs]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**16))
def test_folded_weights_are_the_block_of_the_transfer_operator(inputs, outputs, seed):
    rng = np.random.default_rng(seed)
    transfer = SpectralTransfer(
        torch.tensor(rng.normal(size=(outputs, inputs))), 0, 1, two_sided=True
    )
    with torch.no_grad():
        transfer.eigenvalues_in.copy_(torch.tensor(rng.normal(size=inputs)))
        transfer.eigenvalues_out.copy_(torch.tensor(rng.normal(size=outputs)))
    block = operator_block(
        transfer.eigenvectors.detach().numpy(),
        transfer.eigenvalues_in.detach().numpy(),
        transfer.eigenvalues_out.detach().numpy(),
    )
    np.testing.assert_allclose(transfer.weight().detach().numpy(), block, atol=1e-9)


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize(
    ("shape", "out_axis", "in_axis"),
    [((5, 3), 0, 1), ((3, 5), 1, 0), ((4, 3, 3, 3), 0, 1), ((6, 1, 5), 0, None)],
)
def test_a_dense_weight_is_held_exactly(shape, out_axis, in_axis, two_sided):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    transfer = SpectralTransfer(weight, out_axis, in_axis, two_sided=two_sided)
    torch.testing.assert_close(transfer.weight(), weight, rtol=1e-6, atol=1e-7)


def test_the_gauge_is_balanced_and_lambda_times_phi_is_the_norm():
    weight = torch.randn(7, 11, generator=torch.Generator().manual_seed(1))
    transfer = SpectralTransfer(weight, 0, 1)
    phi_norms = node_norms(transfer.eigenvectors.detach(), 0)
    torch.testing.assert_close(transfer.magnitudes(), phi_norms)
    torch.testing.assert_close(transfer.magnitudes() * phi_norms, weight.norm(dim=1))
    torch.testing.assert_close(transfer.norms(), weight.norm(dim=1))


def test_a_node_without_weights_is_held_without_a_division_by_zero():
    transfer = SpectralTransfer(torch.zeros(2, 3), 0, 1)
    assert torch.equal(transfer.weight(), torch.zeros(2, 3))


def test_gradients_of_eigenvalues_agree_with_finite_differences():
    weight = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    transfer = SpectralTransfer(weight, 0, 1, two_sided=True)
    parameters = tuple(transfer.parameters())

    def fold(*values):
        return torch.func.functional_call(
            _Fold(transfer), dict(zip(_names(transfer), values, strict=True)), ()
        )

    assert torch.autograd.gradcheck(fold, parameters)


class _Fold(torch.nn.Module):
    def __init__(self, transfer):
        super().__init__()
        self.transfer = transfer

    def forward(self):
        return self.transfer.weight()


def _names(transfer):
    return [f"transfer.{name}" for name, _ in transfer.named_parameters()]

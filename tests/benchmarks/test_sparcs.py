"""SPARCS against the matrix Φ Λ Φ⁻¹ itself, and what its trimming does to the function."""

from itertools import pairwise

import pytest
import torch

from benchmarks.sparcs.net import SpectralNet, fold
from benchmarks.sparcs.skips import SkipNet, macs_of, params_of, trim
from benchmarks.sparcs.training import above, norm, within

CHAINS = [(5, 7, 3), (5, 7, 6, 3), (4, 6, 5, 7, 3)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def trained(widths, activation=torch.relu) -> SpectralNet:
    """A net whose every parameter is away from its start; the input's eigenvalues stay 0."""
    net = SpectralNet(widths, activation).double()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter)
    return net


def doubled(net: SpectralNet) -> SkipNet:
    torch.set_default_dtype(torch.float64)
    try:
        return fold(net)
    finally:
        torch.set_default_dtype(torch.float32)


def operator(net: SpectralNet) -> torch.Tensor:
    """Φ Λ Φ⁻¹ with a numerical inverse."""
    starts = torch.tensor([0, *net.widths]).cumsum(0).tolist()
    phi = torch.eye(starts[-1], dtype=torch.float64)
    for k, vectors in enumerate(net.vectors):
        phi[starts[k + 1] : starts[k + 2], starts[k] : starts[k + 1]] = vectors.detach()
    spectrum = torch.cat([net.of_inputs, *(part.detach() for part in net.spectra)])
    return phi @ torch.diag(spectrum) @ torch.linalg.inv(phi)


@pytest.mark.parametrize("widths", CHAINS)
def test_every_block_below_the_diagonal_is_that_of_the_matrix(widths):
    net = trained(widths)
    whole, starts = operator(net), torch.tensor([0, *widths]).cumsum(0).tolist()
    for k, layer in enumerate(doubled(net).layers, start=1):
        torch.testing.assert_close(
            layer.weight.detach(), whole[starts[k] : starts[k + 1], : starts[k]]
        )


def test_four_layers_have_the_six_blocks_of_the_paper():
    net = trained((4, 6, 5, 3))
    p1, p2, p3 = (vectors.detach() for vectors in net.vectors)
    d2, d3, d4 = (torch.diag(spectrum.detach()) for spectrum in net.spectra)
    w21, w32, w43 = -d2 @ p1, p2 @ d2 - d3 @ p2, p3 @ d3 - d4 @ p3
    expected = [w21, [-w32 @ p1, w32], [w43 @ p2 @ p1, -w43 @ p2, w43]]
    for layer, blocks in zip(doubled(net).layers, expected, strict=True):
        row = torch.cat(blocks, dim=1) if isinstance(blocks, list) else blocks
        torch.testing.assert_close(layer.weight.detach(), row)


@pytest.mark.parametrize("widths", CHAINS)
def test_a_fresh_net_is_linear_and_its_map_is_the_product_of_all_vectors(widths):
    net, x = SpectralNet(widths), torch.randn(9, widths[0])
    product = torch.eye(widths[0])
    for vectors in net.vectors:
        product = -vectors @ product
    torch.testing.assert_close(net(x), x @ product.T)


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh])
@pytest.mark.parametrize("widths", CHAINS)
def test_folding_leaves_the_function_as_it_is(widths, activation):
    net, x = trained(widths, activation), torch.randn(20, widths[0], dtype=torch.float64)
    torch.testing.assert_close(doubled(net)(x), net(x))


def without(net: SpectralNet, layer: int, node: int, x: torch.Tensor) -> SkipNet:
    kept = [torch.ones(width, dtype=torch.bool) for width in net.widths[1:-1]]
    kept[layer][node] = False
    torch.set_default_dtype(torch.float64)
    try:
        return trim(fold(net), kept, x)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_node_without_eigenvalue_can_go_where_the_layer_before_has_none_either(layer):
    net, x = trained((5, 7, 6, 3)), torch.randn(20, 5, dtype=torch.float64)
    net.spectra[layer].data[2] = 0
    if layer:
        net.spectra[layer - 1].data.zero_()
    torch.testing.assert_close(without(net, layer, 2, x)(x), net(x))


def test_a_node_without_eigenvalue_still_counts_behind_a_layer_that_has_some():
    net, x = trained((5, 7, 6, 3)), torch.randn(20, 5, dtype=torch.float64)
    net.spectra[1].data[2] = 0
    assert (without(net, 1, 2, x)(x) - net(x)).abs().max() > 0.01


def test_a_layer_without_spectrum_goes_whole_and_a_net_without_any_is_one_linear_layer():
    net, x = SpectralNet((5, 7, 6, 3)), torch.randn(20, 5)
    small = trim(fold(net), above(net), x)
    assert small.widths == (5, 3)
    assert len(small.layers) == 1
    torch.testing.assert_close(small(x), net(x))
    net.spectra[1].data.fill_(0.5)
    assert trim(fold(net), above(net), x).widths == (5, 6, 3)


@pytest.mark.parametrize("widths", CHAINS)
def test_parameters_and_multiply_adds_count_every_skip(widths):
    net = SkipNet(widths, torch.relu)
    assert params_of(widths) == sum(parameter.numel() for parameter in net.parameters())
    pairs = [(a, b) for k, b in enumerate(widths) for a in widths[:k]]
    assert macs_of(widths) == sum(a * b for a, b in pairs)
    assert macs_of(widths) > sum(a * b for a, b in pairwise(widths))


def test_what_fits_into_a_budget_are_the_largest_eigenvalues_and_one_more_would_not_fit():
    net = trained((5, 7, 6, 3))
    kept = within(net, params=80)
    widths = (5, *(int(mask.sum()) for mask in kept), 3)
    assert params_of(widths) <= 80
    sizes, mask = torch.cat(net.hidden).detach().abs(), torch.cat(kept)
    assert sizes[mask].min() >= sizes[~mask].max()
    assert params_of((5, widths[1] + 1, widths[2], 3)) > 80
    assert params_of((5, widths[1], widths[2] + 1, 3)) > 80


def test_the_regulariser_is_the_norm_itself_and_has_a_slope_where_the_spectrum_is_not_zero():
    net = SpectralNet((5, 2, 2, 3))
    net.spectra[0].data[:] = torch.tensor([3.0, 4.0])
    net.spectra[1].data[:] = torch.tensor([0.0, 12.0])
    assert norm(net, "layer").item() == pytest.approx(17)
    assert norm(net, "all").item() == pytest.approx(13)
    fresh = SpectralNet((5, 2, 2, 3))
    norm(fresh, "layer").backward()
    assert not fresh.spectra[0].grad.any()

"""The peers for links do what their papers say."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmarks.quality.links import (
    DROPPED,
    UPDATE_EVERY,
    Links,
    Topology,
    density_of,
    drop_and_grow,
    erk_densities,
    gradual_density,
    keep_heaviest,
    masked_copy,
    masked_layers,
    rigl_fraction,
)

pytest.importorskip("torch_pruning")
SHAPES = [(784, 500), (500, 500), (500, 500), (500, 10)]


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 60), nn.ReLU(), nn.Linear(60, 5)
    )


@pytest.mark.parametrize("density", [0.1, 0.05, 0.02, 0.01, 0.005])
def test_erk_keeps_the_density_over_all_and_caps_layers_at_dense(density):
    shares = erk_densities(SHAPES, density)
    sizes = [a * b for a, b in SHAPES]
    assert sum(s * n for s, n in zip(shares, sizes, strict=True)) == pytest.approx(
        density * sum(sizes)
    )
    assert all(0 < share <= 1 for share in shares)


def test_erk_is_proportional_to_the_sum_over_the_product_of_a_layers_widths():
    shares = erk_densities(SHAPES, 0.01)
    expected = [(a + b) / (a * b) for a, b in SHAPES]
    free = [(s, e) for s, e in zip(shares, expected, strict=True) if s < 1]
    assert len(free) >= 3
    assert len({round(share / e, 9) for share, e in free}) == 1


def test_erk_at_density_one_is_dense():
    assert erk_densities(SHAPES, 1.0) == pytest.approx([1.0] * 4)


def test_the_gradual_schedule_is_cubic_from_all_links_to_the_final_density():
    assert gradual_density(0.1, 0) == pytest.approx(1)
    assert gradual_density(0.1, 0.5) == pytest.approx(0.1 + 0.9 / 8)
    assert gradual_density(0.1, 1) == gradual_density(0.1, 2) == pytest.approx(0.1)
    drops = [gradual_density(0.1, t / 10) for t in range(11)]
    assert all(a > b for a, b in pairwise(drops))


def test_rigl_moves_fewer_links_by_half_a_cosine_and_none_at_the_end():
    assert rigl_fraction(0) == pytest.approx(DROPPED)
    assert rigl_fraction(0.5) == pytest.approx(DROPPED / 2)
    assert rigl_fraction(1) == 0


def test_dropped_are_the_lightest_grown_are_the_steepest_and_their_numbers_match():
    layer = Links(nn.Linear(40, 60))
    keep_heaviest(layer, 0.2)
    before, weight = layer.mask.clone(), layer.weight.detach().abs()
    gradient = torch.rand(layer.mask.shape)
    drop_and_grow(layer, 0.25, gradient)
    dropped, grown = (before > layer.mask), (layer.mask > before)
    assert int(dropped.sum()) == int(grown.sum()) == int(0.25 * before.sum())
    assert weight[dropped].max() <= weight[(before * layer.mask) > 0].min()
    assert gradient[grown].min() >= gradient[(before + layer.mask) == 0].max()
    assert not layer.weight[grown].any()


@pytest.mark.parametrize("rule", ["set", "rigl", "static"])
def test_sparse_to_sparse_rules_keep_the_density_from_first_to_last_step(rule):
    masked = masked_copy(net())
    topology = Topology(masked, rule, 0.1, steps=400, seed=0)
    first = [layer.mask.clone() for layer in masked_layers(masked)]
    assert density_of(masked) == pytest.approx(0.1, rel=0.02)
    for _ in range(400):
        masked(torch.randn(8, 40)).square().sum().backward()
        topology.after_backward(masked)
        assert density_of(masked) == pytest.approx(0.1, rel=0.02)
    moved = any(
        bool((a != b.mask).any()) for a, b in zip(first, masked_layers(masked), strict=True)
    )
    assert moved == (rule != "static")


def test_gradual_pruning_falls_to_its_density_and_stays():
    masked = masked_copy(net())
    topology = Topology(masked, "gmp", 0.05, steps=800, seed=0)
    seen = []
    for _ in range(800):
        topology.after_backward(masked)
        seen.append(density_of(masked))
    assert seen[0] == 1
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(0.05, rel=0.03)
    assert seen[int(0.75 * 800) + UPDATE_EVERY] == seen[-1]


def test_rigl_sees_the_gradient_of_links_that_are_not_there():
    masked = masked_copy(net())
    layer = next(masked_layers(masked))
    keep_heaviest(layer, 0.1)
    masked(torch.randn(8, 40)).square().sum().backward()
    assert layer.folded.grad[layer.mask == 0].abs().sum() > 0
    assert not layer.weight.grad[layer.mask == 0].any()
    assert math.isfinite(float(layer.folded.grad.sum()))

"""How many links each transfer keeps."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.methods.sparse.densities import erk_shares, link_counts

PERCEPTRON = [(500, 784), (500, 500), (500, 500), (10, 500)]
shapes = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 40))
    | st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.integers(1, 5)),
    min_size=1,
    max_size=6,
)


def test_dense_layers_are_kept_in_proportion_to_in_plus_out_over_in_times_out():
    shares = erk_shares(PERCEPTRON, 0.01)
    formula = [(a + b) / (a * b) for a, b in PERCEPTRON]
    assert [share / shares[0] for share in shares] == pytest.approx(
        [raw / formula[0] for raw in formula]
    )
    kept = sum(share * prod(shape) for share, shape in zip(shares, PERCEPTRON, strict=True))
    assert kept == pytest.approx(0.01 * sum(map(prod, PERCEPTRON)))


def test_kernels_add_their_sides_to_the_formula():
    first, second = erk_shares([(64, 32, 3, 3), (128, 64, 5, 1)], 0.1)
    expected = ((64 + 32 + 3 + 3) / (64 * 32 * 9)) / ((128 + 64 + 5 + 1) / (128 * 64 * 5))
    assert first / second == pytest.approx(expected)


def test_what_would_pass_1_is_dense_and_the_rest_shares_what_is_left():
    shares = erk_shares([(500, 500), (10, 20)], 0.05)
    assert shares[1] == 1.0
    assert shares[0] == pytest.approx((0.05 * 250_200 - 200) / 250_000)


@given(shapes, st.floats(0.001, 1.0), st.sampled_from(["erk", "uniform"]))
def test_the_budget_is_met_to_the_link_and_no_transfer_is_cut_off(
    weight_shapes, density, distribution
):
    counts = link_counts(weight_shapes, density, distribution)
    sizes = [prod(shape) for shape in weight_shapes]
    assert sum(counts) == max(len(weight_shapes), round(density * sum(sizes)))
    assert all(1 <= count <= size for count, size in zip(counts, sizes, strict=True))


def test_uniform_is_the_same_density_everywhere():
    counts = link_counts(PERCEPTRON, 0.02, "uniform")
    assert counts == [round(0.02 * prod(shape)) for shape in PERCEPTRON]

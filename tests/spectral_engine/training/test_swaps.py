"""Swapped inputs: real values of their own place, few, and the same ones whenever a step is taken again."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.data import Split
from spectral_engine.training.feed import Feed
from spectral_engine.training.swaps import can_swap, swap

X = np.random.default_rng(0).normal(size=(64, 2, 5)).astype(np.float32)


@given(st.floats(0.0, 0.9), st.integers(0, 100))
def test_every_value_is_one_that_stands_in_its_place_in_some_row(share, seed):
    noisy = swap({"x": X}, share, np.random.default_rng(seed))["x"]
    assert (noisy.shape, noisy.dtype) == (X.shape, X.dtype)
    for position in np.ndindex(X.shape[1:]):
        column = (slice(None), *position)
        assert np.isin(noisy[column], X[column]).all()
    assert (noisy != X).sum() <= round(share * X.size)


def test_about_the_share_asked_for_is_changed_and_the_data_are_left_alone():
    before = X.copy()
    noisy = swap({"x": X}, 0.1, np.random.default_rng(0))["x"]
    assert 0.07 < (noisy != X).mean() <= 0.1
    assert (before == X).all()


def test_what_is_no_float_is_not_touched():
    words = {"ids": np.arange(20).reshape(5, 4), "mask": np.ones((5, 4), bool)}
    noisy = swap(words, 0.5, np.random.default_rng(0))
    assert all((noisy[name] == array).all() for name, array in words.items())
    assert not can_swap(words)
    assert not can_swap({"x": X[:1]})
    assert can_swap({"x": X, **words})


def feed(swaps):
    return Feed(Split({"x": X}, np.arange(64)), 16, torch.device("cpu"), swaps=swaps)


def test_a_step_taken_again_sees_the_same_batch_and_another_step_another():
    first, again = feed(0.2), feed(0.2)
    for step in (0, 5, 17):
        assert torch.equal(first.at_step(step, 3).inputs["x"], again.at_step(step, 3).inputs["x"])
    assert first.at_step(0, 3).inputs["x"].ne(first.at_step(4, 3).inputs["x"]).any()


def test_rows_fetched_by_number_and_in_order_are_never_swapped():
    noisy = feed(0.5)
    rows = noisy.rows_at(2, 3)
    assert (noisy.batch(rows).inputs["x"].numpy() == X[rows]).all()
    assert (noisy.at_step(2, 3).inputs["x"].numpy() != X[rows]).any()
    assert (noisy.at_step(2, 3).labels.numpy() == rows).all()
    assert (torch.cat([b.inputs["x"] for b in noisy.in_order()]).numpy() == X).all()

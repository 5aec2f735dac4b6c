"""Which candidates are tested, in which order, and what several tests together may claim."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.judging.choice import Option
from spectral_engine.judging.fixed_sequence import (
    fixed_sequence_test,
    narrowest_shown,
    order_of_tests,
)

FREE = Budget({})


def option(size, careful_drop):
    return Option(Cost(size, size, size), careful_drop, careful_drop)


def test_tests_go_from_wide_to_narrow():
    assert order_of_tests([option(30, 0.02), option(100, 0.0), option(60, 0.01)], FREE) == [1, 2, 0]


def test_a_candidate_that_a_narrower_one_beats_on_validation_rows_is_left_out():
    unlucky_first = [option(100, 0.03), option(60, 0.01), option(30, 0.02)]
    assert order_of_tests(unlucky_first, FREE) == [1, 2]


def test_candidates_beyond_the_budget_are_left_out():
    assert order_of_tests([option(100, 0.0), option(60, 0.01)], Budget({"nodes": 70})) == [1]


def test_the_original_needs_no_test():
    original = Option(Cost(200, 200, 200), 0.0, 0.0, unchanged=True)
    assert order_of_tests([option(100, 0.03), original], FREE) == [0]


def test_the_first_failure_ends_the_sequence():
    statuses = fixed_sequence_test([0, 2, 3], [True, True, False, True])
    assert statuses == ["shown", "left_out", "not_shown", "not_reached"]
    assert narrowest_shown([0, 2, 3], statuses) == 0


def test_where_the_first_fails_nothing_is_shown():
    statuses = fixed_sequence_test([1, 2], [True, False, True])
    assert statuses == ["left_out", "not_shown", "not_reached"]
    assert narrowest_shown([1, 2], statuses) is None


@given(
    st.lists(st.tuples(st.integers(1, 99), st.floats(-0.1, 0.5)), min_size=1, max_size=8),
    st.data(),
)
def test_each_tested_candidate_is_narrower_and_less_sure_and_the_surest_comes_first(pairs, data):
    options = [option(size, drop) for size, drop in pairs]
    order = order_of_tests(options, FREE)
    tested = [options[index] for index in order]
    sizes, drops = [o.cost.macs for o in tested], [o.careful_drop for o in tested]
    assert sizes == sorted(sizes, reverse=True)
    assert drops == sorted(set(drops))
    assert drops[0] == min(o.careful_drop for o in options)
    passed = data.draw(st.lists(st.booleans(), min_size=len(options), max_size=len(options)))
    statuses = fixed_sequence_test(order, passed)
    shown = [index for index in order if statuses[index] == "shown"]
    assert shown == order[: len(shown)]
    assert all(passed[index] for index in shown)


def test_of_many_candidates_that_are_all_too_bad_one_is_shown_no_more_often_than_the_level():
    """Independent uniform p-values: the worst case. Testing each alone would show one in a third of the jobs."""
    rng = np.random.default_rng(0)
    p_values = rng.random((5000, 8))
    options = [option(100 - i, 0.01 * i) for i in range(8)]
    order = order_of_tests(options, FREE)
    wrong = sum("shown" in fixed_sequence_test(order, list(row <= 0.05)) for row in p_values)
    assert wrong / 5000 <= 0.06
    assert (p_values <= 0.05).any(axis=1).mean() > 0.3

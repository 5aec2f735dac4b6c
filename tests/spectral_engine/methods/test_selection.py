"""Which candidate is handed back, and what is said of it."""

from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.methods.budget import Budget, Cost
from spectral_engine.methods.selection import Option, choose, judge

FREE = Budget({})


def option(size, drop, error=0.0):
    return Option(Cost(size, size * 10, size * 10), drop, drop + error)


def test_the_narrowest_candidate_that_is_surely_good_enough_is_chosen():
    options = [option(100, 0.0), option(50, 0.005), option(20, 0.03)]
    assert choose(options, FREE, max_drop=0.01) == 1


def test_a_narrow_candidate_within_the_drop_by_luck_alone_is_passed_over():
    options = [option(100, 0.0, 0.004), option(50, 0.009, 0.004)]
    assert choose(options, FREE, max_drop=0.01) == 0


def test_where_none_is_sure_the_one_nearest_to_it_is_given():
    options = [option(100, 0.02, 0.01), option(50, 0.05, 0.01)]
    assert choose(options, FREE, max_drop=0.01) == 0


def test_without_a_bound_on_the_drop_the_most_accurate_within_the_budget_is_chosen():
    options = [option(100, -0.01), option(50, 0.005), option(20, 0.03)]
    assert choose(options, Budget({"nodes": 60}), max_drop=None) == 1


def test_where_none_fits_the_budget_the_narrowest_is_given():
    options = [option(100, 0.0), option(50, 0.0)]
    assert choose(options, Budget({"nodes": 10}), max_drop=0.01) == 1


@given(
    st.lists(st.tuples(st.integers(1, 99), st.floats(-0.1, 0.5)), min_size=1, max_size=8),
    st.floats(0, 0.2),
)
def test_a_chosen_candidate_never_breaks_a_bound_that_another_keeps(pairs, bound):
    options = [option(size, drop) for size, drop in pairs]
    chosen = options[choose(options, FREE, bound)]
    assert chosen.careful_drop <= bound or all(other.careful_drop > bound for other in options)


def test_a_target_is_met_only_by_budget_and_held_out_drop_together():
    small, large = Cost(10, 100, 100), Cost(100, 1000, 1000)
    assert judge(small, large, Budget({"macs": 200}), 0.005, 0.01).outcome == "target_met"
    missed = judge(small, large, Budget({"macs": 50}), 0.005, 0.01)
    assert (missed.outcome, missed.binding) == ("target_not_met", "max_macs")
    dropped = judge(small, large, FREE, 0.02, 0.01)
    assert (dropped.outcome, dropped.binding) == ("target_not_met", "max_metric_drop")


def test_a_model_that_did_not_become_smaller_is_no_gain():
    same = Cost(100, 1000, 1000)
    assert judge(same, same, FREE, 0.0, 0.01).outcome == "no_gain"

"""Which candidate is handed back, and what is said of it."""

from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.judging.choice import Option, choose
from spectral_engine.judging.verdict import judge
from spectral_engine.records.report import FloorTest

FREE = Budget({})


def option(size, drop, error=0.0):
    return Option(Cost(size, size * 10, size * 10), drop, drop + error)


def test_the_narrowest_candidate_that_keeps_the_drop_by_its_point_estimate_is_chosen():
    options = [option(100, 0.0), option(50, 0.009, 0.004), option(20, 0.03)]
    assert choose(options, FREE, max_drop=0.01) == 1


def test_where_none_keeps_the_drop_the_one_most_surely_near_it_is_given():
    options = [option(100, 0.02, 0.01), option(50, 0.019, 0.05)]
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
    keeping = [other.cost.macs for other in options if other.drop <= bound]
    assert (
        chosen.cost.macs == min(keeping) if keeping else chosen.drop == min(o.drop for o in options)
    )


def floor_test(status, upper_bound, **more):
    return FloorTest(
        floor=0.01,
        confidence=0.95,
        status=status,
        position=1,
        p_value=0.2,
        upper_bound=upper_bound,
        rows=400,
        method="by hand",
        asymptotic=False,
        **more,
    )


SMALL, LARGE = Cost(10, 100, 100), Cost(100, 1000, 1000)


def test_a_target_is_met_by_budget_and_a_floor_that_is_shown_together():
    shown = floor_test("shown", 0.008)
    assert judge(SMALL, LARGE, Budget({"macs": 200}), 0.005, shown).outcome == "target_met"
    missed = judge(SMALL, LARGE, Budget({"macs": 50}), 0.005, shown)
    assert (missed.outcome, missed.binding) == ("target_not_met", "max_macs")
    assert judge(SMALL, LARGE, Budget({"macs": 200}), 0.5, None).outcome == "target_met"


def test_a_measured_drop_above_the_floor_is_said():
    dropped = judge(SMALL, LARGE, FREE, 0.02, floor_test("not_shown", 0.03))
    assert (dropped.outcome, dropped.binding) == ("target_not_met", "max_metric_drop")
    assert dropped.reason == "the metric drops by 0.02 on held-out rows, and 0.01 is allowed"


def test_a_measured_drop_within_the_floor_is_not_enough():
    unsure = judge(SMALL, LARGE, FREE, 0.005, floor_test("not_shown", 0.02, rows_needed=1400))
    assert (unsure.outcome, unsure.binding) == ("target_not_met", "max_metric_drop")
    assert unsure.reason == (
        "a drop of at most 0.01 cannot be shown with 400 samples: they show at 95 % confidence that it truly drops by "
        "0.02 at most; about 1,400 held-out samples would be needed for 0.01"
    )


def test_a_candidate_behind_one_that_failed_is_not_claimed():
    behind = judge(SMALL, LARGE, FREE, 0.001, floor_test("not_reached", 0.005))
    assert behind.outcome == "target_not_met"
    assert "a wider candidate, tested before this one, failed" in behind.reason


def test_a_model_that_did_not_become_smaller_is_no_gain():
    assert judge(LARGE, LARGE, FREE, 0.0, floor_test("shown", 0.005)).outcome == "no_gain"

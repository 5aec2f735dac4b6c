"""The steps of the path from wide to narrow."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_engine.cost.budget import (
    Budget,
    Cost,
    asked_budget,
    check_feasible,
    check_target,
    path_end,
)
from spectral_engine.errors import InvalidRequest, TargetInfeasible
from spectral_engine.methods.prune.options import Prune
from spectral_engine.methods.prune.plan import plan_pruning
from spectral_engine.methods.schedule import half_cosine
from spectral_engine.records.recipe import Recipe
from spectral_engine.records.target import Target
from spectral_engine.records.training import Training


@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 16))
def test_every_candidate_gets_its_level_and_the_path_ends_at_the_budget(epochs, steps, candidates):
    schedule = plan_pruning(Training(epochs=epochs), Prune(candidates=candidates), steps)
    levels = [event.level for event in schedule.events if event.level is not None]
    assert levels == list(range(candidates))
    assert schedule.events[-1].fraction == 1.0
    assert schedule.events[-1].step <= schedule.trunk_steps
    moments = [event.step for event in schedule.events]
    assert moments == sorted(moments)


def test_steps_are_trained_between_any_two_bites():
    schedule = plan_pruning(Training(epochs=4), Prune(candidates=8), 15)
    pairs = list(itertools.pairwise(schedule.events))
    assert any(event.level is None for event, _ in pairs)
    assert all(event.level is not None or event.step < after.step for event, after in pairs)


def test_a_candidate_trains_no_longer_than_the_epochs_asked_for():
    schedule = plan_pruning(Training(epochs=10), Prune(candidates=8), 50)
    assert schedule.trunk_steps + schedule.cooling_steps == 500


def test_what_exceeds_the_budget_cools_for_fewer_steps_but_for_the_last():
    schedule = plan_pruning(Training(epochs=10), Prune(candidates=4), 50)
    first, *_, last = (event for event in schedule.events if event.level is not None)
    assert schedule.cooling_of(first, in_budget=True) == schedule.cooling_steps == 150
    assert schedule.cooling_of(first, in_budget=False) == 50
    assert schedule.cooling_of(last, in_budget=False) == schedule.cooling_steps


def test_all_candidates_cool_for_as_many_steps_where_all_are_to_be_finished():
    for options in ({"finish": "all"}, {"when": "post"}):
        schedule = plan_pruning(Training(epochs=10), Prune(candidates=4, **options), 50)
        assert {schedule.cooling_of(event, in_budget=False) for event in schedule.events} == {
            schedule.cooling_steps
        }


def test_most_nodes_go_early_and_all_of_the_trunk_is_used():
    schedule = plan_pruning(Training(epochs=10), Prune(candidates=1), 100)
    half_way = next(event.step for event in schedule.events if event.fraction >= 0.5)
    assert half_way < 0.2 * schedule.trunk_steps
    assert schedule.events[-1].step == schedule.trunk_steps


def test_rates_warm_up_stay_and_cool_to_zero():
    schedule = plan_pruning(Training(epochs=10), Prune(candidates=4), 50)
    assert schedule.trunk_share(0) < schedule.trunk_share(10) < schedule.trunk_share(200) == 1.0
    assert half_cosine(0, schedule.cooling_steps) == pytest.approx(1.0)
    assert half_cosine(schedule.cooling_steps, schedule.cooling_steps) == pytest.approx(
        0, abs=1e-12
    )


def test_a_budget_up_to_one_is_a_ratio_and_above_an_amount():
    start = Cost(nodes=1000, macs=10_000, params=20_000)
    budget = asked_budget(Target(max_macs=0.5, max_params=3000, keep_nodes=0.1), start)
    assert budget.limits == {"macs": 5000, "params": 3000, "nodes": 100}


def test_the_path_leads_from_the_start_to_the_budget_in_equal_shares():
    start = Cost(nodes=1000, macs=10_000, params=20_000)
    end = path_end(Budget({"nodes": 10}), start, Cost(nodes=4, macs=10, params=10))
    assert end.along_path(start, 0.5).limits["nodes"] == pytest.approx(100)
    assert end.along_path(start, 1.0).limits["nodes"] == pytest.approx(10)


def test_a_budget_below_what_must_stay_is_refused_by_field():
    with pytest.raises(TargetInfeasible) as caught:
        check_feasible(Budget({"macs": 5}), Cost(nodes=8, macs=60, params=70))
    assert caught.value.pointer == "#/recipe/target/max_macs"


@pytest.mark.parametrize("drop", [1, 5])
def test_a_drop_of_a_hundred_points_asks_back(drop):
    with pytest.raises(InvalidRequest, match="'1pt' or '1%'"):
        check_target(Target(max_metric_drop=drop), is_share=True)
    check_target(Target(max_metric_drop=drop), is_share=False)  # of an error, in its own unit


@pytest.mark.parametrize("written", ["1pt", "1 pt", "1%", "1 %", "1points", "0.01", 0.01])
def test_a_point_may_be_written_in_all_usual_ways(written):
    assert Target(max_metric_drop=written).max_metric_drop == pytest.approx(0.01)


@pytest.mark.parametrize("written", ["one", "1 metre", "-1%", ""])
def test_what_is_no_drop_is_refused_with_the_ways_to_write_it(written):
    with pytest.raises(ValueError, match="1pt"):
        Target(max_metric_drop=written)


@pytest.mark.parametrize("metric", ["mse", "mae", "log_loss", "quantile_loss"])
def test_points_of_a_metric_with_a_unit_of_its_own_ask_back(metric):
    with pytest.raises(InvalidRequest, match="as a plain number"):
        Recipe.parse({"metric": metric, "target": {"max_metric_drop": "1%"}})
    assert Recipe.parse({"metric": metric, "target": {"max_metric_drop": "0.5"}}).target

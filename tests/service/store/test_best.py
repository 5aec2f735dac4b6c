"""Which candidate a cancelled job hands out."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.store.candidates.best import best_so_far
from service.store.candidates.records import CandidateRecord
from spectral_engine.cost.budget import Budget, Cost
from spectral_engine.judging.choice import Option, choose
from spectral_engine.records.progress import CandidateFile
from worker.candidates import announced_facts
from worker.messages import AnnouncedCandidate


def candidate(
    index: int, nodes: int, drop: float | None, within_budget: bool = True
) -> CandidateRecord:
    metrics = {"validation_drop": drop, "within_budget": within_budget}
    return CandidateRecord(
        index=index, nodes=nodes, params=nodes * 10, macs=nodes * 100, metrics=metrics
    )


def chosen(recipe: dict[str, Any], *candidates: CandidateRecord) -> int | None:
    best = best_so_far(candidates, recipe)
    return None if best is None else best.index


PATH = (candidate(0, 80, 0.0), candidate(1, 40, 0.005), candidate(2, 20, 0.05))


@pytest.mark.parametrize(
    ("target", "index"),
    [
        ({"max_metric_drop": 0.01}, 1),
        ({"max_metric_drop": 0.0}, 0),
        ({"max_metric_drop": 0.2}, 2),
        ({}, 0),
        (None, 0),
    ],
)
def test_it_is_the_narrowest_that_loses_no_more_than_was_allowed_or_the_most_accurate(
    target, index
):
    assert chosen({"target": target}, *PATH) == index


def test_what_exceeds_a_budget_is_handed_out_only_where_all_do_and_then_it_is_the_narrowest():
    wide, narrow = candidate(0, 80, 0.0, within_budget=False), candidate(1, 40, 0.3)
    assert chosen({}, wide, narrow) == 1
    widest = candidate(1, 90, 0.0, within_budget=False)
    assert chosen({}, wide, widest) == 0


def test_a_candidate_without_a_number_is_chosen_only_where_no_other_is():
    lost = candidate(1, 40, None)
    target = {"target": {"max_metric_drop": 0.01}}
    assert chosen(target, PATH[0], lost) == 0
    assert chosen(target, lost) == 1


def test_where_none_is_allowed_it_is_the_one_most_surely_near_the_floor():
    metrics = {"within_budget": True}
    sure = candidate(0, 40, 0.03)
    sure.metrics = {"validation_drop": 0.03, "careful_drop": 0.035, **metrics}
    unsure = candidate(1, 20, 0.02)
    unsure.metrics = {"validation_drop": 0.02, "careful_drop": 0.05, **metrics}
    assert chosen({"target": {"max_metric_drop": 0.01}}, sure, unsure) == 0


def test_without_candidates_there_is_none():
    assert chosen({"target": {"max_metric_drop": 0.01}}) is None


# Few values, so that many candidates are alike.
COSTS = st.builds(
    Cost,
    nodes=st.integers(1, 4),
    macs=st.integers(1, 4),
    params=st.integers(1, 4),
    bytes=st.integers(1, 4),
)
DROPS = st.sampled_from([-0.02, 0.0, 0.01, 0.02, 0.5])
OPTIONS = st.lists(
    st.tuples(COSTS, DROPS, st.sampled_from([0.0, 0.01, 0.04])), min_size=1, max_size=8
)
BUDGETS = st.dictionaries(
    st.sampled_from(["macs", "params", "bytes", "nodes"]), st.integers(0, 4).map(float)
).map(Budget)


def announced(index: int, cost: Cost, drop: float, error: float, budget: Budget) -> CandidateRecord:
    """Return the record that comes of what a run tells of a candidate."""
    file = CandidateFile(
        index=index,
        path=Path("c.onnx"),
        nodes=cost.nodes,
        params=cost.params,
        macs=cost.macs,
        metric_name="accuracy",
        validation_metric=0.9 - drop,
        validation_drop=drop,
        within_budget=not budget.exceeded_by(cost),
        careful_drop=drop + error,
    )
    facts = announced_facts(AnnouncedCandidate.model_validate(file))
    return CandidateRecord(index=index, **vars(facts))


@given(OPTIONS, BUDGETS, st.none() | DROPS.filter(lambda drop: drop >= 0), st.randoms())
def test_a_cancelled_job_hands_out_what_the_engine_would_choose_of_the_same_candidates(
    drawn, budget, max_drop, random
):
    options = [Option(cost, drop, drop + error) for cost, drop, error in drawn]
    records = [announced(index, *one, budget) for index, one in enumerate(drawn)]
    random.shuffle(records)
    recipe = {"target": {"max_metric_drop": max_drop}}
    assert chosen(recipe, *records) == choose(options, budget, max_drop)

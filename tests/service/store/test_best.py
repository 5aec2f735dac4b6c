"""Which candidate a cancelled job hands out."""

from typing import Any

import pytest

from service.store.candidates.best import best_so_far
from service.store.candidates.records import CandidateRecord


def candidate(index: int, nodes: int, **metrics: float | None) -> CandidateRecord:
    sizes = {"nodes": nodes, "params": nodes * 10, "macs": nodes * 100}
    return CandidateRecord(index=index, metrics=metrics, **sizes)


def chosen(recipe: dict[str, Any], *candidates: CandidateRecord) -> int | None:
    found = best_so_far(candidates, recipe)
    return None if found is None else found.index


PATH = (
    candidate(0, 80, validation_accuracy=0.95),
    candidate(1, 40, validation_accuracy=0.945),
    candidate(2, 20, validation_accuracy=0.90),
)


@pytest.mark.parametrize(
    ("target", "index"),
    [
        ({"max_metric_drop": 0.01}, 1),
        ({"max_metric_drop": 0.0}, 0),
        ({"max_metric_drop": 0.2}, 2),
        ({"keep_nodes": 0.1}, 2),
        ({"keep_nodes": 0.1, "max_metric_drop": None}, 2),
    ],
)
def test_it_is_the_narrowest_that_loses_no_more_than_was_allowed(target, index):
    assert chosen({"target": target}, *PATH) == index


def test_an_error_is_better_when_it_is_lower():
    wide, narrow = candidate(0, 80, validation_mse=0.1), candidate(1, 40, validation_mse=0.5)
    assert chosen({"target": {"max_metric_drop": 0.2}}, wide, narrow) == 0


def test_a_candidate_without_a_number_is_chosen_only_where_no_other_is():
    lost = candidate(1, 40, validation_accuracy=None)
    target = {"target": {"max_metric_drop": 0.01}}
    assert chosen(target, PATH[0], lost) == 0
    assert chosen(target, lost) == 1


def test_without_candidates_there_is_none():
    assert chosen({"target": {"max_metric_drop": 0.01}}) is None

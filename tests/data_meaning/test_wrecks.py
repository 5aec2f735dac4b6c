"""A candidate that is wrecked behind the job's back is never said to meet its target, whatever the labels are."""

from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest

import spectral_engine as se
from examples.specimens.wrecks import KINDS, draw, trained, wrecking
from spectral_engine.judging.seen_rows import rehearsal

ROWS = 700


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a kind's net and the rows that it knows, each made once."""

    @cache
    def made(kind):
        folder, task = tmp_path_factory.mktemp("task"), draw(kind, ROWS, seed=3)
        labels = {} if task.labels is None else {"y": task.labels}
        np.savez(folder / "d.npz", x=task.x, **labels)
        return trained(task, folder / "net.onnx"), folder / "d.npz"

    return made


@pytest.fixture(autouse=True)
def short_rehearsals(monkeypatch):
    """Nothing is said of the rows, so that a rehearsal decides nothing: its stand-in need not learn much."""
    monkeypatch.setattr(rehearsal, "FEWEST_STEPS", 100)


@pytest.mark.parametrize("how", ["shuffled", "zeroed", "turned", "one answer lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wreck_meets_no_target(kind, how, files):
    recipe = {
        "target": {"max_metric_drop": 0.03, "confidence": 0.8},
        "training": {"epochs": 2},
        "prune": {"candidates": 1},
    }
    with wrecking(how):
        result = se.compress(*files(kind), recipe)
    assert result.outcome != "target_met"
    assert not any(entry.meets_target for entry in result.report.data.candidates)


def test_an_honest_candidate_meets_it(files):
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 2},
    }
    assert se.compress(*files("classes"), recipe).outcome == "target_met"


@pytest.mark.parametrize("how", ["honest", "shuffled", "zeroed", "turned"])
@pytest.mark.parametrize("kind", ["maps", "masks", "embeddings"])
def test_without_labels_honest_candidates_pass_where_wrecks_of_them_fail(kind, how, files):
    """A turned embedding has the same neighbours: it is the look at the answers themselves that finds it out."""
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8, "keep_nodes": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 1},
    }
    with nullcontext() if how == "honest" else wrecking(how):
        result = se.compress(*files(f"{kind} without labels"), recipe)
    metric = {"embeddings": "rank_agreement"}.get(kind, "miou")
    assert result.report.data.baseline.metric.name == metric
    assert (result.outcome == "target_met") == (how == "honest")

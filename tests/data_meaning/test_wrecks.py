"""A candidate that is wrecked behind the job's back is never said to meet its target, whatever the labels are."""

from contextlib import nullcontext

import numpy as np
import pytest

import spectral_engine as se
from examples.specimens.wrecks import KINDS, Task, draw, trained, wrecking

ROWS = 700


def written(task: Task, path):
    np.savez(path, x=task.x, **({} if task.labels is None else {"y": task.labels}))
    return path


@pytest.mark.parametrize("how", ["shuffled", "zeroed", "turned", "one answer lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_wreck_meets_no_target(kind, how, tmp_path):
    task = draw(kind, ROWS, seed=3)
    model, data = trained(task, tmp_path / "net.onnx"), written(task, tmp_path / "d.npz")
    recipe = {
        "target": {"max_metric_drop": 0.03, "confidence": 0.8},
        "training": {"epochs": 2},
        "prune": {"candidates": 1},
    }
    with wrecking(how):
        result = se.compress(model, data, recipe)
    assert result.outcome != "target_met"
    assert not any(entry.meets_target for entry in result.report.data.candidates)


def test_an_honest_candidate_meets_it(tmp_path):
    task = draw("classes", ROWS, seed=3)
    model, data = trained(task, tmp_path / "net.onnx"), written(task, tmp_path / "d.npz")
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 2},
    }
    assert se.compress(model, data, recipe).outcome == "target_met"


@pytest.mark.parametrize("how", ["honest", "shuffled", "zeroed", "turned"])
@pytest.mark.parametrize("kind", ["maps", "masks", "embeddings"])
def test_without_labels_honest_candidates_pass_where_wrecks_of_them_fail(kind, how, tmp_path):
    """A turned embedding has the same neighbours: it is the look at the answers themselves that finds it out."""
    task = draw(f"{kind} without labels", ROWS, seed=3)
    model, data = trained(task, tmp_path / "net.onnx"), written(task, tmp_path / "d.npz")
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8, "keep_nodes": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 1},
    }
    with nullcontext() if how == "honest" else wrecking(how):
        result = se.compress(model, data, recipe)
    metric = {"embeddings": "rank_agreement"}.get(kind, "miou")
    assert result.report.data.baseline.metric.name == metric
    assert (result.outcome == "target_met") == (how == "honest")

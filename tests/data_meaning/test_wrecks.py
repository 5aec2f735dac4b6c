"""A candidate that is wrecked behind the job's back is never said to meet its target, whatever the labels are."""

import numpy as np
import pytest

import spectral_engine as se
from tests.support.wrecks import KINDS, Task, draw, trained, wrecking

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


@pytest.mark.parametrize(
    "kind", ["classes", "maps without labels", "masks without labels", "embeddings without labels"]
)
def test_an_honest_candidate_meets_it(kind, tmp_path):
    task = draw(kind, ROWS, seed=3)
    model, data = trained(task, tmp_path / "net.onnx"), written(task, tmp_path / "d.npz")
    recipe = {
        "target": {"max_metric_drop": 0.2, "confidence": 0.8},
        "training": {"epochs": 20},
        "prune": {"candidates": 2},
    }
    assert se.compress(model, data, recipe).outcome == "target_met"

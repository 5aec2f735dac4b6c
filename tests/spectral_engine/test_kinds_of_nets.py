"""`compress` on nets of every kind: attention, recurrence, splits, several inputs."""

import numpy as np
import pytest

import spectral_engine as se
from examples.specimens.zoo import specimen
from spectral_engine.errors import DatasetMismatch
from tests.support.cutting import in_onnxruntime
from tests.support.zoo_rows import save_rows


@pytest.mark.parametrize(
    "name",
    [
        "vision",
        "llama",
        "lstm",
        "gru_both_ways",
        "c2f",
        "two_inputs",
        "double_perceptron",
        "double_gated",
        "double_words",
    ],
)
def test_a_net_of_this_kind_is_compressed_from_file_to_file(name, tmp_path):
    net = specimen(name)
    save_rows(net, tmp_path / "rows.npz")
    recipe = {
        "target": {"max_macs": 0.5},
        "allow_poor_original": True,  # nobody has trained these nets
        "training": {"epochs": 2, "batch_size": 64},
        "prune": {"candidates": 2},
        "seen_by_original": False,
    }
    result = se.compress(net.model, tmp_path / "rows.npz", recipe)
    assert result.outcome == "target_met"
    after, before = result.chosen.entry.measurement, result.report.data.baseline
    assert after.macs <= 0.5 * before.macs
    assert result.chosen.entry.exactness.max_abs_difference <= 1e-5 * max(
        1.0, result.chosen.entry.exactness.max_abs_output
    )
    (answer, *_) = in_onnxruntime(result.chosen.model_bytes, net.sample(3))
    assert np.isfinite(answer).all()
    result.report.save(tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_a_label_of_a_step_beyond_the_models_classes_is_refused_before_training(tmp_path):
    net = specimen("llama")
    save_rows(net, tmp_path / "rows.npz")
    rows = dict(np.load(tmp_path / "rows.npz"))
    rows["y"][0, 0] = 11  # the classes are 0 to 10
    np.savez(tmp_path / "rows.npz", **rows)
    with pytest.raises(DatasetMismatch, match="labels go up to 11, and the model has 11 outputs"):
        se.compress(net.model, tmp_path / "rows.npz", {"training": {"epochs": 1}})

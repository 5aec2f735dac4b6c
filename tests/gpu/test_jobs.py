"""Whole jobs on a GPU, each beside the same one on the CPU."""

import gc

import numpy as np
import pytest
import torch

import spectral_engine as se
from examples.specimens.zoo import specimen
from spectral_engine.errors import InvalidRequest
from spectral_engine.methods import run as run_module
from tests.gpu.jobs import DEVICE, METRIC_APART, check_alike, compress, on_both, recipe

CUTS = {"candidates": 3}
KINDS = pytest.mark.parametrize("kind", ["perceptron", "convolutional"])


@KINDS
@pytest.mark.parametrize("when", ["gradual", "post", "pre"])
def test_a_pruned_net_is_as_good_as_one_pruned_on_the_cpu(folder, kind, when):
    on_device, reference = on_both(
        folder, kind, target={"keep_nodes": 0.4}, prune={**CUTS, "when": when}
    )
    check_alike(on_device, reference)
    assert len({c.entry.measurement.nodes for c in on_device.candidates}) == len(
        on_device.candidates
    )
    assert on_device.chosen.entry.measurement.nodes == reference.chosen.entry.measurement.nodes


@KINDS
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_either_precision_prunes(folder, kind, precision):
    check_alike(*on_both(folder, kind, precision=precision, target={"keep_nodes": 0.5}, prune=CUTS))


@KINDS
@pytest.mark.parametrize("trains", ["both", "svd", "qr", "eigenvalues"])
def test_a_net_is_retrained_in_every_form(folder, kind, trains):
    asked = {"method": "retrain", "target": {"max_metric_drop": 0.5}}
    check_alike(*on_both(folder, kind, spectral={"train": trains}, **asked))


@KINDS
@pytest.mark.parametrize("pattern", ["unstructured", "2:4", "block:4x2"])
def test_links_are_removed(folder, kind, pattern):
    target = {} if pattern == "2:4" else {"density": 0.2}
    asked = {"method": "sparse", "sparse": {"pattern": pattern}, "target": target}
    on_device, reference = on_both(folder, kind, **asked)
    check_alike(on_device, reference)
    assert on_device.chosen.entry.links.density == pytest.approx(
        reference.chosen.entry.links.density, abs=0.01
    )


def test_without_labels_a_net_learns_from_the_original(folder):
    check_alike(
        *on_both(folder, "perceptron", "unlabelled.npz", target={"keep_nodes": 0.6}, prune=CUTS)
    )


@pytest.mark.parametrize("score", ["taylor", "eigenvalue_taylor", "eigenvalue", "l1"])
def test_every_kind_of_score_ranks_nodes(folder, score):
    check_alike(
        *on_both(folder, "perceptron", target={"keep_nodes": 0.5}, prune={**CUTS, "score": score})
    )


def test_a_limit_on_latency_is_kept(folder):
    on_device, _ = on_both(
        folder, "perceptron", target={"max_latency_ms": 1000.0}, prune={"candidates": 2}
    )
    assert on_device.chosen.entry.measurement.latency


@pytest.mark.parametrize("name", ["vision", "llama", "lstm", "gru_both_ways", "c2f", "two_inputs"])
def test_nets_of_every_kind_are_compressed(tmp_path, name):
    net = specimen(name)
    (tmp_path / "net.onnx").write_bytes(net.model)
    inputs = net.sample(240, seed=5)
    with torch.no_grad():
        answer = next(iter(se.load(net.model)(**inputs).values())).numpy()
    labels = (answer - answer.mean(axis=0)).argmax(axis=-1)
    np.savez(tmp_path / "rows.npz", y=labels, **{n: value.numpy() for n, value in inputs.items()})
    asked = {"target": {"max_macs": 0.5}, "prune": {"candidates": 2}, "epochs": 2}
    asked["allow_poor_original"] = True  # nobody trained these nets
    gpu = compress(tmp_path, "net", recipe(**asked), "rows.npz")
    cpu = compress(tmp_path, "net", recipe("cpu", **asked), "rows.npz")
    assert gpu.outcome == cpu.outcome
    assert gpu.chosen.entry.measurement.macs <= 0.5 * gpu.report.data.baseline.macs
    proof = gpu.chosen.entry.exactness
    assert proof.max_abs_difference <= 1e-5 * max(1.0, proof.max_abs_output)


class Stopped(Exception):
    """The process that ran the job is gone."""


@pytest.mark.parametrize(
    ("kind", "method"),
    [("perceptron", "prune"), ("convolutional", "prune"), ("perceptron", "sparse")],
)
def test_a_run_that_was_stopped_resumes_and_ends_alike(folder, tmp_path, kind, method):
    target = {"keep_nodes": 0.5} if method == "prune" else {"density": 0.2}
    asked = recipe(precision="float32", method=method, target=target, prune=CUTS)
    whole = compress(folder, kind, asked)

    def stop(progress):
        if progress.fraction > 0.5:
            raise Stopped

    with pytest.raises(Stopped):
        compress(folder, kind, asked, on_progress=stop, work_dir=tmp_path / "work")
    told = []
    resumed = compress(folder, kind, asked, on_progress=told.append, work_dir=tmp_path / "work")
    trained_again = [p.step for p in told if p.stage in {"training", "fine_tuning"}]
    assert min(trained_again) > 0.3 * max(p.total_steps for p in told)
    assert len(resumed.candidates) == len(whole.candidates)
    for one, other in zip(resumed.candidates, whole.candidates, strict=True):
        assert one.entry.measurement.nodes == other.entry.measurement.nodes
        values = [e.entry.measurement.metric.value for e in (one, other)]
        assert values[0] == pytest.approx(values[1], abs=METRIC_APART)


@KINDS
def test_a_trunk_that_waits_on_disk_changes_nothing(folder, tmp_path, kind, monkeypatch):
    asked = recipe(precision="float32", target={"keep_nodes": 0.5}, prune=CUTS)
    whole = compress(folder, kind, asked)
    monkeypatch.setattr(run_module, "SPILLED_BYTES", 0)
    spilled = compress(folder, kind, asked, work_dir=tmp_path)
    for one, other in zip(spilled.candidates, whole.candidates, strict=True):
        assert one.entry.measurement.nodes == other.entry.measurement.nodes
        values = [e.entry.measurement.metric.value for e in (one, other)]
        assert values[0] == pytest.approx(values[1], abs=METRIC_APART)


@pytest.mark.skipif(DEVICE.type != "cuda", reason="memory of a GPU")
def test_cancelling_gives_the_memory_back(folder):
    def stop(progress):
        if progress.fraction > 0.4:
            raise Stopped

    def cancelled():
        with pytest.raises(Stopped):
            compress(folder, "perceptron", recipe(target={"keep_nodes": 0.5}), on_progress=stop)
        gc.collect()
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated()

    before = cancelled()  # what the libraries keep is taken once
    assert cancelled() <= before + 2**20


@pytest.mark.skipif(DEVICE.type != "cuda", reason="a GPU that is not there, beside one that is")
def test_a_gpu_that_is_not_there_is_refused_by_name_before_training(folder):
    told = []
    with pytest.raises(InvalidRequest, match="cuda:99 is not on this machine: it has cuda:0") as e:
        compress(
            folder,
            "perceptron",
            recipe("cuda:99", target={"keep_nodes": 0.5}),
            on_progress=told.append,
        )
    assert e.value.pointer == "#/recipe/training/device"
    assert all(progress.stage != "training" for progress in told)


@pytest.mark.skipif(DEVICE.type != "cuda", reason="auto is the CPU here")
def test_auto_takes_the_gpu(folder):
    result = compress(folder, "perceptron", recipe("auto", method="retrain", epochs=1))
    assert result.report.data.provenance.device == "cuda"

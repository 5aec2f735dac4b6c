"""The same job on the GPU and on the CPU."""

import os

import torch

import spectral_engine as se
from spectral_engine.records.progress import ignore

DEVICE = torch.device(os.environ.get("EIGENPRESS_TEST_DEVICE", "cuda"))
METRIC_APART = 0.04  # of 400 digits: two standard errors of the difference between two trainings
EPOCHS = 6


def recipe(device=DEVICE, *, precision="auto", epochs=EPOCHS, seed=1, **asked):
    training = {"epochs": epochs, "device": str(device), "precision": precision}
    return se.Recipe(training=training, seed=seed, **asked)


def compress(folder, kind, asked, data="digits.npz", on_progress=ignore, work_dir=None):
    return se.compress(folder / f"{kind}.onnx", folder / data, asked, on_progress, work_dir)


def on_both(folder, kind, data="digits.npz", **asked):
    """Return what the GPU gives, and what the CPU gives."""
    return [
        compress(folder, kind, recipe(device, **asked), data)
        for device in (DEVICE, torch.device("cpu"))
    ]


def check_alike(on_device, reference):
    """Demand the same outcome, a metric nearby, proofs that hold, and a report that says where it ran."""
    apart = [one.chosen.entry.measurement.metric.value for one in (on_device, reference)]
    assert abs(apart[0] - apart[1]) <= METRIC_APART, apart
    assert on_device.outcome == reference.outcome, apart
    assert len(on_device.candidates) == len(reference.candidates)
    for candidate in on_device.candidates:
        proof = candidate.entry.exactness
        assert proof.max_abs_difference <= 1e-5 * max(1.0, proof.max_abs_output)
    assert torch.device(on_device.report.data.provenance.device).type == DEVICE.type
    assert reference.report.data.provenance.device == "cpu"
